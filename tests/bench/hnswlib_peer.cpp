// hnswlib, compiled for this machine's processor: a graph with M = 16.
#include <hnswlib/hnswlib.h>

#include <memory>
#include <numeric>

#include "tests/bench/router_peers.h"

namespace tenantd::bench {

void add_hnswlib_peer(const PeerData& data, std::vector<VectorPeer>& peers) {
  constexpr std::size_t links = 16;
  constexpr std::size_t effort = 200;  // while it is built
  constexpr std::size_t most_looked_at = 1024;
  using Graph = hnswlib::HierarchicalNSW<float>;
  const auto space = std::make_shared<hnswlib::InnerProductSpace>(data.dimension);
  const auto graph = std::make_shared<Graph>(space.get(), data.count, links, effort);
  for (std::size_t i = 0; i < data.count; ++i) {
    graph->addPoint(data.rows + i * data.dimension, i);
  }
  VectorPeer peer;
  peer.nearest = [graph, space](const float* query) {
    return static_cast<std::int64_t>(graph->searchKnn(query, 1).top().second);
  };
  const auto& levels = graph->element_levels_;
  const auto upper = static_cast<std::size_t>(std::accumulate(levels.begin(), levels.end(), 0));
  peer.vector_bytes =
      static_cast<double>(graph->size_data_per_element_) +
      static_cast<double>(upper * graph->size_links_per_element_) / static_cast<double>(data.count);
  for (std::size_t looked_at = 8; looked_at <= most_looked_at; looked_at *= 2) {
    graph->setEf(looked_at);
    peer.name = "hnswlib, ef " + std::to_string(looked_at);
    peer.recall = recall_of(data, peer.nearest);
    if (peer.recall >= wanted_recall) break;
  }
  peers.push_back(std::move(peer));
}

}  // namespace tenantd::bench
