// One synchronous call at a time through the whole path client library → transport → confined
// worker → back, beside a direct socketpair echo of the same round: 1,600 B there, 64 B back.
//
// usage: call_bench SOCKET TENANT DIMENSION ROUNDS CALLS
// Prints one JSON object: per transport and per peer the median over rounds of p50 and p99 in
// microseconds and of calls per second. Rounds shuffle the order, so that the machine's drift hits
// all alike.
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "client/include/tenantd/client.h"
#include "shared/base/clock.h"

namespace {

constexpr std::size_t request_bytes = 1600;
constexpr std::size_t answer_bytes = 64;

struct Round {
  double p50_us = 0;
  double p99_us = 0;
  double per_second = 0;
};

bool transfer(int fd, char* buffer, std::size_t size, bool sending) {
  for (std::size_t done = 0; done < size;) {
    const ssize_t n =
        sending ? ::write(fd, buffer + done, size - done) : ::read(fd, buffer + done, size - done);
    if (n <= 0) return false;
    done += static_cast<std::size_t>(n);
  }
  return true;
}

[[noreturn]] void echo_peer(int fd) {
  std::array<char, request_bytes> buffer{};
  while (transfer(fd, buffer.data(), request_bytes, false) &&
         transfer(fd, buffer.data(), answer_bytes, true)) {
  }
  _exit(0);
}

Round measure(int calls, const std::function<bool()>& call) {
  std::vector<double> micros;
  micros.reserve(static_cast<std::size_t>(calls));
  for (int i = 0; i < calls / 10; ++i) (void)call();
  const std::uint64_t start_ns = tenantd::monotonic_ns();
  for (int i = 0; i < calls; ++i) {
    const std::uint64_t before_ns = tenantd::monotonic_ns();
    if (!call()) std::exit(1);
    micros.push_back(static_cast<double>(tenantd::monotonic_ns() - before_ns) / 1e3);
  }
  const double seconds = static_cast<double>(tenantd::monotonic_ns() - start_ns) / 1e9;
  std::sort(micros.begin(), micros.end());
  return {micros[micros.size() / 2], micros[micros.size() * 99 / 100], calls / seconds};
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

tenantd::Client connect(const char* socket, const char* tenant, tenantd::Transport transport) {
  tenantd::ConnectOptions options;
  options.socket_path = socket;
  options.transport = transport;
  auto client = tenantd::Client::open(tenant, options);
  if (!client) {
    std::fprintf(stderr, "%s\n", client.error().describe().c_str());
    std::exit(1);
  }
  return std::move(*client);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  const int rounds = std::atoi(argv[4]);
  const int calls = std::atoi(argv[5]);
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) return 1;
  const pid_t peer = ::fork();
  if (peer == 0) {
    ::close(pair[0]);
    echo_peer(pair[1]);
  }
  ::close(pair[1]);
  auto ring = connect(argv[1], argv[2], tenantd::Transport::ring);
  auto stream = connect(argv[1], argv[2], tenantd::Transport::stream);
  std::mt19937 dice(7);
  std::vector<float> vector(static_cast<std::size_t>(std::atoi(argv[3])));
  for (float& value : vector) value = std::uniform_real_distribution<float>(-1, 1)(dice);
  tenantd::RouteRequest request;
  request.embedding = vector;
  request.alternatives = 0;
  std::array<char, request_bytes> buffer{};
  std::map<std::string, std::function<bool()>> subjects = {
      {"socketpair",
       [&] {
         return transfer(pair[0], buffer.data(), request_bytes, true) &&
                transfer(pair[0], buffer.data(), answer_bytes, false);
       }},
      {"ring_ping", [&] { return ring.ping().has_value(); }},
      {"stream_ping", [&] { return stream.ping().has_value(); }},
      {"ring_route", [&] { return ring.route(request).has_value(); }},
      {"stream_route", [&] { return stream.route(request).has_value(); }},
  };
  std::map<std::string, std::vector<Round>> results;
  std::vector<std::string> order;
  for (const auto& [name, call] : subjects) order.push_back(name);
  for (int round = 0; round < rounds; ++round) {
    std::shuffle(order.begin(), order.end(), dice);
    for (const std::string& name : order) results[name].push_back(measure(calls, subjects[name]));
  }
  std::printf("{");
  const char* comma = "";
  for (const auto& [name, measured] : results) {
    std::vector<double> p50;
    std::vector<double> p99;
    std::vector<double> per_second;
    std::vector<double> ratio;
    for (std::size_t i = 0; i < measured.size(); ++i) {
      p50.push_back(measured[i].p50_us);
      p99.push_back(measured[i].p99_us);
      per_second.push_back(measured[i].per_second);
      ratio.push_back(measured[i].p50_us / results["socketpair"][i].p50_us);
    }
    std::printf("%s\"%s\":{\"p50_us\":%.2f,\"p99_us\":%.2f,\"per_second\":%.0f,\"p50_ratio\":%.3f}",
                comma, name.c_str(), median(p50), median(p99), median(per_second), median(ratio));
    comma = ",";
  }
  std::printf("}\n");
  ::close(pair[0]);
  (void)::waitpid(peer, nullptr, 0);
  return 0;
}
