#include "shared/ring/ring_memory.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shared/ring/client_ring.h"
#include "shared/ring/ring_sizing.h"
#include "shared/ring/worker_ring.h"

using namespace tenantd;

namespace {

UniqueFd memfd(std::size_t size, int seals) {
  UniqueFd fd(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  REQUIRE(::ftruncate(fd.get(), static_cast<off_t>(size)) == 0);
  REQUIRE(::fcntl(fd.get(), F_ADD_SEALS, seals) == 0);
  return fd;
}

constexpr std::size_t right_size = ring_header_bytes + ring_bytes_default;
constexpr int all_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;

}  // namespace

TEST_CASE("only its owner can write a ring's memory, and nobody can resize it") {
  auto memory = RingMemory::create(ring_bytes_default);
  REQUIRE(memory.has_value());
  const UniqueFd copy(::dup(memory->fd()));
  CHECK(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, copy.get(), 0) == MAP_FAILED);
  CHECK(::ftruncate(copy.get(), 0) != 0);
  CHECK(::ftruncate(copy.get(), 1 << 30) != 0);
  CHECK(::pwrite(copy.get(), "x", 1, 0) < 0);
  const std::string again = "/proc/self/fd/" + std::to_string(copy.get());
  const UniqueFd reopened(::open(again.c_str(), O_RDWR | O_CLOEXEC));
  CHECK(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, reopened.get(), 0) == MAP_FAILED);
  void* read_only = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, copy.get(), 0);
  REQUIRE(read_only != MAP_FAILED);
  CHECK(::mprotect(read_only, 4096, PROT_READ | PROT_WRITE) != 0);
  memory->header().tail.store(24);
  CHECK(static_cast<const RingHeader*>(read_only)->tail.load() == 24);
  ::munmap(read_only, 4096);
}

TEST_CASE("a peer's memory without every seal, or of another size, is refused") {
  CHECK(PeerRingMemory::open(memfd(right_size, all_seals), ring_bytes_default).has_value());
  for (const int missing : {F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_FUTURE_WRITE, F_SEAL_SEAL}) {
    const auto opened =
        PeerRingMemory::open(memfd(right_size, all_seals & ~missing), ring_bytes_default);
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().code == ErrorCode::protocol_error);
  }
  for (const std::size_t size :
       {std::size_t{0}, right_size - 1, right_size + 4096, std::size_t{128} << 20U}) {
    const auto opened = PeerRingMemory::open(memfd(size, all_seals), ring_bytes_default);
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().code == ErrorCode::protocol_error);
  }
  CHECK_FALSE(
      PeerRingMemory::open(UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)), ring_bytes_default)
          .has_value());
  CHECK_FALSE(PeerRingMemory::open(UniqueFd(), ring_bytes_default).has_value());
}

TEST_CASE("ring sizes that are none are refused") {
  for (const std::uint32_t size : {0U, 4096U, ring_bytes_min + 8, ring_bytes_max * 2}) {
    CHECK_FALSE(RingMemory::create(size).has_value());
    CHECK_FALSE(PeerRingMemory::open(memfd(right_size, all_seals), size).has_value());
  }
}

TEST_CASE("rings are as large as a batch needs, within the bounds and the tenant's memory") {
  constexpr std::uint64_t gib = 1ULL << 30U;
  CHECK(ring_bytes_for(384, 32, gib) == ring_bytes_min);
  CHECK(ring_bytes_for(0, 0, 0) == ring_bytes_min);
  CHECK(ring_bytes_for(1536, 64, gib) == 512U << 10U);
  CHECK(ring_bytes_for(8192, 64, gib) == ring_bytes_by_need_max);
  CHECK(ring_bytes_for(~0U, ~0U, 0) == ring_bytes_by_need_max);
  // A small tenant's rings shrink, so that several clients still fit.
  CHECK(ring_bytes_for(8192, 64, 64ULL << 20U) == 512U << 10U);
  CHECK(ring_bytes_for(8192, 64, 1) == ring_bytes_min);
  for (std::uint32_t dimension = 1; dimension <= 8192; dimension *= 2) {
    for (const std::uint32_t batch : {1U, 32U, 1024U}) {
      CHECK(is_valid_ring_bytes(ring_bytes_for(dimension, batch, 0)));
    }
  }
}

TEST_CASE("a doorbell that is no eventfd is refused") {
  int pipe_fds[2];
  REQUIRE(::pipe2(pipe_fds, O_NONBLOCK | O_CLOEXEC) == 0);
  const UniqueFd read_end(pipe_fds[0]);
  auto own = RingMemory::create(ring_bytes_default);
  const auto ring =
      ClientRing::open(std::move(*own), memfd(right_size, all_seals), UniqueFd(pipe_fds[1]));
  REQUIRE_FALSE(ring.has_value());
  CHECK(ring.error().code == ErrorCode::protocol_error);
}
