// A request through the whole path, client library → transport → confined worker → back, beside
// what it is compared with.
//
// A request is a route with an embedding of 384 floats at a tenant without routes: 1,600 B there,
// about 64 B back, a message as any client sends it, decoded and checked as any, with no route to
// compare it with. "set" stores a cache entry in a request of the same size: the path without a
// router's work, as a client takes it. A ping is the path without bytes. Each
// round measures every subject once, in shuffled order; what counts is the ratio to the direct
// socketpair of the same round.
//
// usage: path_bench SOCKET TENANTS PLACE ROUNDS CALLS [GROUP [CASES]]
// TENANTS: by commas. PLACE: S (all on CPU 0), X (workers and peers on CPU 1), the caller has
// pinned the workers; or F (nobody is pinned), which measures all tenants at once instead of one.
// GROUP: the cgroup directory of a worker, for peers with the same burden; p50_group_ratio is to
// the socketpair whose server is one of them, 0 where there is none. CASES: only these, by commas,
// as the output names them ("ring route/1/1"), and the socketpairs that they are compared with.
// Prints one JSON object: per subject, depth and number at once the medians over rounds.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "client/include/tenantd/client.h"
#include "shared/base/clock.h"
#include "tests/bench/path_peers.h"

using namespace tenantd;
using namespace tenantd::bench;

namespace {

constexpr std::size_t dimension = 384;

struct Figures {
  double p50_us = 0;
  double p99_us = 0;
  double per_second = 0;
};

struct Options {
  std::string socket;
  std::vector<std::string> tenants;
  char place = 'S';
  [[nodiscard]] int peer_cpu() const noexcept {
    return place == 'F' ? any_cpu : place == 'X' ? 1 : 0;
  }
  int rounds = 7;
  int calls = 4000;
  std::string group;
  std::vector<std::string> only;  // empty: all cases
};

class ClientPeer : public Peer {
 public:
  enum class Operation { route, ping, set };
  ClientPeer(const Options& options, const std::string& tenant, Transport transport,
             Operation operation)
      : operation_(operation), vector_(dimension) {
    ConnectOptions connect;
    connect.socket_path = options.socket;
    connect.transport = transport;
    auto client = Client::open(tenant, connect);
    if (!client) {
      std::fprintf(stderr, "%s\n", client.error().describe().c_str());
      std::exit(1);
    }
    client_ = std::make_unique<Client>(std::move(*client));
    std::mt19937 dice(7);
    for (float& value : vector_) value = std::uniform_real_distribution<float>(-1, 1)(dice);
    RouteRequest request;
    request.embedding = vector_;
    request.alternatives = 0;
    requests_.assign(most_in_flight, request);
  }
  bool run(int depth) override {
    if (operation_ == Operation::ping) return client_->ping().has_value();
    if (operation_ == Operation::set) return client_->cache_set("key", entry_).has_value();
    if (depth == 1) return client_->route(requests_.front()).has_value();
    const auto answers =
        client_->route_many(std::span(requests_).first(static_cast<std::size_t>(depth)));
    return answers && std::all_of(answers->begin(), answers->end(),
                                  [](const auto& answer) { return answer.has_value(); });
  }

 private:
  // With its header and the rest of the message: a request's 1,600 bytes.
  static constexpr std::size_t entry_bytes = dimension * sizeof(float) + 24;

