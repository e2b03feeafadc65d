// Latency of TenantRouter::route() and route_batch(), whole calls on one thread, beside a floor of
// the same run and, where they are installed and up to 20,000 vectors, FAISS and hnswlib; and the
// cost of edits.
//
// `router_bench [--vectors N]... [--topics N] [--only PART] [--edits]`: microseconds over vectors
// of 384 floats in routes of 20 utterances of 8 words; --only keeps the calls with PART in their
// names. Vectors are random directions; with --topics they lie around N directions of their route's
// own, and queries as well: without, an index finds nothing near anything. "floor" only reads as
// many bytes and multiplies them, with AVX-512 VNNI where the CPU has it, else with AVX2; "fp32"
// multiplies all floats with the kernel that the router uses. Pin it to one core. With --edits also
// an import of 100,000 vectors, with queries running beside a smaller one.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <thread>

#include "tests/bench/asker.h"
#include "tests/bench/router_floor.h"
#include "tests/bench/router_peers.h"
#include "tests/unit/worker/store/store_fixtures.h"
#include "worker/router/dot.h"

using namespace tenantd;
using namespace tenantd::bench;
using namespace tenantd::fixtures;

namespace {

constexpr std::uint32_t dimension = floor_dimension;
constexpr std::size_t route_size = 20;
constexpr std::size_t batch_size = 32;

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

// A graph of 100,000 vectors takes minutes to build.
constexpr std::size_t most_peer_vectors = 20'000;

// Of a route's topics, if it has some; else a direction.
std::vector<float> vector_near(std::mt19937& random, std::span<const std::vector<float>> topics) {
  std::vector<float> vector = random_vector(random, dimension);
  if (topics.empty()) return vector;
  const std::vector<float>& topic = topics[random() % topics.size()];
  for (std::size_t j = 0; j < dimension; ++j) vector[j] = topic[j] + 0.8F * vector[j];
  return vector;
}

RouteDefinition random_route(std::mt19937& random, std::size_t number,
                             std::span<const std::vector<float>> topics = {}) {
  RouteDefinition route;
  route.id = std::to_string(1'000'000 + number);
  for (std::size_t i = 0; i < route_size; ++i) {
    route.utterances.push_back({random_text(random), vector_near(random, topics), "e"});
  }
  return route;
}

// Calls that are timed in turn, so that all of them meet the same weather.
class Contest {
 public:
  void enter(const char* name, double per_call, std::function<void(std::size_t)> call) {
    entries_.push_back({name, per_call, std::move(call), {}});
  }
  // Leaves the floor and what has `part` in its name.
  void keep(const char* part) {
    std::erase_if(entries_, [part](const Entry& entry) {
      return std::strcmp(entry.name, "floor") != 0 && std::strstr(entry.name, part) == nullptr;
    });
  }
  void run(std::size_t rounds) {
    for (std::size_t i = 0; i < rounds; ++i) {
      for (Entry& entry : entries_) {
        // Several calls a turn, the first of which finds the others' data in the cache.
        for (std::size_t call = 0; call < 4; ++call) {
          const auto start = std::chrono::steady_clock::now();
          entry.call(4 * i + call);
          const double elapsed = since_us(start);
          if (i >= rounds / 5 && call > 0) entry.times.push_back(elapsed / entry.per_call);
        }
      }
    }
  }
  void print(std::size_t vectors) {
    double floor = 0;
    double least = 0;
    for (Entry& entry : entries_) {
      std::sort(entry.times.begin(), entry.times.end());
      const double median = entry.times[entry.times.size() / 2];
      if (std::strcmp(entry.name, "floor") == 0) floor = median;
      if (std::strcmp(entry.name, "floor") == 0) least = entry.times.front();
      std::printf("%8zu  %-24s %9.1f %9.1f %9.1f", vectors, entry.name, entry.times.front(), median,
                  entry.times[entry.times.size() * 99 / 100]);
      if (floor > 0) std::printf(" %8.2f %8.2f", entry.times.front() / least, median / floor);
      std::printf("  %zu calls\n", entry.times.size());
    }
  }

