#include "worker/router/query_rules.h"

#include <algorithm>

namespace tenantd {
namespace {

bool has_tag_of(const RouteBlock& route, std::span<const std::string_view> tags) {
  return std::ranges::any_of(route.tags, [tags](const std::string& tag) {
    return std::ranges::find(tags, std::string_view(tag)) != tags.end();
  });
}

}  // namespace

void QueryRules::look_up(const RouteSet& set, const RouterSettings& settings,
                         const RouteQuery& query, const TokenList& words) {
  matches_.clear();
  evidence_.clear();
  always_.clear();
  allowed_.clear();
  if (!query.only_routes.empty() || !query.only_tags.empty()) apply_filter(set, query);
  if (set.rules == nullptr || !query.text) return;
  set.rules->match(*query.text, words, scratch_, matches_);
  if (!matches_.empty()) apply_rules(set, settings);
}

void QueryRules::apply_filter(const RouteSet& set, const RouteQuery& query) {
  allowed_.assign(set.routes.size(), 0);
  for (const std::string_view id : query.only_routes) {
    if (const auto found = set.find(id)) allowed_[*found] = 1;
  }
  if (query.only_tags.empty()) return;
  for (std::size_t r = 0; r < set.routes.size(); ++r) {
    if (has_tag_of(*set.routes[r], query.only_tags)) allowed_[r] = 1;
  }
}

void QueryRules::apply_rules(const RouteSet& set, const RouterSettings& settings) {
  std::erase_if(matches_, [this, &settings](const RuleUse& match) {
    if (match.mode == RuleMode::signal && settings.rule_weight <= 0) return true;
    return !allowed_.empty() && allowed_[match.route] == 0;
  });
  for (const RuleUse& match : matches_) {
    if (match.mode != RuleMode::never) continue;
    if (allowed_.empty()) allowed_.assign(set.routes.size(), 1);
    allowed_[match.route] = 0;
  }
  std::uint32_t signals = 0;  // of the route so far
  for (std::size_t m = 0; m < matches_.size(); ++m) {
    const RuleUse& match = matches_[m];
    const bool is_first = m == 0 || matches_[m - 1].route != match.route;
    if (is_first) signals = 0;
    if (!allowed_.empty() && allowed_[match.route] == 0) continue;
    if (match.mode == RuleMode::always && (always_.empty() || always_.back() != match.route)) {
      always_.push_back(match.route);
    }
    if (match.mode != RuleMode::signal) continue;
    if (++signals == 1) evidence_.push_back({match.route, 0});
    evidence_.back().score = rule_score(signals);
  }
}

bool QueryRules::excludes_all() const noexcept {
  return !allowed_.empty() && std::ranges::find(allowed_, 1) == allowed_.end();
}

std::vector<MatchedRule> QueryRules::explain(const RouteSet& set,
                                             std::optional<std::uint32_t> route) const {
  std::vector<MatchedRule> rules;
  for (const RuleMode mode : {RuleMode::always, RuleMode::signal, RuleMode::never}) {
    for (const RuleUse& match : matches_) {
      if (match.mode != mode || (mode != RuleMode::never && match.route != route)) continue;
      if (rules.size() == max_explained_rules) return rules;
      const RouteBlock& block = *set.routes[match.route];
      rules.push_back({block.id, block.rules[match.rule]});
    }
  }
  return rules;
}

}  // namespace tenantd
