// Other libraries' searches for the nearest vector, which router_bench times beside the router.
//
// Runs in: router_bench, one thread. Rows and queries have length 1; the inner product decides.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace tenantd::bench {

struct PeerData {
  const float* rows = nullptr;  // count × dimension, without padding; outlives the peer
  std::size_t count = 0;
  std::size_t dimension = 0;
  std::vector<const float*> queries;  // that recall is asked with
  std::vector<std::int64_t> nearest;  // exact, of each
};

struct VectorPeer {
  std::string name;  // with what was chosen for it
  std::function<std::int64_t(const float*)> nearest;
  double recall = 0;  // recall@1 of the data's queries
  double vector_bytes = 0;
};

constexpr double wanted_recall = 0.99;

// Of the data's queries, the share whose nearest row is found.
[[nodiscard]] double recall_of(const PeerData& data,
                               const std::function<std::int64_t(const float*)>& nearest);

// Only where TENANTD_BENCH_FAISS and TENANTD_BENCH_HNSWLIB are defined. What can be tuned reads as
// little as gives wanted_recall; where nothing does, as much as was tried, and recall says so.
void add_faiss_peers(const PeerData& data, std::vector<VectorPeer>& peers);
void add_hnswlib_peer(const PeerData& data, std::vector<VectorPeer>& peers);

}  // namespace tenantd::bench
