// What a worker says of its tenant when it is asked.
//
// Runs in: client and worker. Decoded from a peer's bytes: bounded by describe(), otherwise
// unchecked.
#pragma once

#include <cstdint>
#include <string>

#include "shared/protocol/routing_messages.h"

namespace tenantd {

struct TenantStatsRequest {
  static constexpr MessageType type = MessageType::tenant_stats_request;
  template <class Self, class Visitor>
  static void describe(Self&, Visitor&) {}
};

struct TenantStats {
  static constexpr MessageType type = MessageType::tenant_stats;
  std::uint64_t generation = 0;
  std::uint64_t routes = 0;
  std::uint64_t utterances = 0;
  std::uint64_t requests = 0;
  std::uint64_t errors = 0;
  std::uint64_t attachments = 0;
  std::uint64_t snapshot_version = 0;
  bool store_degraded = false;
  std::string store_reason;
  std::string encoder;                 // of the vectors that answer now; empty: none yet
  std::uint64_t reencoded = 0;         // utterances that have a vector of the next encoder
  std::uint64_t reencoding_total = 0;  // of so many; 0: no change of encoder is under way
  std::string reencoding_problem;      // why it does not go on; empty: it does
  std::string index_state;             // off, unneeded, building, ready or rejected
  std::string index_reason;            // of unneeded, building and rejected
  double index_recall = 0;             // recall@1, measured on the tenant's own vectors
  double index_recall_at_least = 0;    // with 95 % confidence
  std::uint64_t index_sampled = 0;     // vectors asked; 0: not measured yet
  std::uint64_t index_rows_read = 0;   // of lists, by a query
  std::uint64_t index_lists = 0;
  std::uint64_t index_bytes = 0;    // beside the vectors
  std::uint64_t index_version = 0;  // snapshot version that was measured
  std::uint64_t index_outside = 0;  // vectors in no list, which every query reads
  double index_progress = 0;        // of building, [0,1]
  std::uint64_t route_bytes = 0;    // what all routes take in the worker, about
  std::uint64_t calibrated_on = 0;  // utterances that confidence was fitted on; 0: defaults
  double calibration_error = 0;     // expected calibration error over these, [0,1]

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("generation", self.generation);
    visit("routes", self.routes);
    visit("utterances", self.utterances);
    visit("requests", self.requests);
    visit("errors", self.errors);
    visit("attachments", self.attachments);
    visit("snapshot_version", self.snapshot_version);
    visit("store_degraded", self.store_degraded);
    visit("store_reason", self.store_reason, Bound{256});
    visit("encoder", self.encoder, Bound{max_encoder_id_bytes});
    visit("reencoded", self.reencoded);
    visit("reencoding_total", self.reencoding_total);
    visit("reencoding_problem", self.reencoding_problem, Bound{256});
    visit("index_state", self.index_state, Bound{16});
    visit("index_reason", self.index_reason, Bound{256});
    visit("index_recall", self.index_recall);
    visit("index_recall_at_least", self.index_recall_at_least);
    visit("index_sampled", self.index_sampled);
    visit("index_rows_read", self.index_rows_read);
    visit("index_lists", self.index_lists);
    visit("index_bytes", self.index_bytes);
    visit("index_version", self.index_version);
    visit("index_outside", self.index_outside);
    visit("index_progress", self.index_progress);
    visit("route_bytes", self.route_bytes);
    visit("calibrated_on", self.calibrated_on);
    visit("calibration_error", self.calibration_error);
  }
};

}  // namespace tenantd