 private:
  struct Entry {
    const char* name;
    double per_call;  // queries a call
    std::function<void(std::size_t)> call;
    std::vector<double> times;
  };
  std::vector<Entry> entries_;
};

struct Asked {
  std::vector<std::vector<float>> vectors;
  std::vector<std::string> texts;
  [[nodiscard]] RouteQuery query(std::size_t i, bool with_text) const {
    RouteQuery query;
    query.embedding = vectors[i % vectors.size()];
    if (with_text) query.text = texts[i % texts.size()];
    query.alternatives_limit = 3;
    return query;
  }
};

// The bench's vectors and queries as other libraries take them.
class PeerQueries {
 public:
  PeerQueries(const Matrix& rows, const Asked& asked) : queries_(asked.vectors.size(), dimension) {
    static_assert(dimension % 16 == 0);  // so a Matrix has no padding
    data_.rows = rows.data();
    data_.count = rows.rows();
    data_.dimension = dimension;
    std::vector<float> products(rows.rows() + 16);
    for (std::size_t q = 0; q < queries_.rows(); ++q) {
      if (!normalise(asked.vectors[q], queries_.row(q))) std::abort();
      if (q % 4 != 0) continue;
      const float* const query = queries_.row(q).data();
      best_kernels().dot_rows(query, rows.data(), rows.rows(), rows.stride(), products.data());
      const auto end = products.begin() + static_cast<std::ptrdiff_t>(rows.rows());
      data_.queries.push_back(query);
      data_.nearest.push_back(std::max_element(products.begin(), end) - products.begin());
    }
  }
  [[nodiscard]] std::vector<VectorPeer> make_peers() const {
    std::vector<VectorPeer> peers;
#ifdef TENANTD_BENCH_FAISS
    add_faiss_peers(data_, peers);
#endif
#ifdef TENANTD_BENCH_HNSWLIB
    add_hnswlib_peer(data_, peers);
#endif
    return peers;
  }
  void ask(const VectorPeer& peer, std::size_t i) const {
    if (peer.nearest(queries_.row(i % queries_.rows()).data()) < 0) std::abort();
  }
  // How often the router finds the route of the nearest vector.
  [[nodiscard]] double recall_of_routes(TenantRouter& router,
                                        const ExecutionContext& context) const {
    std::size_t found = 0;
    for (std::size_t q = 0; q < data_.queries.size(); ++q) {
      RouteQuery query;
      query.embedding = {data_.queries[q], dimension};
      const auto decision = router.route(context, query);
      if (!decision) std::abort();
      const auto route = static_cast<std::size_t>(data_.nearest[q]) / route_size;
      found += decision->route == std::to_string(1'000'000 + route) ? 1 : 0;
    }
    return static_cast<double>(found) / static_cast<double>(data_.queries.size());
  }