  Operation operation_;
  std::string entry_ = std::string(entry_bytes, 'x');
  std::vector<float> vector_;
  std::vector<RouteRequest> requests_;
  std::unique_ptr<Client> client_;
};

std::unique_ptr<Peer> make_peer(const std::string& subject, const Options& options,
                                const std::string& tenant) {
  const int cpu = options.peer_cpu();
  if (subject == "socketpair") return make_socketpair_peer({cpu, {}});
  if (subject == "socketpair in group") return make_socketpair_peer({cpu, options.group});
  if (subject == "relay") return make_relay_peer({cpu, {}});
  if (subject == "floor") return make_floor_peer({cpu, {}});
  if (subject == "floor in group") return make_floor_peer({cpu, options.group});
#ifdef TENANTD_BENCH_GRPC
  if (subject == "grpc") return make_grpc_peer({cpu, {}});
#endif
  const Transport transport = subject.starts_with("stream") ? Transport::stream : Transport::ring;
  using enum ClientPeer::Operation;
  return std::make_unique<ClientPeer>(options, tenant, transport,
                                      subject.ends_with("ping")  ? ping
                                      : subject.ends_with("set") ? set
                                                                 : route);
}

// Latency is a batch's: from its first byte to its last answer.
Figures measure(Peer& peer, int depth, int calls) {
  std::vector<double> micros;
  for (int i = 0; i < calls / 10; i += depth) (void)peer.run(depth);
  const std::uint64_t start_ns = monotonic_ns();
  int done = 0;
  for (; done < calls; done += depth) {
    const std::uint64_t before_ns = monotonic_ns();
    if (!peer.run(depth)) ::_exit(1);
    micros.push_back(static_cast<double>(monotonic_ns() - before_ns) / 1e3);
  }
  const double seconds = static_cast<double>(monotonic_ns() - start_ns) / 1e9;
  std::sort(micros.begin(), micros.end());
  return {micros[micros.size() / 2], micros[micros.size() * 99 / 100], done / seconds};
}

// As many callers at once as asked for, each a process with a tenant (or peer) of its own: the
// median p50, the worst p99, the sum of the rates.
Figures measure_at_once(const std::string& subject, const Options& options, int depth,
                        std::size_t at_once) {
  int results[2];
  int gate[2];
  if (::pipe(results) != 0 || ::pipe(gate) != 0) std::exit(1);
  for (std::size_t i = 0; i < at_once; ++i) {
    if (::fork() != 0) continue;
    ::close(gate[1]);
    pin_to(options.place == 'F' ? any_cpu : 0);
    {
      const auto peer = make_peer(subject, options, options.tenants[i]);
      char wait = 0;
      (void)!::read(gate[0], &wait, 1);
      const Figures figures = measure(*peer, depth, options.calls);
      if (::write(results[1], &figures, sizeof figures) < 0) ::_exit(1);
    }
    ::_exit(0);
  }
  ::close(gate[0]);
  ::close(gate[1]);
  ::close(results[1]);
  std::vector<Figures> all;
  for (Figures figures; ::read(results[0], &figures, sizeof figures) == sizeof figures;) {
    all.push_back(figures);
  }
  ::close(results[0]);
  while (::wait(nullptr) > 0) {
  }
  if (all.size() != at_once) {
    std::fprintf(stderr, "%s: a caller failed\n", subject.c_str());
    std::exit(1);
  }
  std::sort(all.begin(), all.end(),
            [](const Figures& a, const Figures& b) { return a.p50_us < b.p50_us; });
  Figures total{all[all.size() / 2].p50_us, 0, 0};
  for (const Figures& figures : all) {
    total.p99_us = std::max(total.p99_us, figures.p99_us);
    total.per_second += figures.per_second;
  }
  return total;
}

struct Case {
  std::string subject;
  int depth = 1;
  std::size_t at_once = 1;
  [[nodiscard]] std::string name() const {
    return subject + "/" + std::to_string(depth) + "/" + std::to_string(at_once);
  }
};

std::vector<Case> all_cases(const Options& options) {
  std::vector<Case> cases;
  if (options.place == 'F') {
    for (const char* subject : {"socketpair", "relay", "ring route", "stream route"}) {
      cases.push_back({subject, 1, options.tenants.size()});
    }
    return cases;
  }
  for (const int depth : {1, 16, 64}) {
    for (const char* subject : {"socketpair", "relay", "ring route", "stream route"}) {
      cases.push_back({subject, depth, 1});
    }
  }
#ifdef TENANTD_BENCH_GRPC
  for (const int depth : {1, 16, 64}) cases.push_back({"grpc", depth, 1});
#endif
  cases.push_back({"ring ping", 1, 1});
  cases.push_back({"ring set", 1, 1});
  cases.push_back({"floor", 1, 1});
  if (!options.group.empty()) {
    cases.push_back({"floor in group", 1, 1});
    cases.push_back({"socketpair in group", 1, 1});
  }
  return cases;
}

std::vector<Case> cases_of(const Options& options) {
  std::vector<Case> cases = all_cases(options);
  if (options.only.empty()) return cases;
  std::erase_if(cases, [&options](const Case& each) {
    return !each.subject.starts_with("socketpair") &&
           std::find(options.only.begin(), options.only.end(), each.name()) == options.only.end();
  });
  const std::vector<Case> wanted = cases;
  std::erase_if(cases, [&wanted](const Case& each) {  // a socketpair that nothing is compared with
    return std::none_of(wanted.begin(), wanted.end(), [&each](const Case& other) {
      return other.depth == each.depth && !other.subject.starts_with("socketpair");
    });
  });
  return cases;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

struct Samples {
  std::vector<double> p50, p99, per_second, p50_ratio, p99_ratio, rate_ratio, p50_group_ratio;
};

void report(const std::vector<Case>& cases, std::map<std::string, Samples>& samples) {
  std::printf("{");
  const char* comma = "";
  for (const Case& each : cases) {
    const Samples& of = samples[each.name()];
    std::printf(
        "%s\n\"%s\":{\"p50_us\":%.2f,\"p99_us\":%.2f,\"per_second\":%.0f,"
        "\"p50_ratio\":%.3f,\"p99_ratio\":%.3f,\"rate_ratio\":%.3f,\"p50_group_ratio\":%.3f}",
        comma, each.name().c_str(), median(of.p50), median(of.p99), median(of.per_second),
        median(of.p50_ratio), median(of.p99_ratio), median(of.rate_ratio),
        median(of.p50_group_ratio));
    comma = ",";
  }
  std::printf("}\n");
}

std::vector<std::string> split(const char* text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) return 2;
  Options options;
  options.socket = argv[1];
  options.tenants = split(argv[2]);
  options.place = argv[3][0];
  options.rounds = std::atoi(argv[4]);
  options.calls = std::atoi(argv[5]);
  if (argc > 6) options.group = argv[6];
  if (argc > 7) options.only = split(argv[7]);
  (void)::signal(SIGPIPE, SIG_IGN);
  std::mt19937 dice(static_cast<unsigned>(monotonic_ns()));
  const std::vector<Case> cases = cases_of(options);
  std::map<std::string, Samples> samples;
  for (int round = 0; round < options.rounds; ++round) {
    std::vector<Case> order = cases;
    std::shuffle(order.begin(), order.end(), dice);
    std::map<std::string, Figures> figures;
    for (const Case& each : order) {
      figures[each.name()] = measure_at_once(each.subject, options, each.depth, each.at_once);
    }
    for (const Case& each : cases) {
      const Figures& mine = figures[each.name()];
      const Figures& plain = figures[Case{"socketpair", each.depth, each.at_once}.name()];
      Samples& of = samples[each.name()];
      of.p50.push_back(mine.p50_us);
      of.p99.push_back(mine.p99_us);
      of.per_second.push_back(mine.per_second);
      of.p50_ratio.push_back(mine.p50_us / plain.p50_us);
      of.p99_ratio.push_back(mine.p99_us / plain.p99_us);
      of.rate_ratio.push_back(mine.per_second / plain.per_second);
      const auto grouped = figures.find("socketpair in group/1/1");
      if (each.depth == 1 && grouped != figures.end()) {
        of.p50_group_ratio.push_back(mine.p50_us / grouped->second.p50_us);
      }
    }
  }
  report(cases, samples);
  return 0;
}
