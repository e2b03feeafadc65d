// What a query's filter and the rules in its text mean for each route.
//
// Runs in: worker, loop thread; scratch of one query, kept for the next. A route that the filter or
// a `never` rule takes out is not there for this query: neither as an answer nor as a rival.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "shared/contract/tenant_settings.h"
#include "worker/router/query.h"
#include "worker/router/route_set.h"
#include "worker/router/types.h"

namespace tenantd {

class QueryRules {
 public:
  // `words` are those of the query's text; without a text no rule matches.
  void look_up(const RouteSet& set, const RouterSettings& settings, const RouteQuery& query,
               const TokenList& words);

  [[nodiscard]] std::span<const RuleEvidence> evidence() const noexcept { return evidence_; }
  // Routes that an `always` rule selects, by index.
  [[nodiscard]] std::span<const std::uint32_t> always() const noexcept { return always_; }
  // One a route, as QuerySignals::allowed; null: all are there.
  [[nodiscard]] const std::uint8_t* allowed() const noexcept {
    return allowed_.empty() ? nullptr : allowed_.data();
  }
  // There are routes, but none for this query.
  [[nodiscard]] bool excludes_all() const noexcept;
  // Those that matched: of `route` (an index, or none) first the `always`, then the `signal` rules;
  // then what excluded others.
  [[nodiscard]] std::vector<MatchedRule> explain(const RouteSet& set,
                                                 std::optional<std::uint32_t> route) const;

 private:
  void apply_filter(const RouteSet& set, const RouteQuery& query);
  void apply_rules(const RouteSet& set, const RouterSettings& settings);

  MatchScratch scratch_;
  std::vector<RuleUse> matches_;  // of routes that the filter lets through
  std::vector<RuleEvidence> evidence_;
  std::vector<std::uint32_t> always_;
  std::vector<std::uint8_t> allowed_;
};

}  // namespace tenantd
