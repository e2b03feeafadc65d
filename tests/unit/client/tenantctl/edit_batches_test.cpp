#include "client/tenantctl/routes/edit_batches.h"

#include <doctest/doctest.h>

#include "shared/protocol/frame.h"

using namespace tenantd;

namespace {

std::string numbered(std::size_t number) {
  std::string text(5, '#');
  for (; number > 0; number /= 10) text += static_cast<char>('0' + number % 10);
  return text;
}

RouteMessage route_with(std::size_t utterances, std::size_t floats) {
  RouteMessage route;
  route.id = "long";
  route.description = std::string(3, 'd');
  route.tags = {"t"};
  for (std::size_t i = 0; i < utterances; ++i) {
    route.utterances.push_back({numbered(i), std::vector<float>(floats, 0.5F), "e"});
  }
  return route;
}

}  // namespace

TEST_CASE("the size that is reckoned with is never below the encoded one") {
  for (const std::size_t text : {0, 1, 2, 3, 5}) {
    RouteEditMessage edit{EditKind::put, route_with(7, 33)};
    edit.route.id.append(text, 'x');
    std::vector<std::byte> bytes;
    REQUIRE(encode(RoutesEdit{{edit}}, bytes).has_value());
    CHECK(edit_bytes(edit) + 4 >= bytes.size());
    CHECK(edit_bytes(edit) < bytes.size() + 64);
  }
}

TEST_CASE("a long route is continued, in order and complete, in messages that fit") {
  const BatchLimits limits = batch_limits(32);
  const auto edits = split_route(route_with(1000, 384), EditKind::put, limits);
  REQUIRE(edits.has_value());
  CHECK(edits->size() > 10);
  std::size_t seen = 0;
  for (std::size_t i = 0; i < edits->size(); ++i) {
    const RouteEditMessage& edit = (*edits)[i];
    CHECK(edit.kind == (i == 0 ? EditKind::put : EditKind::add_utterances));
    CHECK(edit.route.id == "long");
    for (const auto& utterance : edit.route.utterances) {
      CHECK(utterance.text == numbered(seen++));
    }
    std::vector<std::byte> bytes;
    REQUIRE(encode(RoutesEdit{{edit}}, bytes).has_value());
    CHECK(bytes.size() <= max_frame_bytes);
  }
  CHECK(seen == 1000);
}

TEST_CASE("batches respect bytes and number of edits") {
  const BatchLimits limits = batch_limits(3);
  EditBatcher batcher(limits);
  const RouteEditMessage small{EditKind::put, route_with(1, 4)};
  for (int i = 0; i < 3; ++i) {
    REQUIRE(batcher.fits(small));
    batcher.add(small);
  }
  CHECK_FALSE(batcher.fits(small));
  CHECK(batcher.take().edits.size() == 3);
  CHECK(batcher.empty());
  const RouteEditMessage big{EditKind::put, route_with(40, 384)};
  REQUIRE(batcher.fits(big));
  batcher.add(big);
  batcher.add(big);
  CHECK_FALSE(batcher.fits(big));
}

TEST_CASE("what fits no message is an error") {
  RouteMessage heavy = route_with(0, 0);
  for (int i = 0; i < 64; ++i) heavy.tags.push_back(std::string(1024, 't'));
  heavy.metadata = std::string(16'384, 'm');
  heavy.utterances.push_back({std::string(65'536, 'x'), std::vector<float>(8192, 1.0F), ""});
  CHECK_FALSE(split_route(heavy, EditKind::put, batch_limits(32)).has_value());
  heavy.metadata = std::string(70'000, 'm');
  CHECK_FALSE(split_route(heavy, EditKind::put, batch_limits(32)).has_value());
}

TEST_CASE("a worker that states no batch size gets single edits") {
  CHECK(batch_limits(0).max_edits == 1);
  CHECK(batch_limits(1'000'000).max_edits == 1024);
}
