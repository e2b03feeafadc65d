// What a router is asked, what it answers, and what a route is made of.
//
// Runs in: worker. Plain values. Definitions and queries come from clients and mean nothing until
// validate.h has looked at them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/contract/tenant_settings.h"

namespace tenantd {

// An example sentence of a route: a text, a vector, or both.
struct Utterance {
  std::string text;              // UTF-8; empty: known by its vector only
  std::vector<float> embedding;  // tenant's dimension floats; empty: none given
  std::string encoder;           // id of what made the embedding; empty: the tenant's encoder
  friend bool operator==(const Utterance&, const Utterance&) = default;
};

enum class RuleKind : std::uint8_t {
  keyword = 0,  // words that follow one another in the text, as the index knows them
  pattern = 1,  // a regular expression of RE2, found anywhere in the text
};
enum class RuleMode : std::uint8_t {
  signal = 0,  // a match speaks for the route
  always = 1,  // a match selects the route
  never = 2,   // a match excludes the route
};

struct Rule {
  RuleKind kind = RuleKind::keyword;
  RuleMode mode = RuleMode::signal;
  std::string text;  // UTF-8
  friend bool operator==(const Rule&, const Rule&) = default;
};

struct RouteDefinition {
  std::string id;
  std::string description;
  std::string metadata;            // JSON text or empty
  std::optional<float> threshold;  // confidence in [0,1]; none: the tenant's. 0 is a threshold
  std::vector<std::string> tags;
  std::vector<Utterance> utterances;
  std::optional<Aggregation> aggregation;  // none: the tenant's; never automatic
  std::int32_t priority = 0;               // the higher goes first among equals
  std::vector<Rule> rules;
  std::optional<float> margin;  // lead in confidence, [0,1]; none: the tenant's. 0 demands none
  friend bool operator==(const RouteDefinition&, const RouteDefinition&) = default;
};

enum class RouteEditKind : std::uint8_t {
  put = 0,             // replaces the route, or makes it
  add = 1,             // already_exists if it is there
  add_utterances = 2,  // appends `route.utterances` to the route `route.id`; not_found without it
  remove = 3,          // the route `route.id`; not_found without it
};

struct RouteEdit {
  RouteEditKind kind = RouteEditKind::put;
  RouteDefinition route;
};

// Views must live as long as the call.
struct RouteQuery {
  std::optional<std::string_view> text;
  std::span<const float> embedding;      // empty: none
  std::string_view embedding_encoder;    // empty: the tenant's encoder
  std::uint32_t alternatives_limit = 0;  // routes wanted beside the answers, best first
  bool explain = false;
  std::uint32_t limit = 1;  // answers wanted; 0 is 1
  // A route filter: with either, only routes whose id is in `only_routes` or that have a tag of
  // `only_tags` are there for this query. What no route has is ignored.
  std::span<const std::string_view> only_routes;
  std::span<const std::string_view> only_tags;
};

enum class RouteReason : std::uint8_t {
  matched = 0,          // the best route's confidence reached its threshold
  below_threshold = 1,  // it did not: the fallback route answers
  no_routes = 2,        // the tenant has no route yet
  no_signal = 3,        // nothing in the query can be compared with any route
  ambiguous = 4,        // the second route's confidence is nearer than the margin
  excluded = 5,         // the filter and `never` rules left no route
};

struct RouteScores {
  float dense = 0;    // cosine, aggregated over the route's utterances; 0 if not applicable
  float lexical = 0;  // BM25 as s/(s+8), [0,1); 0 if not applicable
  float fused = 0;    // mean of the applicable two, weighted
  float rules = 0;    // 1 - 2^-n for n `signal` rules that match
};

struct Alternative {
  std::string route;
  float confidence = 0;
  RouteScores scores;
};

struct WordWeight {
  std::string word;  // as the index knows it: folded and stemmed
  float weight = 0;  // what it adds to BM25 in the utterance of the best route where it adds most
};

struct MatchedRule {
  std::string route;
  Rule rule;
};

// Why the best route is the best.
struct Explanation {
  std::string route;
  std::string best_utterance;     // text of the nearest utterance; empty if it has none
  float best_similarity = 0;      // its cosine; 0 without a dense signal
  std::vector<WordWeight> words;  // heaviest first
  // Of the best route first: `always` rules that matched, then `signal` rules; then `never` rules
  // that excluded a route. At most max_explained_rules.
  std::vector<MatchedRule> rules;
};

// What found a decision; the router itself computes, its callers may remember.
enum class DecisionSource : std::uint8_t {
  computed = 0,
  cached = 1,   // for the same query, of the same routes and settings
  similar = 2,  // for a query that resembles this one
};

struct RouteDecision {
  std::string route;     // the fallback route if is_fallback
  float confidence = 0;  // of the best route, also when that was not enough
  bool is_fallback = false;
  RouteReason reason = RouteReason::matched;
  float threshold = 0;  // what the confidence was compared with
  RouteScores scores;   // of the best route
  // Further answers, where more than one was wanted, best first: each reached its threshold. None
  // beside a fallback.
  std::vector<Alternative> also;
  // Best first. Without the answers themselves; a fallback's begin with the best route.
  std::vector<Alternative> alternatives;
  std::optional<Explanation> explanation;
  std::uint64_t snapshot_version = 0;
  std::string encoder;  // that made the query's vector; empty: no dense signal
  DecisionSource source = DecisionSource::computed;
  float source_similarity = 0;  // cached: 1; similar: the cosine of the two queries
};

}  // namespace tenantd
