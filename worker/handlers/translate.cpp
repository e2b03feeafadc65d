#include "worker/handlers/translate.h"

#include <utility>

namespace tenantd {
namespace {

RouteEditKind to_kind(EditKind kind) noexcept {
  switch (kind) {
    case EditKind::add:
      return RouteEditKind::add;
    case EditKind::add_utterances:
      return RouteEditKind::add_utterances;
    case EditKind::remove:
      return RouteEditKind::remove;
    case EditKind::put:
      break;
  }
  return RouteEditKind::put;
}

DecisionReason to_reason(RouteReason reason) noexcept {
  switch (reason) {
    case RouteReason::matched:
      return DecisionReason::matched;
    case RouteReason::below_threshold:
      return DecisionReason::below_threshold;
    case RouteReason::no_routes:
      return DecisionReason::no_routes;
    case RouteReason::ambiguous:
      return DecisionReason::ambiguous;
    case RouteReason::excluded:
      return DecisionReason::excluded;
    case RouteReason::no_signal:
      break;
  }
  return DecisionReason::no_signal;
}

AnswerSource to_source(DecisionSource source) noexcept {
  switch (source) {
    case DecisionSource::cached:
      return AnswerSource::cached;
    case DecisionSource::similar:
      return AnswerSource::similar;
    case DecisionSource::computed:
      break;
  }
  return AnswerSource::computed;
}

void fill_scored(ScoredRoute& scored, std::string&& route, float confidence,
                 const RouteScores& scores) {
  scored.route = std::move(route);
  scored.confidence = confidence;
  scored.dense_score = scores.dense;
  scored.lexical_score = scores.lexical;
  scored.fused_score = scores.fused;
  scored.rule_score = scores.rules;
}

std::vector<Rule> to_rules(std::vector<RuleMessage>&& messages) {
  std::vector<Rule> rules;
  rules.reserve(messages.size());
  for (RuleMessage& message : messages) {
    rules.push_back({static_cast<RuleKind>(message.kind), static_cast<RuleMode>(message.mode),
                     std::move(message.text)});
  }
  return rules;
}

// The longest prefix of at most `limit` bytes that does not cut a UTF-8 sequence.
void cut_text(std::string& text, std::size_t limit) {
  if (text.size() <= limit) return;
  while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xc0U) == 0x80U) --limit;
  text.resize(limit);
}

}  // namespace

RuleMessage to_message(const Rule& rule) {
  return {static_cast<RuleKindCode>(rule.kind), static_cast<RuleModeCode>(rule.mode), rule.text};
}

RouteQuery to_query(const RouteRequest& request) {
  RouteQuery query;
  if (!request.text.empty()) query.text = request.text;
  query.embedding = request.embedding;
  query.embedding_encoder = request.encoder;
  query.alternatives_limit = request.alternatives;
  query.explain = request.explain;
  query.limit = request.limit;
  query.only_routes = request.only_routes;
  query.only_tags = request.only_tags;
  return query;
}

void fill_reply(RouteReply& reply, RouteDecision&& decision) {
  constexpr std::size_t max_words = 64;
  constexpr std::size_t max_word_bytes = 128;
  fill_scored(reply.best, std::move(decision.route), decision.confidence, decision.scores);
  reply.is_fallback = decision.is_fallback;
  reply.reason = to_reason(decision.reason);
  reply.snapshot_version = decision.snapshot_version;
  reply.source = to_source(decision.source);
  reply.source_similarity = decision.source_similarity;
  reply.alternatives.reserve(decision.alternatives.size());
  for (Alternative& other : decision.alternatives) {
    fill_scored(reply.alternatives.emplace_back(), std::move(other.route), other.confidence,
                other.scores);
  }
  for (Alternative& other : decision.also) {
    fill_scored(reply.also.emplace_back(), std::move(other.route), other.confidence, other.scores);
  }
  if (!decision.explanation) return;
  for (MatchedRule& matched : decision.explanation->rules) {
    reply.rules.push_back({std::move(matched.route), to_message(matched.rule)});
  }
  reply.utterance = std::move(decision.explanation->best_utterance);
  reply.utterance_similarity = decision.explanation->best_similarity;
  for (auto& word : decision.explanation->words) {
    if (reply.words.size() == max_words) break;
    auto& wire = reply.words.emplace_back();
    wire.word = std::move(word.word);
    cut_text(wire.word, max_word_bytes);
    wire.weight = word.weight;
  }
}

std::vector<RouteEdit> to_edits(RoutesEdit&& message) {
  std::vector<RouteEdit> edits;
  edits.reserve(message.edits.size());
  for (RouteEditMessage& from : message.edits) {
    RouteEdit& edit = edits.emplace_back();
    edit.kind = to_kind(from.kind);
    edit.route.id = std::move(from.route.id);
    edit.route.description = std::move(from.route.description);
    edit.route.metadata = std::move(from.route.metadata);
    if (from.route.has_threshold) edit.route.threshold = from.route.threshold;
    if (from.route.has_margin) edit.route.margin = from.route.margin;
    edit.route.tags = std::move(from.route.tags);
    edit.route.priority = from.route.priority;
    // What is no aggregation stays none: the router refuses it.
    if (from.route.aggregation != 0) {
      edit.route.aggregation = static_cast<Aggregation>(from.route.aggregation - 1);
    }
    edit.route.rules = to_rules(std::move(from.route.rules));
    edit.route.utterances.reserve(from.route.utterances.size());
    for (UtteranceMessage& utterance : from.route.utterances) {
      edit.route.utterances.push_back({std::move(utterance.text), std::move(utterance.embedding),
                                       std::move(utterance.encoder)});
    }
  }
  return edits;
}

}  // namespace tenantd
