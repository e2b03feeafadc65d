// Latency of TenantRouter::route() and route_batch(), whole calls on one thread, beside a floor of
// the same run and, where it is installed, FAISS; and the cost of edits.
//
// `router_bench [--vectors N]... [--only PART] [--edits]`: microseconds over vectors of 384 random
// floats in routes of 20 utterances of 8 words; --only keeps the calls with PART in their names.
// "floor" only reads as many bytes and multiplies them, with AVX-512 VNNI where the CPU has it,
// else with AVX2; "fp32" multiplies all floats with the kernel that the router uses. Pin it to one
// core. With --edits also an import of 100,000 vectors, with queries running beside a smaller one.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <thread>

#if defined(__x86_64__)
#pragma GCC diagnostic ignored "-Wuninitialized"  // g++ 12, in its own header (GCC bug 105593)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#endif
#ifdef TENANTD_BENCH_FAISS
#include <faiss/IndexFlat.h>
#include <omp.h>
#endif

#include "tests/unit/worker/store/store_fixtures.h"

using namespace tenantd;
using namespace tenantd::fixtures;

namespace {

constexpr std::uint32_t dimension = 384;
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

RouteDefinition random_route(std::mt19937& random, std::size_t number) {
  RouteDefinition route;
  route.id = std::to_string(1'000'000 + number);
  for (std::size_t i = 0; i < route_size; ++i) {
    route.utterances.push_back({random_text(random), random_vector(random, dimension), "e"});
  }
  return route;
}

#if defined(__x86_64__)
constexpr std::size_t floor_tile = 8;

__attribute__((target("avx512f,avx512vnni"))) void read_and_multiply(const std::uint8_t* rows,
                                                                     std::size_t count,
                                                                     const std::int8_t* query,
                                                                     std::int32_t* out) {
  for (std::size_t r = 0; r + floor_tile <= count; r += floor_tile) {
    __m512i sums[floor_tile];
    for (auto& sum : sums) sum = _mm512_setzero_si512();
    const std::uint8_t* row = rows + r * dimension;
    for (std::size_t j = 0; j < dimension; j += 64) {
      const __m512i q = _mm512_load_si512(query + j);
      for (std::size_t i = 0; i < floor_tile; ++i) {
        const std::uint8_t* at = row + i * dimension + j;
        _mm_prefetch(reinterpret_cast<const char*>(at + 8192), _MM_HINT_T0);
        sums[i] = _mm512_dpbusd_epi32(sums[i], _mm512_load_si512(at), q);
      }
    }
    for (std::size_t i = 0; i < floor_tile; ++i) out[r + i] = _mm512_reduce_add_epi32(sums[i]);
  }
}

// The same with AVX2, which has no instruction for bytes that does not saturate.
__attribute__((target("avx2"))) void read_and_multiply_avx2(const std::uint8_t* rows,
                                                            std::size_t count,
                                                            const std::int16_t* query,
                                                            std::int32_t* out) {
  constexpr std::size_t tile = 4;
  for (std::size_t r = 0; r + tile <= count; r += tile) {
    __m256i sums[tile];
    for (auto& sum : sums) sum = _mm256_setzero_si256();
    const std::uint8_t* row = rows + r * dimension;
    for (std::size_t j = 0; j < dimension; j += 16) {
      const __m256i q = _mm256_load_si256(reinterpret_cast<const __m256i*>(query + j));
      for (std::size_t i = 0; i < tile; ++i) {
        const auto* const at = reinterpret_cast<const __m128i*>(row + i * dimension + j);
        const __m256i codes = _mm256_cvtepu8_epi16(_mm_load_si128(at));
        sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(codes, q));
      }
    }
    for (std::size_t i = 0; i < tile; ++i) {
      __m128i half =
          _mm_add_epi32(_mm256_castsi256_si128(sums[i]), _mm256_extracti128_si256(sums[i], 1));
      half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4E));
      out[r + i] = _mm_cvtsi128_si32(_mm_add_epi32(half, _mm_shuffle_epi32(half, 0xB1)));
    }
  }
}

bool has_vnni_floor() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vnni");
}
bool has_floor() { return has_vnni_floor() || __builtin_cpu_supports("avx2"); }
#else
void read_and_multiply_avx2(const std::uint8_t*, std::size_t, const std::int16_t*, std::int32_t*) {}
bool has_vnni_floor() { return false; }
void read_and_multiply(const std::uint8_t*, std::size_t, const std::int8_t*, std::int32_t*) {}
bool has_floor() { return false; }
#endif

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

