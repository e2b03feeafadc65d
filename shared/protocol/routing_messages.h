// What clients and workers say to each other. No message names a tenant: the attachment does.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/id_limits.h"
#include "shared/protocol/messages.h"

namespace tenantd {

inline constexpr std::uint32_t max_text_bytes = 64U << 10U;
inline constexpr std::uint32_t max_dimension = 8192;

struct Label {
  std::string_view key;
  std::string_view value;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("key", self.key, Bound{64});
    visit("value", self.value, Bound{128});
  }
};

// Text, an embedding, or both (then the embedding is the dense signal and the text the lexical
// one).
struct RouteRequest {
  static constexpr MessageType type = MessageType::route;
  std::string_view text;
  std::span<const float> embedding;  // `dimension` floats, or none
  std::string_view encoder;          // of the embedding; empty: the tenant's
  std::uint32_t alternatives = 3;    // at most this many beside the winner, ≤ 64
  bool explain = false;
  std::string_view user;  // who asks, for showback; never trusted for access
  std::string_view department;
  std::vector<Label> labels;
  std::uint32_t limit = 1;  // answers wanted, ≤ 64; 0 is 1
  // With either: only routes whose id is listed, or that have a tag that is, are there for this
  // request. What no route has is ignored.
  std::vector<std::string_view> only_routes;
  std::vector<std::string_view> only_tags;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("text", self.text, Bound{max_text_bytes});
    visit("embedding", self.embedding, Bound{max_dimension});
    visit("encoder", self.encoder, Bound{max_encoder_id_bytes});
    visit("alternatives", self.alternatives);
    visit("explain", self.explain);
    visit("user", self.user, Bound{128});
    visit("department", self.department, Bound{128});
    visit("labels", self.labels, Bound{16});
    visit("limit", self.limit);
    visit("only_routes", self.only_routes, Bound{64});
    visit("only_tags", self.only_tags, Bound{64});
  }
};

struct ScoredRoute {
  std::string route;
  float confidence = 0;     // calibrated, [0,1]
  float dense_score = 0;    // cosine aggregated over the route's utterances, [-1,1]
  float lexical_score = 0;  // BM25 squashed to [0,1)
  float fused_score = 0;
  float rule_score = 0;  // 1 - 2^-n for n `signal` rules that match

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("route", self.route, Bound{max_route_id_bytes});
    visit("confidence", self.confidence);
    visit("dense_score", self.dense_score);
    visit("lexical_score", self.lexical_score);
    visit("fused_score", self.fused_score);
    visit("rule_score", self.rule_score);
  }
};

struct MatchedWord {
  std::string word;
  float weight = 0;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("word", self.word, Bound{128});
    visit("weight", self.weight);
  }
};

enum class RuleKindCode : std::uint8_t { keyword = 0, pattern = 1 };
[[nodiscard]] constexpr bool is_valid(RuleKindCode value) noexcept {
  return value <= RuleKindCode::pattern;
}
// signal: a match speaks for the route; always: it selects it; never: it excludes it.
enum class RuleModeCode : std::uint8_t { signal = 0, always = 1, never = 2 };
[[nodiscard]] constexpr bool is_valid(RuleModeCode value) noexcept {
  return value <= RuleModeCode::never;
}

struct RuleMessage {
  RuleKindCode kind = RuleKindCode::keyword;
  RuleModeCode mode = RuleModeCode::signal;
  std::string text;  // words that follow one another, or a regular expression of RE2

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("kind", self.kind);
    visit("mode", self.mode);
    visit("text", self.text, Bound{1024});
  }
};

struct MatchedRuleMessage {
  std::string route;
  RuleMessage rule;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("route", self.route, Bound{max_route_id_bytes});
    visit("rule", self.rule);
  }
};

enum class DecisionReason : std::uint8_t {
  matched = 0,
  below_threshold = 1,  // the fallback answered
  no_routes = 2,        // the tenant has none: the fallback answered
  no_signal = 3,        // nothing in the query resembles anything: the fallback answered
  ambiguous = 4,        // the second route is nearer than the margin: the fallback answered
  excluded = 5,         // the filter and `never` rules left no route: the fallback answered
};
[[nodiscard]] constexpr bool is_valid(DecisionReason value) noexcept {
  return value <= DecisionReason::excluded;
}

// Where an answer comes from.
enum class AnswerSource : std::uint8_t {
  computed = 0,
  cached = 1,   // the same was asked of the same routes: the answer is what the router would say
  similar = 2,  // the answer to a query that resembles this one, see cache_similarity
};
[[nodiscard]] constexpr bool is_valid(AnswerSource value) noexcept {
  return value <= AnswerSource::similar;
}

struct RouteReply {
  static constexpr MessageType type = MessageType::route_reply;
  ScoredRoute best;  // best.route is the fallback's id when is_fallback
  bool is_fallback = false;
  DecisionReason reason = DecisionReason::matched;
  std::vector<ScoredRoute> alternatives;
  std::uint64_t snapshot_version = 0;
  std::string utterance;  // with explain: the nearest example of the best real route
  float utterance_similarity = 0;
  std::vector<MatchedWord> words;  // with explain
  std::vector<ScoredRoute> also;   // further answers, with a limit above 1; best first
  // With explain: the best route's rules that matched, `always` first; then `never` rules that took
  // a route out.
  std::vector<MatchedRuleMessage> rules;
  AnswerSource source = AnswerSource::computed;
  float source_similarity = 0;  // cached: 1; similar: the cosine of the two queries

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("best", self.best);
    visit("is_fallback", self.is_fallback);
    visit("reason", self.reason);
    visit("alternatives", self.alternatives, Bound{64});
    visit("snapshot_version", self.snapshot_version);
    visit("utterance", self.utterance, Bound{max_text_bytes});
    visit("utterance_similarity", self.utterance_similarity);
    visit("words", self.words, Bound{64});
    visit("also", self.also, Bound{64});
    visit("rules", self.rules, Bound{64});
    visit("source", self.source);
    visit("source_similarity", self.source_similarity);
  }
};

