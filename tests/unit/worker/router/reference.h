// The slow, obvious router: what every decision is compared with, bit for bit.
//
// Works on definitions. Every route is scored with all of its vectors, all are sorted, and each
// rule of the documentation is one loop here. Words are searched word by word, patterns by
// std::regex (tests use what both it and RE2 understand alike).
#pragma once

#include <algorithm>
#include <limits>
#include <optional>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "tests/unit/worker/router/fixtures.h"
#include "worker/router/dot.h"
#include "worker/router/scorer.h"

namespace tenantd::fixtures {

inline std::vector<std::string> words_of(std::string_view text) {
  TokenList tokens;
  tokenize(text, tokens);
  std::vector<std::string> words;
  for (const Token& token : tokens.tokens) words.emplace_back(tokens.view(token));
  return words;
}

inline bool rule_matches(const Rule& rule, const std::string& text) {
  if (rule.kind == RuleKind::pattern) {
    return std::regex_search(text, std::regex(rule.text, std::regex::ECMAScript));
  }
  const std::vector<std::string> all = words_of(text);
  const std::vector<std::string> phrase = words_of(rule.text);
  for (std::size_t first = 0; first + phrase.size() <= all.size(); ++first) {
    if (std::equal(phrase.begin(), phrase.end(),
                   all.begin() + static_cast<std::ptrdiff_t>(first))) {
      return true;
    }
  }
  return false;
}

class Reference {
 public:
  // `current` gives settings and calibration; its set is only asked for its definitions' scores.
  Reference(const std::vector<RouteDefinition>& routes, const RouteSnapshot& current)
      : routes_(routes), current_(current) {
    std::vector<std::shared_ptr<const RouteBlock>> blocks;
    for (const RouteDefinition& route : routes) {
      blocks.push_back(build_route(route, current.settings.router.dimension));
    }
    set_ = build_route_set(std::move(blocks), current.settings.router.dimension);
  }

  // Of a valid query.
  RouteDecision route(const RouteQuery& query) {
    RouteDecision decision = fallback(RouteReason::no_routes);
    if (routes_.empty()) return decision;
    const std::string text(query.text.value_or(""));
    matched_.assign(routes_.size(), {});
    std::vector<std::size_t> there;  // routes
    for (std::size_t r = 0; r < routes_.size(); ++r) {
      if (is_filtered(query, routes_[r])) continue;
      for (const Rule& rule : routes_[r].rules) {
        const bool counts = rule.mode != RuleMode::signal || settings().rule_weight > 0;
        if (query.text && counts && rule_matches(rule, text)) matched_[r].push_back(rule);
      }
      if (count(r, RuleMode::never) == 0) there.push_back(r);
    }
    score(query, text, there);
    const std::vector<Placed> placed = place(query, text, there);
    const bool nothing =
        placed.empty() || (!has_vector_ && !placed[0].selected && placed[0].scores.rules <= 0 &&
                           placed[0].scores.fused <= 0);
    if (nothing) {
      decision.reason = there.empty() ? RouteReason::excluded : RouteReason::no_signal;
      return decision;
    }
    return judge(query, placed);
  }
  [[nodiscard]] std::size_t count(std::size_t route, RuleMode mode) const {
    return static_cast<std::size_t>(
        std::ranges::count(matched_[route], mode, [](const Rule& rule) { return rule.mode; }));
  }

