// An edit makes the segments anew that it touches, and shares the others.
#include <doctest/doctest.h>

#include <set>

#include "tests/unit/worker/router/fixtures.h"

using namespace tenantd;
using namespace tenantd::fixtures;

namespace segments_test {

namespace {

constexpr std::uint32_t dimension = 8;
using Blocks = std::vector<std::shared_ptr<const RouteBlock>>;

std::shared_ptr<const RouteBlock> block(std::mt19937& random, const std::string& id,
                                        std::size_t utterances) {
  RouteDefinition route;
  route.id = id;
  for (std::size_t i = 0; i < utterances; ++i) {
    route.utterances.push_back(
        {"word" + std::to_string(i % 7), random_vector(random, dimension), "e"});
  }
  return build_route(route, dimension);
}

std::size_t count_shared(const RouteSet& a, const RouteSet& b) {
  std::set<const Segment*> known;
  for (const PlacedSegment& placed : a.segments) known.insert(placed.segment.get());
  std::size_t shared = 0;
  for (const PlacedSegment& placed : b.segments) shared += known.count(placed.segment.get());
  return shared;
}

}  // namespace

TEST_CASE("one changed route costs one segment") {
  std::mt19937 random(1);
  Blocks blocks;
  for (int r = 0; r < 1000; ++r) blocks.push_back(block(random, std::to_string(10'000 + r), 20));
  const auto before = build_route_set(blocks, dimension);
  REQUIRE(before->segments.size() == 10);
  blocks[437] = block(random, "10437", 20);
  const auto changed = build_route_set(blocks, dimension, before.get());
  CHECK(changed->segments.size() == 10);
  CHECK(count_shared(*before, *changed) == 9);
  blocks.erase(blocks.begin() + 12);
  const auto fewer = build_route_set(blocks, dimension, changed.get());
  CHECK(count_shared(*changed, *fewer) == 9);
  CHECK(fewer->utterance_count() == 19'980);
  CHECK(build_route_set(blocks, dimension, fewer.get())->segments.size() ==
        count_shared(*fewer, *build_route_set(blocks, dimension, fewer.get())));
}

TEST_CASE("many small edits leave no crumbs") {
  std::mt19937 random(2);
  Blocks blocks;
  auto set = build_route_set({}, dimension);
  for (int r = 0; r < 2000; ++r) {  // in order, as an import sends them
    blocks.push_back(block(random, std::to_string(10'000 + r), 10));
    set = build_route_set(blocks, dimension, set.get());
  }
  CHECK(set->segments.size() <= 20'000 / (segment_utterances / 2) + 1);
  for (int i = 0; i < 1000; ++i) {  // and anywhere
    const std::size_t r = random() % blocks.size();
    if (random() % 2 == 0) {
      blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(r));
    } else {
      blocks[r] = block(random, blocks[r]->id, 1 + random() % 30);
    }
    set = build_route_set(blocks, dimension, set.get());
  }
  CHECK(set->segments.size() <= 2 * set->utterance_count() / (segment_utterances / 2) + 1);
  for (const PlacedSegment& placed : set->segments) {
    CHECK(placed.segment->utterance_count <= 3 * segment_utterances);
  }
}

TEST_CASE("a route that grows keeps its full segments") {
  std::mt19937 random(3);
  auto route = block(random, "only", 3000);
  auto set = build_route_set({route}, dimension);
  for (int i = 0; i < 60; ++i) {
    const std::vector<Utterance> added(100, {"more", random_vector(random, dimension), "e"});
    route = append_utterances(*route, added, dimension);
    const auto next = build_route_set({route}, dimension, set.get());
    CHECK(count_shared(*set, *next) + 2 >= set->segments.size());
    set = next;
  }
  CHECK(set->utterance_count() == 9000);
  CHECK(set->first_row.back() == 9000);
}

}  // namespace segments_test
