#include "worker/runtime/frame_reader.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

using namespace tenantd;

TEST_CASE("any cut of a stream gives the same frames, aligned") {
  for (unsigned seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    std::mt19937 generator(seed);
    const auto random = [&generator] { return static_cast<std::uint32_t>(generator()); };
    std::vector<std::uint32_t> sizes;
    std::vector<std::byte> stream;
    for (int i = 0; i < 40; ++i) {
      FrameHeader header;
      header.size = random() % 7 == 0 ? max_frame_bytes - random() % 9 : random() % 3000;
      header.request_id = static_cast<std::uint64_t>(i) + 1;
      sizes.push_back(header.size);
      const auto head = std::as_bytes(std::span(&header, 1));
      stream.insert(stream.end(), head.begin(), head.end());
      stream.insert(stream.end(), header.size, static_cast<std::byte>(i));
    }
    FrameReader reader;
    std::size_t position = 0;
    std::size_t frames = 0;
    while (position < stream.size()) {
      const auto space = reader.space();
      REQUIRE_FALSE(space.empty());
      const std::size_t take = std::min({space.size(), stream.size() - position,
                                         static_cast<std::size_t>(random() % 20'000 + 1)});
      std::memcpy(space.data(), stream.data() + position, take);
      reader.received(take);
      position += take;
      for (;;) {
        const auto frame = reader.next();
        REQUIRE(frame);
        if (!*frame) break;
        REQUIRE((*frame)->header.request_id == frames + 1);
        REQUIRE((*frame)->payload.size() == sizes[frames]);
        REQUIRE(reinterpret_cast<std::uintptr_t>((*frame)->payload.data()) % 4 == 0);
        for (const std::byte byte : (*frame)->payload) {
          if (byte != static_cast<std::byte>(frames)) REQUIRE(false);
        }
        ++frames;
      }
    }
    CHECK(frames == sizes.size());
    CHECK(reader.buffered() == 0);
  }
}

TEST_CASE("a header over the bound or with flags is refused before its payload") {
  for (const bool oversized : {true, false}) {
    FrameHeader header;
    header.size = oversized ? max_frame_bytes + 1 : 4;
    header.flags = oversized ? 0 : attempt_mask + 1;
    FrameReader reader;
    std::memcpy(reader.space().data(), &header, sizeof header);
    reader.received(sizeof header);
    const auto frame = reader.next();
    REQUIRE_FALSE(frame);
    CHECK(frame.error().code == ErrorCode::protocol_error);
  }
}
