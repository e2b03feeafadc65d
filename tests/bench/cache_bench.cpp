// What the routing cache costs and saves: TenantRouter::route() beside RoutingCache::route() of the
// same run, whole calls on one thread.
//
// `cache_bench [--rounds N]`: tenants of 50, 1,000 and 10,000 utterances of 8 words with 384
// floats; texts, vectors, and both. "hit": the same 64 queries again; "miss": queries that never
// come again, each computed and kept; "full": the same where there is no room, so that none is
// kept; "similar": a vector near one of the last 256; "seek": a miss with the look for similar
// ones. Rounds go through all of them in turn, so that all meet the same weather; ratios are
// medians of each round's ratio to "router" of that round.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "tests/unit/worker/router/fixtures.h"
#include "worker/cache/routing_cache.h"
#include "worker/cache/tenant_cache.h"

using namespace tenantd;
using namespace tenantd::fixtures;

namespace {

constexpr std::uint32_t dimension = 384;
constexpr std::size_t queries_a_round = 64;
constexpr RoutingCache::Bounds exact{{4U << 20U, 25'000}, 1};
constexpr RoutingCache::Bounds soon_full{{256U << 10U, 25'000}, 1};
constexpr RoutingCache::Bounds lenient{{4U << 20U, 25'000}, 0.98F};

enum class Kind { text, vector, both };

std::string random_text(std::mt19937& random) {
  std::string text;
  for (int word = 0; word < 8; ++word) {
    text += 'w' + std::to_string(random() % (1U << (1U + random() % 12U))) + ' ';
  }
  return text;
}

SnapshotPtr tenant_of(std::size_t utterances, std::mt19937& random) {
  std::vector<RouteDefinition> routes;
  for (std::size_t r = 0; r < utterances / 10; ++r) {
    std::vector<std::string> texts;
    for (int t = 0; t < 10; ++t) texts.push_back(random_text(random));
    routes.push_back(text_route(std::to_string(100'000 + r), texts, dimension));
  }
  return snapshot(routes, settings(dimension));
}

struct Asked {
  std::vector<std::string> texts;
  std::vector<std::vector<float>> vectors;

  Asked(std::mt19937& random, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      texts.push_back(random_text(random));
      vectors.push_back(random_vector(random, dimension));
    }
  }
  [[nodiscard]] RouteQuery query(Kind kind, std::size_t i) const {
    RouteQuery query;
    query.alternatives_limit = 3;
    if (kind != Kind::vector) query.text = texts[i];
    if (kind != Kind::text) {
      query.embedding = vectors[i];
      query.embedding_encoder = "hash-v1";
    }
    return query;
  }
};

// Nanoseconds a query.
double timed(std::size_t count, const std::function<void(std::size_t)>& ask) {
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < count; ++i) ask(i);
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
  return took.count() / static_cast<double>(count);
}

double median(std::vector<double>& values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void require(bool holds) {
  if (!holds) std::abort();
}

struct Entry {
  const char* name;
  std::function<void()> prepare;
  std::function<void(std::size_t)> ask;
  std::vector<double> times{};
  std::vector<double> ratios{};
};

void run(const char* what, std::vector<Entry>& entries, std::size_t rounds) {
  for (std::size_t round = 0; round < rounds; ++round) {
    double router = 0;
    for (Entry& entry : entries) {
      entry.prepare();
      const double took = timed(queries_a_round, entry.ask);
      if (&entry == &entries.front()) router = took;
      if (round < rounds / 5) continue;
      entry.times.push_back(took);
      entry.ratios.push_back(took / router);
    }
  }
  for (Entry& entry : entries) {
    const double least = *std::min_element(entry.times.begin(), entry.times.end());
    std::printf("%-22s %-8s least %9.0f ns  median %9.0f ns  ratio %6.3f\n", what, entry.name,
                least, median(entry.times), median(entry.ratios));
  }
}

void bench(std::size_t utterances, Kind kind, const char* kind_name, std::size_t rounds) {
  std::mt19937 random(3);
  const TenantBinding acme = binding("acme");
  const TenantId id = TenantId::parse("acme").value();
  TenantRouter router(id, tenant_of(utterances, random));
  RoutingCache hits(id, exact);
  RoutingCache misses(id, exact);
  RoutingCache full(id, soon_full);
  RoutingCache seeks(id, lenient);
  RoutingCache similar(id, lenient);
  const Asked usual(random, queries_a_round);
  Asked fresh(random, queries_a_round);
  Asked near = usual;
  const auto ask = [&](RoutingCache& cache, const Asked& asked, std::size_t i) {
    const auto decision = cache.route(acme.context(), router, asked.query(kind, i));
    require(decision.has_value());
    return decision->source;
  };
  for (std::size_t i = 0; i < queries_a_round; ++i) (void)ask(hits, usual, i);
  for (std::size_t i = 0; i < queries_a_round; ++i) (void)ask(similar, usual, i);
  const auto nothing = [] {};
  const auto renew = [&] { fresh = Asked(random, queries_a_round); };
  const auto approach = [&] {
    static float step = 0;
    step += 1e-6F;
    for (auto& vector : near.vectors) vector[0] += step;
  };
  std::vector<Entry> entries;
  entries.push_back({"router", renew, [&](std::size_t i) {
                       require(router.route(acme.context(), fresh.query(kind, i)).has_value());
                     }});
  entries.push_back({"miss", renew, [&](std::size_t i) {
                       require(ask(misses, fresh, i) == DecisionSource::computed);
                     }});
  entries.push_back({"full", renew, [&](std::size_t i) {
                       require(ask(full, fresh, i) == DecisionSource::computed);
                     }});
  entries.push_back({"seek", renew, [&](std::size_t i) { (void)ask(seeks, fresh, i); }});
  entries.push_back({"hit", nothing, [&](std::size_t i) {
                       require(ask(hits, usual, i) == DecisionSource::cached);
                     }});
  if (kind != Kind::text) {
    entries.push_back({"similar", approach, [&](std::size_t i) {
                         require(ask(similar, near, i) != DecisionSource::computed);
                       }});
  }
  const std::string what = std::to_string(utterances) + " " + kind_name;
  run(what.c_str(), entries, rounds);
}

void bench_values() {
  const TenantBinding acme = binding("acme");
  TenantCache cache(TenantId::parse("acme").value(), {16U << 20U, 100'000});
  const std::string value(200, 'v');
  std::vector<std::string> keys;
  for (int i = 0; i < 100'000; ++i) keys.push_back("session:" + std::to_string(i * 7919));
  const auto set = [&](std::size_t i) {
    require(cache.set(acme.context(), keys[i], value, 0, 0, 1).has_value());
  };
  const auto get = [&](std::size_t i) {
    require(cache.get(acme.context(), keys[i], 1).has_value());
  };
  std::printf("values of 200 bytes: set %.0f ns, get %.0f ns\n", timed(keys.size(), set),
              timed(keys.size(), get));
}

}  // namespace

int main(int count, char** arguments) {
  std::size_t rounds = 300;
  if (count == 3 && std::strcmp(arguments[1], "--rounds") == 0) {
    rounds = static_cast<std::size_t>(std::atoll(arguments[2]));
  }
  for (const std::size_t utterances : {50U, 1000U, 10'000U}) {
    bench(utterances, Kind::text, "text", rounds);
    bench(utterances, Kind::vector, "vector", rounds);
    bench(utterances, Kind::both, "both", rounds);
  }
  bench_values();
}