 private:
  struct Placed {
    std::size_t route;
    float logit;
    RouteScores scores;
    float confidence = 0;
    bool selected = false;
  };
  [[nodiscard]] const RouterSettings& settings() const { return current_.settings.router; }
  [[nodiscard]] float threshold_of(std::size_t route) const {
    return routes_[route].threshold.value_or(settings().threshold);
  }
  [[nodiscard]] float margin_of(std::size_t route) const {
    return routes_[route].margin.value_or(static_cast<float>(settings().margin_e4) * 1e-4F);
  }
  [[nodiscard]] RouteDecision fallback(RouteReason reason) const {
    RouteDecision decision;
    decision.route = settings().fallback_route.view();
    decision.is_fallback = true;
    decision.reason = reason;
    decision.threshold = settings().threshold;
    decision.snapshot_version = current_.version;
    return decision;
  }
  static bool is_filtered(const RouteQuery& query, const RouteDefinition& route) {
    if (query.only_routes.empty() && query.only_tags.empty()) return false;
    for (const std::string_view id : query.only_routes) {
      if (id == route.id) return false;
    }
    for (const std::string_view wanted : query.only_tags) {
      for (const std::string& tag : route.tags) {
        if (tag == wanted) return false;
      }
    }
    return true;
  }
  // logits_ and scores_: of each route that is there; no signal: minus infinity.
  void score(const RouteQuery& query, const std::string& text,
             const std::vector<std::size_t>& there) {
    const std::uint32_t dimension = settings().dimension;
    Matrix vector(1, dimension);
    has_vector_ = false;
    if (settings().dense_weight > 0) {
      if (!query.embedding.empty()) {
        has_vector_ = normalise(query.embedding, vector.row(0));
      } else {
        HashEncoder encoder(dimension);
        has_vector_ = encoder.encode(text, vector.row(0)).has_value();
      }
    }
    TokenList tokens;
    std::vector<QueryWord> distinct;
    if (query.text) {
      tokenize(text, tokens);
      distinct_words(tokens, distinct);
    }
    const QuerySignals signals{has_vector_ ? vector.data() : nullptr, {}, distinct};
    Scorer scorer(plain_kernels);
    WordSearch words;
    words.look_up(*set_, distinct, true);
    logits_.assign(routes_.size(), -std::numeric_limits<float>::infinity());
    scores_.assign(routes_.size(), {});
    for (const std::size_t r : there) {
      const SignalScores found =
          scorer.score(*set_, current_.scoring, signals, words, static_cast<std::uint32_t>(r));
      const FusedScore fused = fuse(found, current_.scoring);
      scores_[r] = {found.dense, found.lexical, fused.score, 0};
      const bool has_signal = fused.mode != ScoreMode::none;
      if (has_signal) logits_[r] = current_.calibration.logit(fused);
      const std::size_t n = count(r, RuleMode::signal);
      if (n == 0) continue;
      float without = 1;  // 2^-n
      for (std::size_t i = 0; i < n; ++i) without /= 2;
      scores_[r].rules = 1 - without;
      logits_[r] =
          (has_signal ? logits_[r] : 0.0F) + settings().rule_weight * 4.0F * scores_[r].rules;
    }
  }
  [[nodiscard]] bool shares_word(const std::string& text) const {
    TokenList tokens;
    tokenize(text, tokens);
    std::set<std::string> known;
    for (const RouteDefinition& route : routes_) {
      for (const Utterance& utterance : route.utterances) {
        for (const std::string& word : words_of(utterance.text)) known.insert(word);
      }
    }
    for (const Token& token : tokens.tokens) {
      if (!token.is_function_word && known.contains(std::string(tokens.view(token)))) return true;
    }
    return false;
  }
  // All that a signal or an `always` rule speaks for, best first.
  std::vector<Placed> place(const RouteQuery& query, const std::string& text,
                            const std::vector<std::size_t>& there) const {
    std::vector<Placed> ranked;
    for (const std::size_t r : there) {
      if (logits_[r] > -std::numeric_limits<float>::infinity()) {
        ranked.push_back({r, logits_[r], scores_[r]});
      }
    }
    const auto goes_first = [this](const Placed& a, const Placed& b) {
      if (a.logit != b.logit) return a.logit > b.logit;
      return routes_[a.route].priority > routes_[b.route].priority;
    };
    std::ranges::stable_sort(ranked, goes_first);
    const bool is_hashed = query.text && query.embedding.empty() && has_vector_;
    const bool is_vague =
        is_hashed && !ranked.empty() && ranked[0].scores.rules <= 0 && !shares_word(text);
    for (std::size_t i = 0; i < ranked.size(); ++i) {
      Rivals rivals;
      for (std::size_t o = 0; o < ranked.size(); ++o) {
        if (o != i) rivals.add(ranked[o].logit);  // takes the first three
      }
      ranked[i].confidence =
          (is_vague ? 0.49F : 1.0F) * current_.calibration.confidence(ranked[i].logit, rivals);
    }
    std::vector<Placed> placed;
    for (const std::size_t r : there) {
      if (count(r, RuleMode::always) > 0) placed.push_back({r, logits_[r], scores_[r], 1, true});
    }
    std::ranges::stable_sort(placed, [&](const Placed& a, const Placed& b) {
      const auto first = routes_[a.route].priority;
      const auto second = routes_[b.route].priority;
      return first != second ? first > second : a.logit > b.logit;
    });
    for (const Placed& other : ranked) {
      if (count(other.route, RuleMode::always) == 0) placed.push_back(other);
    }
    return placed;
  }
  [[nodiscard]] RouteDecision judge(const RouteQuery& query,
                                    const std::vector<Placed>& placed) const {
    const Placed& best = placed[0];
    RouteReason reason = RouteReason::matched;
    if (!best.selected) {
      if (best.confidence < threshold_of(best.route)) {
        reason = RouteReason::below_threshold;
      } else if (placed.size() > 1 &&
                 best.confidence - placed[1].confidence < margin_of(best.route)) {
        reason = RouteReason::ambiguous;
      }
    }
    RouteDecision decision = fallback(reason);
    decision.confidence = best.confidence;
    decision.threshold = threshold_of(best.route);
    decision.scores = best.scores;
    std::vector<Placed> rest = placed;
    if (reason == RouteReason::matched) {
      decision.route = routes_[best.route].id;
      decision.is_fallback = false;
      rest.erase(rest.begin());
      for (auto it = rest.begin(); it != rest.end();) {
        const bool wanted =
            decision.also.size() + 1 < query.limit && it->confidence >= threshold_of(it->route);
        if (wanted) decision.also.push_back(as_alternative(*it));
        it = wanted ? rest.erase(it) : it + 1;
      }
    }
    for (const Placed& other : rest) {
      if (decision.alternatives.size() == query.alternatives_limit) break;
      decision.alternatives.push_back(as_alternative(other));
    }
    return decision;
  }
  [[nodiscard]] Alternative as_alternative(const Placed& placed) const {
    return {routes_[placed.route].id, placed.confidence, placed.scores};
  }

  const std::vector<RouteDefinition>& routes_;
  const RouteSnapshot& current_;
  std::shared_ptr<const RouteSet> set_;
  bool has_vector_ = false;
  std::vector<std::vector<Rule>> matched_;  // by route
  std::vector<float> logits_;
  std::vector<RouteScores> scores_;
};

}  // namespace tenantd::fixtures
