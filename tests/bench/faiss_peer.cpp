// FAISS as Debian builds it, for any x86-64: every product, and an inverted file of floats.
#include <faiss/IndexFlat.h>
#include <faiss/IndexIVFFlat.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "tests/bench/router_peers.h"

namespace tenantd::bench {
namespace {

using Id = faiss::Index::idx_t;

Id nearest_in(const faiss::Index& index, const float* query) {
  float product = 0;
  Id label = -1;
  index.search(1, query, 1, &product, &label);
  return label;
}

}  // namespace

void add_faiss_peers(const PeerData& data, std::vector<VectorPeer>& peers) {
  omp_set_num_threads(1);
  const auto count = static_cast<Id>(data.count);
  const auto dimension = static_cast<Id>(data.dimension);
  const auto flat = std::make_shared<faiss::IndexFlatIP>(dimension);
  flat->add(count, data.rows);
  VectorPeer exact{"FAISS Flat (baseline)",
                   [flat](const float* query) { return nearest_in(*flat, query); }, 0,
                   static_cast<double>(data.dimension * sizeof(float))};
  exact.recall = recall_of(data, exact.nearest);
  peers.push_back(std::move(exact));

  constexpr std::size_t fewest_a_list = 39;  // that it asks for to find the lists' middles
  const auto lists =
      std::min(static_cast<std::size_t>(2 * std::sqrt(static_cast<double>(data.count))),
               std::max<std::size_t>(data.count / fewest_a_list, 1));
  const auto middles = std::make_shared<faiss::IndexFlatIP>(dimension);
  const auto file = std::make_shared<faiss::IndexIVFFlat>(middles.get(), data.dimension, lists,
                                                          faiss::METRIC_INNER_PRODUCT);
  file->cp.niter = 10;
  file->train(count, data.rows);
  file->add(count, data.rows);
  VectorPeer inverted;
  inverted.nearest = [file, middles](const float* query) { return nearest_in(*file, query); };
  inverted.vector_bytes = static_cast<double>(data.dimension * sizeof(float)) *
                              (1 + static_cast<double>(lists) / static_cast<double>(data.count)) +
                          sizeof(Id);
  for (file->nprobe = 1; file->nprobe <= lists; file->nprobe *= 2) {
    inverted.name = "FAISS IVF, probe " + std::to_string(file->nprobe);
    inverted.recall = recall_of(data, inverted.nearest);
    if (inverted.recall >= wanted_recall || file->nprobe * 2 > lists) break;
  }
  peers.push_back(std::move(inverted));
}

}  // namespace tenantd::bench
