// What recording executions costs a request: Dispatcher::dispatch() of a `route` with sampling 1,
// with one in ten and without, of the same run.
//
// `history_bench [--rounds N]`: a tenant of 200 utterances with 384 floats. The ring is emptied
// between rounds, as the editor thread would, and never overruns. Rounds go through all of them in
// turn, so that all meet the same weather; ratios are medians of each round's ratio to "off" of
// that round.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "shared/protocol/codec.h"
#include "tests/unit/worker/router/fixtures.h"
#include "worker/handlers/dispatcher.h"
#include "worker/history/execution_recorder.h"
#include "worker/router/tenant_router.h"

using namespace tenantd;
using namespace tenantd::fixtures;

namespace {

constexpr std::uint32_t dimension = 384;
constexpr std::size_t requests_a_round = 512;

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int count, char** arguments) {
  int rounds = 400;
  if (count == 3 && std::strcmp(arguments[1], "--rounds") == 0) rounds = std::atoi(arguments[2]);
  std::mt19937 random(1);
  std::vector<RouteDefinition> routes;
  for (int r = 0; r < 20; ++r) {
    RouteDefinition route;
    route.id = "route-" + std::to_string(r);
    for (int u = 0; u < 10; ++u) {
      Utterance& utterance = route.utterances.emplace_back();
      utterance.embedding = random_vector(random, dimension);
      utterance.encoder = "hash-v1";
    }
    routes.push_back(std::move(route));
  }
  const TenantBinding binding(TenantId::parse("acme").value());
  TenantRouter router(binding.context().tenant(), snapshot(routes, settings(dimension)));
  HandlerServices services;
  services.router = &router;
  services.settings = settings(dimension);
  Dispatcher dispatcher(
      services, [](EditJob) -> Status { return fail(ErrorCode::unavailable, "none"); },
      UsageSink());
  ExecutionRecorder recorder(binding.context().tenant(), 2 * requests_a_round, 1,
                             [](ExecutionRecorder::Urgency) {});
  const auto vector = random_vector(random, dimension);
  RouteRequest request;
  request.embedding = vector;
  std::vector<std::byte> payload;
  if (!encode(request, payload)) return 1;
  FrameHeader header;
  header.type = static_cast<std::uint16_t>(MessageType::route);
  header.size = static_cast<std::uint32_t>(payload.size());
  std::vector<std::byte> out;
  const auto timed = [&](ExecutionRecorder* used, std::uint32_t sample_e6) {
    services.recorder = used;
    recorder.set_sample(binding.context(), sample_e6);
    const auto start = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < requests_a_round; ++i) {
      header.request_id = i + 1;
      out.clear();
      (void)dispatcher.dispatch(1, binding.context(), header, payload, out);
    }
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
    recorder.take(binding.context(), [](auto, auto) {});
    recorder.say_again(binding.context());
    return took.count() / static_cast<double>(requests_a_round);
  };
  struct Row {
    const char* name;
    ExecutionRecorder* recorder;
    std::uint32_t sample_e6;
    std::vector<double> nanos{};
    std::vector<double> ratios{};
  };
  std::vector<Row> rows{{"off", nullptr, 0},
                        {"off again", nullptr, 0},
                        {"sample 0.1", &recorder, 100'000},
                        {"sample 1", &recorder, 1'000'000}};
  for (int round = 0; round < rounds; ++round) {
    for (Row& row : rows) row.nanos.push_back(timed(row.recorder, row.sample_e6));
    for (Row& row : rows) row.ratios.push_back(row.nanos.back() / rows[0].nanos.back());
  }
  std::printf("%-12s %14s %14s %8s\n", "", "ns a request", "best", "ratio");
  for (const Row& row : rows) {
    std::printf("%-12s %14.0f %14.0f %8.4f\n", row.name, median(row.nanos),
                *std::min_element(row.nanos.begin(), row.nanos.end()), median(row.ratios));
  }
  std::printf("not recorded: %llu\n",
              static_cast<unsigned long long>(recorder.dropped(binding.context())));
  return 0;
}
