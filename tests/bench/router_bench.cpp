// Latency of TenantRouter::route(), the whole call on one thread, and the cost of edits.
//
// `router_bench [--edits]`: a table of p50 and p99 in microseconds at 1,000, 10,000 and 100,000
// random vectors of 384 floats in routes of 20; with --edits also an import of 100,000 vectors in
// batches of 256.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>

#include "tests/unit/worker/store/store_fixtures.h"

using namespace tenantd;
using namespace tenantd::fixtures;

namespace {

constexpr std::uint32_t dimension = 384;
constexpr std::size_t route_size = 20;

double since_us(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
      .count();
}

std::string random_text(std::mt19937& random) {
  std::string text;
  for (int word = 0; word < 8; ++word) {
    // Few words are common and many are rare, as in language.
    const auto rank = random() % (1U << (1U + random() % 12U));
    text += 'w' + std::to_string(rank) + ' ';
  }
  return text;
}

RouteDefinition random_route(std::mt19937& random, std::size_t number) {
  RouteDefinition route;
  route.id = std::to_string(1'000'000 + number);
  for (std::size_t i = 0; i < route_size; ++i) {
    route.utterances.push_back({random_text(random), random_vector(random, dimension), "e"});
  }
  return route;
}

void report_queries(std::size_t vectors) {
  std::mt19937 random(1);
  std::vector<RouteDefinition> routes;
  for (std::size_t i = 0; i < vectors / route_size; ++i) routes.push_back(random_route(random, i));
  TenantRouter router(acme(), snapshot(routes, settings(dimension, "e")));
  const TenantBinding tenant(acme());
  for (const bool with_text : {false, true}) {
    std::vector<double> times;
    for (int i = 0; i < 1500; ++i) {
      const auto vector = random_vector(random, dimension);
      const std::string text = random_text(random);
      RouteQuery query;
      query.embedding = vector;
      if (with_text) query.text = text;
      query.alternatives_limit = 3;
      const auto start = std::chrono::steady_clock::now();
      const auto decision = router.route(tenant.context(), query);
      const double elapsed = since_us(start);
      if (!decision) std::abort();
      if (i >= 500) times.push_back(elapsed);
    }
    std::sort(times.begin(), times.end());
    std::printf("%8zu  %-17s %10.1f %10.1f\n", vectors,
                with_text ? "embedding + text" : "embedding", times[times.size() / 2],
                times[times.size() * 99 / 100]);
  }
}

void report_edits() {
  std::mt19937 random(2);
  const DataDirectory directory;
  const TenantBinding tenant(acme());
  TenantSettings wanted = settings(dimension, "e");
  wanted.max_routes = 100'000;
  auto store = open_store(directory).value();
  auto editor = RouteEditor::open(tenant.context(), *store, wanted).value();
  constexpr std::size_t batch = 256;
  double total = 0;
  double worst = 0;
  std::vector<RouteEdit> edits;
  // One utterance an edit, as an import of JSON lines sends them; routes fill up one by one.
  for (std::size_t i = 0; i < 100'000; ++i) {
    RouteEdit& edit = edits.emplace_back();
    edit.kind = i % route_size == 0 ? RouteEditKind::put : RouteEditKind::add_utterances;
    edit.route.id = std::to_string(1'000'000 + i / route_size);
    edit.route.utterances.push_back({random_text(random), random_vector(random, dimension), "e"});
    if (edits.size() < batch && i + 1 < 100'000) continue;
    const auto start = std::chrono::steady_clock::now();
    if (!editor.apply(tenant.context(), edits)) std::abort();
    const double elapsed = since_us(start);
    total += elapsed;
    worst = std::max(worst, elapsed);
    edits.clear();
  }
  std::printf("import of 100,000 vectors in batches of %zu: %.1f s, slowest batch %.0f ms\n", batch,
              total / 1e6, worst / 1e3);
  const auto start = std::chrono::steady_clock::now();
  editor = RouteEditor::open(tenant.context(), *store, wanted).value();
  std::printf("load of 100,000 vectors: %.2f s\n", since_us(start) / 1e6);
}

}  // namespace

int main(int argc, char** argv) {
  std::printf(" vectors  query                p50 us     p99 us\n");
  for (const std::size_t vectors : {1'000U, 10'000U, 100'000U}) report_queries(vectors);
  if (argc > 1 && std::strcmp(argv[1], "--edits") == 0) report_edits();
  return 0;
}
