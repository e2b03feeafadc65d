// An index of many vectors at the library's level: how long it is built, what it finds, what a
// query costs and what stays in memory; and the same queries without it.
//
// `index_bench DIRECTORY [--vectors N] [--routes N] [--data FILE] [--share S] [--noise S] [--iid]`:
// each vector is a real one of FILE (floats, 384 a vector; of a route's three), with `share` of
// another real one and `noise` of random directions added; --iid: random directions alone. The
// queries are made likewise, of their own random numbers. One thread; DIRECTORY gets the scratch
// file of the floats and the index file. Times are of the wall, and of the thread's CPU beside it.
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <string>

#include "tests/unit/worker/router/fixtures.h"
#include "worker/store/index_file.h"
#include "worker/store/index_keeper.h"

using namespace tenantd;
using namespace tenantd::fixtures;

namespace {

constexpr std::uint32_t dimension = 384;
constexpr std::size_t warm_up = 20;

struct Options {
  std::string directory;
  std::string data = "../shared/data/capdocs_minilm.d384.f32";
  std::size_t vectors = 1'000'000;
  std::size_t routes = 1000;
  float share = 0.6F;
  float noise = 0.6F;
  bool iid = false;
};

bool parse(int argc, char** argv, Options& options) {
  if (argc < 2) return false;
  options.directory = argv[1];
  for (int i = 2; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--iid") {
      options.iid = true;
      continue;
    }
    if (++i == argc) return false;
    if (flag == "--vectors") options.vectors = std::stoul(argv[i]);
    if (flag == "--routes") options.routes = std::stoul(argv[i]);
    if (flag == "--data") options.data = argv[i];
    if (flag == "--share") options.share = std::stof(argv[i]);
    if (flag == "--noise") options.noise = std::stof(argv[i]);
  }
  return true;
}

struct Clock {
  static double read(clockid_t which) {
    timespec time{};
    (void)::clock_gettime(which, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  }
  double wall = read(CLOCK_MONOTONIC);
  double cpu = read(CLOCK_THREAD_CPUTIME_ID);
  [[nodiscard]] double wall_s() const { return read(CLOCK_MONOTONIC) - wall; }
  [[nodiscard]] double cpu_s() const { return read(CLOCK_THREAD_CPUTIME_ID) - cpu; }
};

// Of this process, in MB.
double memory_mb(const char* which) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(which, 0) == 0) return std::stod(line.substr(std::strlen(which) + 1)) / 1024;
  }
  return 0;
}

class Source {
 public:
  explicit Source(const Options& options) : options_(options) {
    std::ifstream file(options.data, std::ios::binary | std::ios::ate);
    real_.resize(static_cast<std::size_t>(std::max<long>(file.tellg(), 0)) / sizeof(float));
    file.seekg(0);
    file.read(reinterpret_cast<char*>(real_.data()),
              static_cast<long>(real_.size() * sizeof(float)));
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0, 1.0F / std::sqrt(384.0F));
    noise_.resize(std::size_t{1} << 22U);
    for (float& value : noise_) value = normal(random);
  }
  [[nodiscard]] bool ready() const { return options_.iid || real_.size() >= 3 * dimension; }
  [[nodiscard]] std::vector<float> vector(std::mt19937& random, std::size_t route) const {
    const float* noise = noise_.data() + random() % (noise_.size() - dimension);
    std::vector<float> out(noise, noise + dimension);
    if (options_.iid) return out;
    const std::size_t count = real_.size() / dimension;
    const float* base = real_.data() + dimension * ((route * 7 + random() % 3) % count);
    const float* other = real_.data() + dimension * (random() % count);
    for (std::size_t j = 0; j < dimension; ++j) {
      out[j] = base[j] + options_.share * other[j] + options_.noise * out[j];
    }
    return out;
  }

 private:
  const Options& options_;
  std::vector<float> real_;
  std::vector<float> noise_;
};

std::shared_ptr<const RouteSet> make_set(const Options& options, const Source& source) {
  std::mt19937 random(2);
  std::vector<std::shared_ptr<const RouteBlock>> blocks;
  for (std::size_t r = 0; r < options.routes; ++r) {
    RouteDefinition route;
    route.id = std::to_string(1'000'000 + r);
    for (std::size_t i = 0; i < options.vectors / options.routes; ++i) {
      route.utterances.push_back({"", source.vector(random, r), "e"});
    }
    blocks.push_back(build_route(route, dimension));
  }
  return build_route_set(std::move(blocks), dimension);
}

struct Asked {
  std::vector<double> wall_ms;
  std::vector<double> cpu_ms;
  std::vector<std::string> routes;
  void print(const char* name) {
    std::sort(wall_ms.begin(), wall_ms.end());
    std::sort(cpu_ms.begin(), cpu_ms.end());
    const auto at = [](const std::vector<double>& values, std::size_t percent) {
      return values[values.size() * percent / 100];
    };
    std::printf("%-20s p50 %7.3f ms (CPU %7.3f)   p99 %7.3f ms (CPU %7.3f)   %zu queries\n", name,
                at(wall_ms, 50), at(cpu_ms, 50), at(wall_ms, 99), at(cpu_ms, 99), wall_ms.size());
  }
};