// Up to max_batch_size requests of one frame, answered from one snapshot. Cheaper than as many
// `route`: the worker reads its vectors once for all.
struct RouteBatch {
  static constexpr MessageType type = MessageType::route_batch;
  std::vector<RouteRequest> items;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("items", self.items, Bound{1024});
  }
};

struct RouteBatchItem {
  bool answered = false;
  RouteReply reply;    // if answered
  ErrorMessage error;  // if not: of this item alone

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("answered", self.answered);
    visit("reply", self.reply);
    visit("error", self.error);
  }
};

struct RouteBatchReply {
  static constexpr MessageType type = MessageType::route_batch_reply;
  std::vector<RouteBatchItem> items;  // as many as asked, in their order

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("items", self.items, Bound{1024});
  }
};

struct UtteranceMessage {
  std::string text;              // may be empty if there is an embedding
  std::vector<float> embedding;  // empty: the worker encodes the text
  std::string encoder;           // of the embedding; empty: the tenant's

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("text", self.text, Bound{max_text_bytes});
    visit("embedding", self.embedding, Bound{max_dimension});
    visit("encoder", self.encoder, Bound{max_encoder_id_bytes});
  }
};

struct RouteMessage {
  std::string id;
  std::string description;
  std::string metadata;  // the user's own JSON text, opaque to tenantd
  bool has_threshold = false;
  float threshold = 0;  // of this route, instead of the tenant's
  std::vector<std::string> tags;
  std::vector<UtteranceMessage> utterances;
  std::int32_t priority = 0;     // the higher goes first among equals and among `always` rules
  std::uint8_t aggregation = 0;  // 0: the tenant's; else 1 + its number (max, mean, top_k_mean,
                                 // centroid, prototype_mix)
  std::vector<RuleMessage> rules;
  bool has_margin = false;
  float margin = 0;  // of this route, instead of the tenant's

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("id", self.id, Bound{max_route_id_bytes});
    visit("description", self.description, Bound{4096});
    visit("metadata", self.metadata, Bound{16384});
    visit("has_threshold", self.has_threshold);
    visit("threshold", self.threshold);
    visit("tags", self.tags, Bound{64});
    visit("utterances", self.utterances, Bound{4096});
    visit("priority", self.priority);
    visit("aggregation", self.aggregation);
    visit("rules", self.rules, Bound{64});
    visit("has_margin", self.has_margin);
    visit("margin", self.margin);
  }
};

enum class EditKind : std::uint8_t {
  add = 0,             // already_exists if the id is taken
  put = 1,             // creates or replaces
  add_utterances = 2,  // not_found if there is no such route
  remove = 3,          // not_found likewise
};
[[nodiscard]] constexpr bool is_valid(EditKind value) noexcept { return value <= EditKind::remove; }

struct RouteEditMessage {
  EditKind kind = EditKind::put;
  RouteMessage route;  // only its id with `remove`, id and utterances with `add_utterances`

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("kind", self.kind);
    visit("route", self.route);
  }
};

// All edits or none; acknowledged when they are on disk and in the snapshot.
struct RoutesEdit {
  static constexpr MessageType type = MessageType::routes_edit;
  std::vector<RouteEditMessage> edits;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("edits", self.edits, Bound{1024});
  }
};

struct RoutesEdited {
  static constexpr MessageType type = MessageType::routes_edited;
  std::uint64_t snapshot_version = 0;
  std::uint64_t routes = 0;  // after the edit
  std::uint64_t utterances = 0;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("snapshot_version", self.snapshot_version);
    visit("routes", self.routes);
    visit("utterances", self.utterances);
  }
};

// Pages through routes in id order. A route whose utterances do not fit one page goes on in the
// next with the same id; the reader joins them.
struct RoutesPageRequest {
  static constexpr MessageType type = MessageType::routes_page_request;
  std::string only_route;             // empty: all
  std::string after_route;            // the cursor of the last page; empty: from the start
  std::uint32_t after_utterance = 0;  // > 0: go on inside after_route, from this utterance
  bool with_utterances = false;
  bool with_embeddings = false;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("only_route", self.only_route, Bound{max_route_id_bytes});
    visit("after_route", self.after_route, Bound{max_route_id_bytes});
    visit("after_utterance", self.after_utterance);
    visit("with_utterances", self.with_utterances);
    visit("with_embeddings", self.with_embeddings);
  }
};

struct RouteListing {
  RouteMessage route;
  std::uint32_t utterance_count = 0;  // of the whole route
  std::uint64_t memory_bytes = 0;     // what it takes in the worker, about

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("route", self.route);
    visit("utterance_count", self.utterance_count);
    visit("memory_bytes", self.memory_bytes);
  }
};

struct RoutesPage {
  static constexpr MessageType type = MessageType::routes_page;
  std::vector<RouteListing> routes;
  bool more = false;
  std::string next_route;  // for after_route and after_utterance of the next request
  std::uint32_t next_utterance = 0;
  std::uint64_t snapshot_version = 0;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("routes", self.routes, Bound{4096});
    visit("more", self.more);
    visit("next_route", self.next_route, Bound{max_route_id_bytes});
    visit("next_utterance", self.next_utterance);
    visit("snapshot_version", self.snapshot_version);
  }
};

}  // namespace tenantd
