// Asking a worker what it would answer with other settings: what `tenantctl routes fit` is made of.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shared/base/id_limits.h"
#include "shared/protocol/messages.h"
#include "shared/protocol/routing_messages.h"

namespace tenantd {

// How scores are made; thresholds are the asker's business.
struct TrialSettings {
  float dense_weight = 0;
  float lexical_weight = 0;
  std::uint8_t aggregation = 0;           // a number of Aggregation (tenant_settings.h)
  std::uint16_t top_k = 1;                // ≥ 1
  std::uint16_t prototype_weight_e4 = 0;  // ≤ 10,000
  friend bool operator==(const TrialSettings&, const TrialSettings&) = default;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("dense_weight", self.dense_weight);
    visit("lexical_weight", self.lexical_weight);
    visit("aggregation", self.aggregation);
    visit("top_k", self.top_k);
    visit("prototype_weight_e4", self.prototype_weight_e4);
  }
};

struct TrialQuery {
  std::string text;
  std::vector<float> embedding;  // of the tenant's encoder; empty: the worker encodes the text

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("text", self.text, Bound{max_text_bytes});
    visit("embedding", self.embedding, Bound{max_dimension});
  }
};

struct RoutesTrial {
  static constexpr MessageType type = MessageType::routes_trial;
  bool as_they_are = true;       // with the tenant's own settings; `settings` is ignored
  TrialSettings settings;        // else these
  std::uint32_t utterances = 0;  // of the tenant's own, left out, at most so many and 512
  std::vector<TrialQuery> queries;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("as_they_are", self.as_they_are);
    visit("settings", self.settings);
    visit("utterances", self.utterances);
    visit("queries", self.queries, Bound{1024});
  }
};

// The best route and the confidence in it, whatever the threshold; no route: nothing was found.
struct TrialAnswer {
  std::string route;
  float confidence = 0;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("route", self.route, Bound{max_route_id_bytes});
    visit("confidence", self.confidence);
  }
};

// An utterance as if its route did not hold it.
struct TrialUtterance {
  std::string route;        // its own
  bool has_answer = false;  // else it has no sibling that could find it
  TrialAnswer answer;
  bool has_stranger = false;  // there are other routes
  TrialAnswer stranger;       // as if its own route were not there either

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("route", self.route, Bound{max_route_id_bytes});
    visit("has_answer", self.has_answer);
    visit("answer", self.answer);
    visit("has_stranger", self.has_stranger);
    visit("stranger", self.stranger);
  }
};

struct RoutesTried {
  static constexpr MessageType type = MessageType::routes_tried;
  std::uint64_t snapshot_version = 0;
  TrialSettings settings;    // that were tried; with as_they_are those of the tenant's file
  TrialSettings decided;     // likewise, with what "auto" stands for
  float threshold = 0;       // the tenant's
  std::string fallback;      // likewise; a label of this name means out of scope
  float expected_error = 0;  // of the confidence under these settings (ECE), on utterances left out
  std::vector<TrialUtterance> utterances;
  std::vector<TrialAnswer> queries;  // as many as asked, in their order

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("snapshot_version", self.snapshot_version);
    visit("settings", self.settings);
    visit("decided", self.decided);
    visit("threshold", self.threshold);
    visit("fallback", self.fallback, Bound{max_route_id_bytes});
    visit("expected_error", self.expected_error);
    visit("utterances", self.utterances, Bound{512});
    visit("queries", self.queries, Bound{1024});
  }
};

}  // namespace tenantd