 private:
  Matrix queries_;
  PeerData data_;
};

// The same routes, each as good as its nearest vector: what a search for that vector finds.
SnapshotPtr by_nearest(const RouteSnapshot& snapshot) {
  auto other = std::make_shared<RouteSnapshot>(snapshot);
  other->settings.router.aggregation = other->scoring.aggregation = Aggregation::max;
  other->settings.router.threshold = 0;
  return other;
}

void report_queries(std::size_t vectors, std::size_t topic_count, const char* only) {
  std::mt19937 random(1);
  std::vector<RouteDefinition> routes;
  std::vector<std::vector<std::vector<float>>> topics(vectors / route_size);
  Matrix floats(vectors, dimension);
  for (std::size_t i = 0; i < topics.size(); ++i) {
    for (std::size_t t = 0; t < topic_count; ++t) {
      topics[i].push_back(random_vector(random, dimension));
    }
    routes.push_back(random_route(random, i, topics[i]));
    for (std::size_t u = 0; u < route_size; ++u) {
      const auto& vector = routes.back().utterances[u].embedding;
      if (!normalise(vector, floats.row(i * route_size + u))) std::abort();
    }
  }
  const SnapshotPtr current = snapshot(routes, settings(dimension, "e"));
  routes.clear();
  TenantRouter router(acme(), current);
  const TenantBinding tenant(acme());
  Asked asked;
  for (int i = 0; i < 512; ++i) {
    asked.vectors.push_back(vector_near(random, topics[random() % topics.size()]));
    asked.texts.push_back(random_text(random));
  }
  Contest contest;
  QuantisedRows bytes(vectors, dimension);
  std::vector<std::int32_t> products(vectors);
  QuantisedQuery codes;
  codes.set(asked.vectors[0]);
  alignas(64) std::int16_t words[dimension] = {1, -2, 3};
  if (has_floor()) {
    contest.enter("floor", 1, [&](std::size_t) {
      if (has_vnni_floor()) {
        read_and_multiply(bytes.view().codes, vectors, codes.view().high, products.data());
      } else {
        read_and_multiply_avx2(bytes.view().codes, vectors, words, products.data());
      }
    });
  }
  std::vector<float> bounds(vectors + 16);
  contest.enter("first pass alone", 1, [&](std::size_t) {
    std::size_t first = 0;
    for (const PlacedSegment& placed : current->set->segments) {
      best_kernels().scan(codes.view(), placed.segment->rows.view(), bounds.data() + first);
      first += placed.segment->row_count;
    }
  });
  std::vector<Result<RouteDecision>> decisions;
  for (const bool with_text : {false, true}) {
    contest.enter(with_text ? "route, both" : "route, embedding", 1, [&, with_text](std::size_t i) {
      if (!router.route(tenant.context(), asked.query(i, with_text))) std::abort();
    });
    contest.enter(with_text ? "32 at once, both, each" : "32 at once, each", batch_size,
                  [&, with_text](std::size_t i) {
                    std::vector<RouteQuery> queries;
                    for (std::size_t q = 0; q < batch_size; ++q) {
                      queries.push_back(asked.query(i * batch_size + q, with_text));
                    }
                    if (!router.route_batch(tenant.context(), queries, decisions)) std::abort();
                  });
  }
  TenantRouter nearest_router(acme(), by_nearest(*current));
  contest.enter("route, nearest vector's", 1, [&](std::size_t i) {
    if (!nearest_router.route(tenant.context(), asked.query(i, false))) std::abort();
  });
  Matrix query(1, dimension);
  if (!normalise(asked.vectors[0], query.row(0))) std::abort();
  std::vector<float> scores(vectors);
  contest.enter("fp32, all products", 1, [&](std::size_t) {
    best_kernels().dot_rows(query.data(), floats.data(), vectors, floats.stride(), scores.data());
  });
  const PeerQueries peer_queries(floats, asked);
  std::vector<VectorPeer> peers;
  if (vectors <= most_peer_vectors) peers = peer_queries.make_peers();
  for (const VectorPeer& peer : peers) {
    contest.enter(peer.name.c_str(), 1, [&](std::size_t i) { peer_queries.ask(peer, i); });
  }
  contest.keep(only);
  contest.run(vectors >= 100'000 ? 40 : vectors >= 10'000 ? 200 : 500);
  contest.print(vectors);
  std::size_t held = 0;
  for (const PlacedSegment& placed : current->set->segments) {
    held += placed.segment->rows.memory_bytes();
  }
  std::printf("%8zu  bytes a vector: %zu in the first pass, %zu as floats\n", vectors,
              held / vectors, floats.stride() * sizeof(float));
  std::printf("%8zu  the nearest vector's route: recall@1 %.3f\n", vectors,
              peer_queries.recall_of_routes(nearest_router, tenant.context()));
  for (const VectorPeer& peer : peers) {
    std::printf("%8zu  %s: recall@1 %.3f, bytes a vector: %.0f\n", vectors, peer.name.c_str(),
                peer.recall, peer.vector_bytes);
  }
}

void report_edits(std::size_t vectors, bool with_queries) {
  std::mt19937 random(2);
  const DataDirectory directory;
  const TenantBinding tenant(acme());
  TenantSettings wanted = settings(dimension, "e");
  wanted.max_routes = 100'000;
  auto store = open_store(directory).value();
  auto editor = RouteEditor::open(tenant.context(), *store, wanted).value();
  const std::unique_ptr<TenantRouter> router = editor.make_router(tenant.context());
  std::optional<Asker> asker;
  if (with_queries) asker.emplace(*router);
  constexpr std::size_t batch = 80;  // about what fits a frame
  double total = 0;
  double worst = 0;
  std::vector<RouteEdit> edits;
  for (std::size_t i = 0; i < vectors / route_size; ++i) {
    edits.push_back({RouteEditKind::put, random_route(random, i)});
    if (edits.size() * route_size < batch && i + 1 < vectors / route_size) continue;
    const auto start = std::chrono::steady_clock::now();
    if (!editor.apply(tenant.context(), edits)) std::abort();
    const double elapsed = since_us(start);
    total += elapsed;
    worst = std::max(worst, elapsed);
    edits.clear();
  }
  std::printf("import of %zu vectors in batches of %zu: %.1f s, slowest batch %.0f ms\n", vectors,
              batch, total / 1e6, worst / 1e3);
  if (asker) {
    asker->report();
    // What the machine does to an answer while another thread only computes, for as long.
    asker.emplace(*router);
    double sum = 0;
    for (const auto begin = std::chrono::steady_clock::now(); since_us(begin) < total;) {
      for (int i = 0; i < 1000; ++i) sum += std::sqrt(static_cast<double>(i) + sum);
    }
    std::printf("beside a thread that only computes (%.0f): ", std::fmod(sum, 10));
    asker->report();
  }
  const auto start = std::chrono::steady_clock::now();
  editor = RouteEditor::open(tenant.context(), *store, wanted).value();
  std::printf("load of %zu vectors: %.3f s\n", vectors, since_us(start) / 1e6);
}

}  // namespace