Asked ask(const Options& options, const Source& source, const RouteSnapshot& snapshot,
          std::size_t count) {
  const TenantBinding tenant = binding("acme");
  TenantRouter router(tenant.context().tenant(), std::make_shared<RouteSnapshot>(snapshot));
  std::mt19937 random(3);
  Asked asked;
  for (std::size_t i = 0; i < count + warm_up; ++i) {
    const std::vector<float> vector = source.vector(random, random() % options.routes);
    RouteQuery query;
    query.embedding = vector;
    query.alternatives_limit = 1;
    const Clock clock;
    const auto decision = router.route(tenant.context(), query);
    if (i < warm_up) continue;
    asked.wall_ms.push_back(clock.wall_s() * 1e3);
    asked.cpu_ms.push_back(clock.cpu_s() * 1e3);
    const bool has_route = decision && (!decision->is_fallback || !decision->alternatives.empty());
    asked.routes.push_back(!has_route              ? std::string()
                           : decision->is_fallback ? decision->alternatives[0].route
                                                   : decision->route);
  }
  return asked;
}

void report(const Options& options, const Source& source) {
  const double before_mb = memory_mb("RssAnon:");  // the benchmark's own
  RouteSnapshot snapshot;
  snapshot.settings = settings(dimension, "e");
  snapshot.settings.router.aggregation = Aggregation::top_k_mean;
  snapshot.settings.router.index = VectorIndexKind::ivf;
  snapshot.scoring = snapshot.settings.router;
  snapshot.calibration = default_calibration(snapshot.scoring);
  const Clock making;
  snapshot.set = make_set(options, source);
  std::printf("%zu vectors in %zu routes made in %.1f s, kernels %s\n", snapshot.set->vector_count,
              snapshot.set->routes.size(), making.wall_s(), best_kernels().name);
  IndexKeeper keeper;
  keeper.restore(options.directory + "/routes.index", options.directory + "/routes.vectors",
                 snapshot);
  const Clock building;
  double longest_ms = 0;
  std::size_t steps = 0;
  for (bool more = true; more; ++steps) {
    const Clock step;
    more = keeper.improve(snapshot).more;
    longest_ms = std::max(longest_ms, step.cpu_s() * 1e3);
  }
  keeper.place(snapshot);
  const IndexStatus status = keeper.report()->get();
  std::printf("built in %.1f s of CPU (%.1f s), %zu steps, the longest %.1f ms of CPU\n",
              building.cpu_s(), building.wall_s(), steps, longest_ms);
  std::printf("state %d %s\nrecall@1 %.4f, at least %.4f, of %u; %u lists, %llu rows a query\n",
              static_cast<int>(status.state), status.reason.c_str(),
              static_cast<double>(status.quality.recall),
              static_cast<double>(status.quality.recall_at_least), status.quality.sampled,
              status.lists, static_cast<unsigned long long>(status.quality.probe_rows));
  (void)::malloc_trim(0);
  const double codes_mb = static_cast<double>(options.vectors) * dimension / (1024 * 1024);
  const double anonymous_mb = memory_mb("RssAnon:") - before_mb;
  std::printf(
      "int8 data %.0f MB, index %.1f MB; resident: anonymous %.0f MB (%.2f of int8), "
      "file-backed %.0f MB\n",
      codes_mb, static_cast<double>(status.bytes) / (1024 * 1024), anonymous_mb,
      anonymous_mb / codes_mb, memory_mb("RssFile:"));
  Asked exact_asked;
  {
    RouteSnapshot exact = snapshot;
    exact.index = nullptr;
    exact_asked = ask(options, source, exact, 200);
    exact_asked.print("exact");
  }
  if (snapshot.index == nullptr) return;
  Asked asked = ask(options, source, snapshot, 4000);
  asked.print("through the index");
  std::size_t same = 0;
  for (std::size_t i = 0; i < exact_asked.routes.size(); ++i) {
    same += asked.routes[i] == exact_asked.routes[i] ? 1 : 0;
  }
  std::printf("%zu of %zu new queries got the route of the exact search\n", same,
              exact_asked.routes.size());
  RouteSnapshot again = snapshot;
  again.index = nullptr;
  IndexKeeper next;
  const Clock restoring;
  next.restore(options.directory + "/routes.index", options.directory + "/routes.vectors2", again);
  std::printf("restored from the file in %.1f ms: %s\n", restoring.wall_s() * 1e3,
              again.index != nullptr ? "ready" : "not");
}

}  // namespace

int main(int argc, char** argv) {
  (void)std::setvbuf(stdout, nullptr, _IOLBF, 0);
  // As the worker does.
  (void)::mallopt(M_ARENA_MAX, 1);
  (void)::mallopt(M_TRIM_THRESHOLD, 128 * 1024);
  (void)::mallopt(M_MMAP_THRESHOLD, 128 * 1024);
  Options options;
  if (!parse(argc, argv, options)) {
    std::fprintf(stderr,
                 "usage: index_bench DIRECTORY [--vectors N] [--routes N] [--data FILE] "
                 "[--share S] [--noise S] [--iid]\n");
    return 2;
  }
  const Source source(options);
  if (!source.ready()) {
    std::fprintf(stderr, "%s: no vectors\n", options.data.c_str());
    return 1;
  }
  report(options, source);
  return 0;
}
