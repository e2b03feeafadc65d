// Waits for an effect that a client can see, and says nothing: a new tenant's first answer, or a
// changed threshold.
//
// usage: first_answer SOCKET TENANT                        until a ping is answered
//        first_answer SOCKET TENANT TEXT fallback|match    until TEXT falls back, or no longer does
#include <cstdio>
#include <cstring>
#include <ctime>

#include "client/include/tenantd/client.h"
#include "shared/base/clock.h"

namespace {

constexpr std::uint64_t patience_ns = 10'000'000'000ULL;

tenantd::Status try_ping(const char* tenant, const tenantd::ConnectOptions& options) {
  auto client = tenantd::Client::open(tenant, options);
  return client ? client->ping() : tenantd::Status(tl::unexpected(client.error()));
}

bool wait_for_tenant(const char* tenant, const tenantd::ConnectOptions& options,
                     std::uint64_t deadline_ns) {
  for (;;) {
    const tenantd::Status answered = try_ping(tenant, options);
    if (answered) return true;
    const bool unknown = answered.error().code == tenantd::ErrorCode::not_found;
    if (!unknown || tenantd::monotonic_ns() > deadline_ns) {
      std::fprintf(stderr, "%s\n", answered.error().describe().c_str());
      return false;
    }
    const timespec pause{0, 200'000};
    (void)::nanosleep(&pause, nullptr);
  }
}

bool wait_for_decision(tenantd::Client& client, const char* text, bool fallback,
                       std::uint64_t deadline_ns) {
  while (tenantd::monotonic_ns() < deadline_ns) {
    const auto reply = client.route_text(text);
    if (reply && reply->is_fallback == fallback) return true;
    const timespec pause{0, 200'000};
    (void)::nanosleep(&pause, nullptr);
  }
  std::fprintf(stderr, "the change did not take effect\n");
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 && argc != 5) return 2;
  tenantd::ConnectOptions options;
  options.socket_path = argv[1];
  const std::uint64_t deadline_ns = tenantd::monotonic_ns() + patience_ns;
  if (argc == 3) return wait_for_tenant(argv[2], options, deadline_ns) ? 0 : 1;
  auto client = tenantd::Client::open(argv[2], options);
  if (!client) return 1;
  return wait_for_decision(*client, argv[3], std::strcmp(argv[4], "fallback") == 0, deadline_ns)
             ? 0
             : 1;
}