double bench::recall_of(const PeerData& data,
                        const std::function<std::int64_t(const float*)>& nearest) {
  std::size_t found = 0;
  for (std::size_t q = 0; q < data.queries.size(); ++q) {
    found += nearest(data.queries[q]) == data.nearest[q] ? 1 : 0;
  }
  return static_cast<double>(found) / static_cast<double>(data.queries.size());
}

int main(int argc, char** argv) {
  std::vector<std::size_t> sizes;
  bool edits = false;
  const char* only = "";
  std::size_t topics = 0;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--edits") == 0) edits = true;
    if (std::strcmp(argv[i], "--only") == 0 && i + 1 < argc) only = argv[++i];
    if (std::strcmp(argv[i], "--topics") == 0 && i + 1 < argc) {
      topics = std::strtoul(argv[++i], nullptr, 10);
    }
    if (std::strcmp(argv[i], "--vectors") == 0 && i + 1 < argc) {
      sizes.push_back(std::strtoul(argv[++i], nullptr, 10));
    }
  }
  if (sizes.empty() && !edits) sizes = {1'000, 10'000, 100'000};
  std::printf(
      "kernels: %s\n vectors  call                      least us    p50 us    p99 us  x floor: "
      "least, p50\n",
      best_kernels().name);
  for (const std::size_t vectors : sizes) report_queries(vectors, topics, only);
  if (edits) {
    report_edits(10'000, true);
    report_edits(100'000, false);
  }
  return 0;
}
