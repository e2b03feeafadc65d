// Tuning scaffold.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "tests/unit/worker/router/fixtures.h"
#include "worker/router/dot.h"
#include "worker/router/index/partition.h"
#include "worker/router/index/recall.h"
using namespace tenantd;
using namespace tenantd::fixtures;
#include <ctime>
static double now() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}
int main(int argc, char** argv) {
  std::size_t n = std::stoul(argv[1]);
  std::string kind = argv[2];
  std::size_t lists = argc > 3 ? std::stoul(argv[3]) : 0;
  std::size_t routes = argc > 4 ? std::stoul(argv[4]) : 1000;
  float mixw = argc > 5 ? std::stof(argv[5]) : 0.5f, noise = argc > 6 ? std::stof(argv[6]) : 0.4f;
  std::uint32_t dim = 384;
  std::vector<float> real;
  {
    std::ifstream f(argc > 7 ? argv[7] : "../shared/data/capdocs_minilm.d384.f32",
                    std::ios::binary);
    f.seekg(0, std::ios::end);
    real.resize(std::size_t(f.tellg()) / 4);
    f.seekg(0);
    f.read((char*)real.data(), long(real.size() * 4));
  }
  std::size_t bases = real.size() / dim;
  std::mt19937 random(1);
  std::normal_distribution<float> g;
  std::vector<std::shared_ptr<const RouteBlock>> blocks;
  double t = now();
  std::vector<float> noise_pool(1 << 22);
  for (auto& v : noise_pool) v = g(random) / std::sqrt(384.f);
  for (std::size_t r = 0; r < routes; ++r) {
    RouteDefinition d;
    d.id = std::to_string(1000000 + r);
    std::size_t per = n / routes;
    for (std::size_t i = 0; i < per; ++i) {
      std::vector<float> v(dim);
      const float* z = noise_pool.data() + random() % (noise_pool.size() - dim);
      if (kind == "iid")
        for (auto j = 0u; j < dim; ++j) v[j] = z[j] + 1e-9f;
      else {
        const float* b = real.data() + dim * ((r * 7 + random() % 3) % bases);
        const float* c = real.data() + dim * (random() % bases);
        for (auto j = 0u; j < dim; ++j) v[j] = b[j] + mixw * c[j] + noise * z[j];
      }
      d.utterances.push_back({"", std::move(v), "e"});
    }
    blocks.push_back(build_route(d, dim));
  }
  std::printf("routes %.1fs bases %zu\n", now() - t, bases);
  t = now();
  auto set = build_route_set(std::move(blocks), dim);
  std::printf("set %.1fs\n", now() - t);
  t = now();
  const Kernels& k = best_kernels();
  if (!lists) lists = suitable_lists(n);
  PartitionTrainer trainer(set, lists, k);
  double worst = 0;
  for (;;) {
    double s = now();
    bool more = trainer.step();
    worst = std::max(worst, now() - s);
    if (!more) break;
  }
  Matrix c = trainer.take_centroids();
  std::printf("train %zu lists %.1fs worst step %.1fms\n", lists, now() - t, worst * 1e3);
  t = now();
  std::unordered_map<const UtteranceChunk*, ChunkLists> a;
  std::vector<float> sums(lists);
  std::vector<unsigned> cnt(lists);
  for (auto& route : set->routes)
    for (auto& chunk : route->chunks) {
      auto l = std::make_shared<std::vector<std::uint16_t>>(chunk->size());
      std::vector<float> p(chunk->size());
      std::vector<const float*> rows;
      for (std::size_t i = 0; i < chunk->size(); ++i) rows.push_back(chunk->vectors.row(i).data());
      assign_to_nearest(k, c, rows, *l, p);
      for (std::size_t i = 0; i < rows.size(); ++i) {
        sums[(*l)[i]] += p[i];
        ++cnt[(*l)[i]];
      }
      a[chunk.get()] = l;
    }
  for (std::size_t i = 0; i < lists; ++i) sums[i] /= float(std::max(cnt[i], 1u));
  std::printf("assign %.1fs, largest list %u\n", now() - t,
              *std::max_element(cnt.begin(), cnt.end()));
  t = now();
  auto il =
      make_index_lists(*set, std::move(c), sums, [&](const UtteranceChunk& ch) { return a[&ch]; });
  std::printf("lists %.3fs bytes %.2f MB\n", now() - t, double(il->memory_bytes()) / 1e6);
  for (auto agg : {Aggregation::top_k_mean, Aggregation::max, Aggregation::prototype_mix}) {
    t = now();
    auto s = settings(dim, "e");
    s.router.aggregation = agg;
    RecallMeasure m(set, il, s.router, 0.99);
    worst = 0;
    for (;;) {
      double b = now();
      bool more = m.step();
      worst = std::max(worst, now() - b);
      if (!more) break;
    }
    auto q = m.quality();
    std::printf("agg %d recall %.4f at least %.4f probe rows %zu of %u %.1fs worst step %.1fms\n",
                int(agg), double(q.recall), double(q.recall_at_least), std::size_t(q.probe_rows),
                q.sampled, now() - t, worst * 1e3);
    auto view = make_index_view(il, *set, q.probe_rows);
    Searcher se;
    std::vector<double> ti;
    Calibration cal = default_calibration(s.router);
    double tscan = 0;
    for (int i = 0; i < 1500; ++i) {
      Matrix v(1, dim);
      QuantisedQuery qq;
      std::vector<float> x(dim);
      const float* z = noise_pool.data() + random() % (noise_pool.size() - dim);
      const float* b = real.data() + dim * (random() % bases);
      const float* cc = real.data() + dim * (random() % bases);
      for (auto j = 0u; j < dim; ++j)
        x[j] = kind == "iid" ? z[j] : b[j] + mixw * cc[j] + noise * z[j];
      (void)normalise(x, v.row(0));
      qq.set(v.row(0));
      QuerySignals sig;
      sig.vector = v.data();
      sig.codes = qq.view();
      double b0 = now();
      se.scan(*set, s.router, {&sig, 1}, view.get());
      double b1 = now();
      se.select(0);
      auto best = se.best(cal, 4);
      double b2 = now();
      ti.push_back(b2 - b0);
      tscan += b1 - b0;
      if (best.empty()) return 1;
    }
    {
      Matrix v(1, dim);
      QuantisedQuery qq;
      (void)normalise(std::span(real).first(dim), v.row(0));
      qq.set(v.row(0));
      QuerySignals sig;
      sig.vector = v.data();
      sig.codes = qq.view();
      double best = 1e9;
      for (int i = 0; i < 10; ++i) {
        double b0 = now();
        se.scan(*set, s.router, {&sig, 1});
        best = std::min(best, now() - b0);
      }
      std::printf("   exact scan %.1f ns/row, index scan %.1f ns/row\n", best * 1e9 / double(n),
                  tscan / 1500 * 1e9 / double(q.probe_rows));
    }
    std::sort(ti.begin(), ti.end());
    std::printf("   p50 %.2f p99 %.2f max %.2f ms, scan share %.2f ms\n", ti[750] * 1e3,
                ti[1485] * 1e3, ti.back() * 1e3, tscan / 1.5);
  }
}