void report_queries(std::size_t vectors, const char* only) {
  std::mt19937 random(1);
  std::vector<RouteDefinition> routes;
  for (std::size_t i = 0; i < vectors / route_size; ++i) routes.push_back(random_route(random, i));
  const SnapshotPtr current = snapshot(routes, settings(dimension, "e"));
  routes.clear();
  TenantRouter router(acme(), current);
  const TenantBinding tenant(acme());
  Asked asked;
  for (int i = 0; i < 512; ++i) {
    asked.vectors.push_back(random_vector(random, dimension));
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
  Matrix floats(vectors, dimension);
  Matrix query(1, dimension);
  for (std::size_t i = 0; i < vectors; ++i) floats.row(i)[i % dimension] = 1;
  std::vector<float> scores(vectors);
  contest.enter("fp32, all products", 1, [&](std::size_t) {
    best_kernels().dot_rows(query.data(), floats.data(), vectors, floats.stride(), scores.data());
  });
#ifdef TENANTD_BENCH_FAISS
  omp_set_num_threads(1);
  faiss::IndexFlatIP index(dimension);
  for (std::size_t i = 0; i < vectors; ++i) index.add(1, floats.row(i).data());
  std::vector<float> best(5);
  std::vector<faiss::Index::idx_t> labels(5);
  contest.enter("FAISS (baseline build)", 1, [&](std::size_t i) {
    index.search(1, asked.vectors[i % asked.vectors.size()].data(), 5, best.data(), labels.data());
  });
#endif
  contest.keep(only);
  contest.run(vectors >= 100'000 ? 40 : vectors >= 10'000 ? 200 : 500);
  contest.print(vectors);
  std::size_t held = 0;
  for (const PlacedSegment& placed : current->set->segments) {
    held += placed.segment->rows.memory_bytes();
  }
  std::printf("%8zu  bytes a vector: %zu in the first pass, %zu as floats\n", vectors,
              held / vectors, floats.stride() * sizeof(float));
}

// The longest time between two answers of a thread that asks without a pause.
class Asker {
 public:
  explicit Asker(TenantRouter& router)
      : thread_([this, &router] {
          const TenantBinding tenant(acme());
          RouteQuery query;
          query.text = "w1 w2 w3";
          query.embedding = vector_;
          while (!stop_) {
            const auto start = std::chrono::steady_clock::now();
            if (!router.route(tenant.context(), query)) std::abort();
            times_.push_back(since_us(start));
          }
        }) {}
  void report() {
    stop_ = true;
    thread_.join();
    std::sort(times_.begin(), times_.end());
    std::printf("%zu queries meanwhile: p50 %.0f us, p99 %.0f us, p99.9 %.0f us, longest %.0f us\n",
                times_.size(), times_[times_.size() / 2], times_[times_.size() * 99 / 100],
                times_[times_.size() * 999 / 1000], times_.back());
  }

 private:
  std::vector<float> vector_ = std::vector<float>(dimension, 1.0F);
  std::atomic<bool> stop_{false};
  std::vector<double> times_;
  std::thread thread_;
};

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
  if (asker) asker->report();
  const auto start = std::chrono::steady_clock::now();
  editor = RouteEditor::open(tenant.context(), *store, wanted).value();
  std::printf("load of %zu vectors: %.3f s\n", vectors, since_us(start) / 1e6);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::size_t> sizes;
  bool edits = false;
  const char* only = "";
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--edits") == 0) edits = true;
    if (std::strcmp(argv[i], "--only") == 0 && i + 1 < argc) only = argv[++i];
    if (std::strcmp(argv[i], "--vectors") == 0 && i + 1 < argc) {
      sizes.push_back(std::strtoul(argv[++i], nullptr, 10));
    }
  }
  if (sizes.empty() && !edits) sizes = {1'000, 10'000, 100'000};
  std::printf(
      "kernels: %s\n vectors  call                      least us    p50 us    p99 us  x floor: "
      "least, p50\n",
      best_kernels().name);
  for (const std::size_t vectors : sizes) report_queries(vectors, only);
  if (edits) {
    report_edits(10'000, true);
    report_edits(100'000, false);
  }
  return 0;
}
