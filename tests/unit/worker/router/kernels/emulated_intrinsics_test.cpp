// The emulation itself: what the kernels rest on is as Intel's manual defines it, and the program
// searches with the emulated kernels.
#include "tests/unit/worker/router/kernels/emulated_intrinsics.h"

#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <limits>
#include <random>

#include "worker/router/kernels/kernels.h"

namespace {

template <typename Value>
using Line = std::array<Value, 64 / sizeof(Value)>;

template <typename Value>
__m512i loaded(const Line<Value>& line) {
  return _mm512_loadu_si512(line.data());
}

}  // namespace

TEST_CASE("searches of this program run on the emulated kernels") {
  CHECK(std::string_view(tenantd::best_kernels().name) == "avx512");
  CHECK(tenantd::best_kernels().multiplies_bytes);
  CHECK(tenantd::runnable_kernels().back() == &tenantd::best_kernels());
  CHECK(tenantd::runnable_kernels().front() == &tenantd::plain_kernels);
}

// VPDPBUSD: four unsigned bytes times four signed ones, their sum added to an int32; no saturation.
TEST_CASE("emulated products of bytes are the manual's") {
  std::mt19937 random(21);
  for (int round = 0; round < 2000; ++round) {
    Line<std::uint8_t> codes;
    Line<std::int8_t> query;
    Line<std::int32_t> sums;
    const bool extreme = round % 2 == 0;
    for (std::uint8_t& code : codes) {
      code = static_cast<std::uint8_t>(extreme ? (random() % 2) * 255 : random() % 256);
    }
    for (std::int8_t& code : query) {
      const auto any = static_cast<std::int32_t>(random() % 256) - 128;
      code = static_cast<std::int8_t>(extreme ? (random() % 2 == 0 ? -128 : 127) : any);
    }
    for (std::int32_t& sum : sums) {
      sum = extreme ? std::numeric_limits<std::int32_t>::max() - static_cast<int>(random() % 99'999)
                    : static_cast<std::int32_t>(random());
    }
    Line<std::int32_t> found;
    _mm512_storeu_si512(found.data(),
                        _mm512_dpbusd_epi32(loaded(sums), loaded(codes), loaded(query)));
    for (std::size_t lane = 0; lane < found.size(); ++lane) {
      auto expected = static_cast<std::uint32_t>(sums[lane]);
      for (std::size_t byte = 4 * lane; byte < 4 * lane + 4; ++byte) {
        expected += static_cast<std::uint32_t>(std::int32_t{codes[byte]} * query[byte]);
      }
      REQUIRE(found[lane] == static_cast<std::int32_t>(expected));
    }
  }
}

// VPUNPCKLDQ and its sisters work on each 128 bits by themselves.
TEST_CASE("emulated interleaving is the manual's") {
  Line<std::int32_t> a;
  Line<std::int32_t> b;
  for (std::int32_t i = 0; i < 16; ++i) {
    a[static_cast<std::size_t>(i)] = i;
    b[static_cast<std::size_t>(i)] = 100 + i;
  }
  const auto check = [&](__m512i result, const std::array<std::int32_t, 4>& of_128_bits) {
    Line<std::int32_t> found;
    _mm512_storeu_si512(found.data(), result);
    for (std::size_t i = 0; i < 16; ++i) {
      CHECK(found[i] == of_128_bits[i % 4] + static_cast<std::int32_t>(i / 4 * 4));
    }
  };
  check(_mm512_unpacklo_epi32(loaded(a), loaded(b)), {0, 100, 1, 101});
  check(_mm512_unpackhi_epi32(loaded(a), loaded(b)), {2, 102, 3, 103});
  check(_mm512_unpacklo_epi64(loaded(a), loaded(b)), {0, 1, 100, 101});
  check(_mm512_unpackhi_epi64(loaded(a), loaded(b)), {2, 3, 102, 103});
}

TEST_CASE("an emulated masked load takes the mask's floats and the source's others") {
  std::array<float, 16> floats;
  for (std::size_t i = 0; i < 16; ++i) floats[i] = static_cast<float>(i);
  for (unsigned mask = 0; mask <= 0xFFFF; mask += 97) {
    std::array<float, 16> found;
    _mm512_storeu_ps(
        found.data(),
        _mm512_mask_loadu_ps(_mm512_set1_ps(-1), static_cast<__mmask16>(mask), floats.data()));
    for (std::size_t i = 0; i < 16; ++i) {
      CHECK(found[i] == (((mask >> i) & 1U) != 0 ? floats[i] : -1.0F));
    }
  }
}
