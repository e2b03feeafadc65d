// Routes one sentence over and over on one attachment until its standard input closes, then prints
// one JSON line:
// {"answered":N,"errors":N,"longest_ms":X,"reconnects":N,"first_error":"..."}. Prints "started"
// after the first answer.
//
// usage: load_client SOCKET TENANT ring|stream TEXT
#include <poll.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "client/include/tenantd/client.h"
#include "shared/base/clock.h"

namespace {

bool stdin_closed() {
  pollfd input{0, POLLIN | POLLHUP, 0};
  return ::poll(&input, 1, 0) > 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  tenantd::ConnectOptions options;
  options.socket_path = argv[1];
  options.transport =
      std::strcmp(argv[3], "ring") == 0 ? tenantd::Transport::ring : tenantd::Transport::stream;
  options.timeout_ms = 10'000;
  auto client = tenantd::Client::open(argv[2], options);
  if (!client) {
    std::fprintf(stderr, "%s\n", client.error().describe().c_str());
    return 1;
  }
  std::uint64_t answered = 0;
  std::uint64_t errors = 0;
  std::uint64_t longest_ns = 0;
  std::string first_error;
  while (!stdin_closed()) {
    const std::uint64_t start_ns = tenantd::monotonic_ns();
    const auto reply = client->route_text(argv[4]);
    longest_ns = std::max(longest_ns, tenantd::monotonic_ns() - start_ns);
    if (reply) {
      if (answered++ == 0) {
        std::puts("started");
        std::fflush(stdout);
      }
    } else if (errors++ == 0) {
      first_error = reply.error().describe();
    }
  }
  std::printf("{\"answered\":%llu,\"errors\":%llu,\"longest_ms\":%.3f,\"first_error\":\"%s\"}\n",
              static_cast<unsigned long long>(answered), static_cast<unsigned long long>(errors),
              static_cast<double>(longest_ns) / 1e6, first_error.c_str());
  return 0;
}
