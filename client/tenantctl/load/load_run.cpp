#include "client/tenantctl/load/load_run.h"

#include <numeric>
#include <random>
#include <system_error>
#include <thread>
#include <utility>

#include "client/tenantctl/load/load_connection.h"
#include "shared/base/clock.h"

namespace tenantd {
namespace {

constexpr std::size_t random_vectors = 64;

// The same vectors in every run, so that runs can be compared.
Result<std::vector<std::vector<std::byte>>> encode_requests(const LoadPlan& plan,
                                                            std::uint32_t dimension) {
  std::vector<std::vector<std::byte>> payloads;
  if (plan.ping) return std::vector<std::vector<std::byte>>(1);
  RouteRequest request;
  request.alternatives = 0;
  std::mt19937 dice(7);
  std::vector<float> vector(plan.texts.empty() ? dimension : 0);
  const std::size_t count = plan.texts.empty() ? random_vectors : plan.texts.size();
  for (std::size_t i = 0; i < count; ++i) {
    if (plan.texts.empty()) {
      for (float& value : vector) value = std::uniform_real_distribution<float>(-1, 1)(dice);
      request.embedding = vector;
    } else {
      request.text = plan.texts[i];
    }
    if (auto encoded = encode(request, payloads.emplace_back()); !encoded) {
      return tl::unexpected(encoded.error());
    }
  }
  return payloads;
}

std::uint64_t own_cpu_ns() noexcept {
  timespec used{};
  (void)::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<std::uint64_t>(used.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(used.tv_nsec);
}

Status run_all(std::vector<std::unique_ptr<LoadConnection>>& connections) {
  if (connections.size() == 1) {
    connections.front()->run(monotonic_ns());
    return {};
  }
  // Those that run first must not have the worker for themselves for long.
  const std::uint64_t start_ns = monotonic_ns();
  std::vector<std::jthread> threads;
  try {
    for (auto& connection : connections) {
      threads.emplace_back([&connection, start_ns] { connection->run(start_ns); });
    }
  } catch (const std::system_error& error) {
    return fail(ErrorCode::unavailable, std::string("no thread for a connection: ") + error.what(),
                "fewer --connections, or raise the limit of processes");
  }
  return {};
}

}  // namespace

std::uint64_t LoadResult::failed() const noexcept {
  return std::accumulate(errors.begin(), errors.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const auto& error) { return sum + error.second; });
}

Result<LoadResult> run_load(const LoadPlan& plan) {
  std::vector<std::vector<std::byte>> payloads;
  LoadShared shared{plan, {}};
  std::vector<std::unique_ptr<LoadConnection>> connections;
  for (std::uint32_t i = 0; i < plan.connections; ++i) {
    auto target = client::tenant_target(plan.tenant, plan.connect);
    if (!target) return tl::unexpected(target.error());
    if (auto checked = client::check_token(target->token); !checked) {
      return tl::unexpected(checked.error());
    }
    auto connection = LoadConnection::open(std::move(*target), shared, i);
    if (!connection) return tl::unexpected(connection.error());
    connections.push_back(std::move(*connection));
  }
  auto encoded = encode_requests(plan, connections.front()->welcome().dimension);
  if (!encoded) return tl::unexpected(encoded.error());
  payloads = std::move(*encoded);
  shared.payloads = payloads;
  const std::uint64_t cpu_before_ns = own_cpu_ns();
  if (auto ran = run_all(connections); !ran) return tl::unexpected(ran.error());
  LoadResult result;
  for (const auto& connection : connections) connection->add_to(result);
  result.cpu_ns = own_cpu_ns() - cpu_before_ns;
  return result;
}

}  // namespace tenantd
