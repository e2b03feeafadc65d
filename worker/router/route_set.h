// All routes of a tenant with their index: what scoring reads. Immutable, shared between snapshots.
//
// Runs in: worker; built by the editor thread, read by the loop thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "worker/router/lexical_index.h"
#include "worker/router/route_block.h"

namespace tenantd {

struct RouteSet {
  std::uint32_t dimension = 0;
  std::vector<std::shared_ptr<const RouteBlock>> routes;  // by id, ascending, no duplicates
  std::vector<std::uint32_t> first_utterance;  // routes.size() + 1; utterances counted through all
  std::vector<std::uint32_t> route_of;         // index into routes, one an utterance
  LexicalIndex lexical;
  std::size_t vector_count = 0;
  std::size_t text_count = 0;
  std::size_t longest_route = 0;  // utterances
  std::string encoder;            // of every vector; empty without vectors
  bool mixed_encoders = false;    // then nothing dense can be compared

  [[nodiscard]] std::size_t utterance_count() const noexcept { return first_utterance.back(); }
  // Index into routes.
  [[nodiscard]] std::optional<std::size_t> find(std::string_view id) const noexcept;
};

// `routes` ascending by id, each of `dimension`. At most 2^32 - 1 utterances.
[[nodiscard]] std::shared_ptr<const RouteSet> build_route_set(
    std::vector<std::shared_ptr<const RouteBlock>> routes, std::uint32_t dimension);

}  // namespace tenantd
