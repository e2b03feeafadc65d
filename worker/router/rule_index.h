// The rules of all routes of a tenant, and what those that match a text mean for each route.
//
// Runs in: worker; built by the editor thread, read by the loop thread. Immutable. Costs nothing
// where no route has a rule.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "shared/base/error.h"
#include "worker/router/rule_matcher.h"
#include "worker/router/types.h"

namespace tenantd {

struct RouteBlock;

inline constexpr std::size_t max_route_rules = 64;
inline constexpr std::size_t max_route_rule_bytes = 16U * 1024U;  // of their texts together
inline constexpr std::size_t max_explained_rules = 16;

// Rule number `rule` of route number `route`.
struct RuleUse {
  std::uint32_t route;
  std::uint32_t rule;
  RuleMode mode;
  friend bool operator==(const RuleUse&, const RuleUse&) = default;
};

class RuleIndex {
 public:
  // What is in the text, by route and then by rule; replaces `out`.
  void match(std::string_view text, const TokenList& words, MatchScratch& scratch,
             std::vector<RuleUse>& out) const;
  [[nodiscard]] const std::shared_ptr<const RuleMatcher>& matcher() const noexcept {
    return matcher_;
  }

 private:
  friend std::shared_ptr<const RuleIndex> build_rule_index(
      std::span<const std::shared_ptr<const RouteBlock>>, const RuleIndex*);
  std::shared_ptr<const RuleMatcher> matcher_;
  std::vector<std::vector<RuleUse>> uses_;  // by the matcher's ids
};

// Null if no route has a rule. Patterns that do not compile match nothing: validate_rules() was
// there first. What `previous` (may be null) has compiled is shared.
[[nodiscard]] std::shared_ptr<const RuleIndex> build_rule_index(
    std::span<const std::shared_ptr<const RouteBlock>> routes, const RuleIndex* previous);

// Errors: invalid_argument (too many, too long, not UTF-8, control characters, no word, no valid
// expression), naming the rule.
[[nodiscard]] Status validate_rules(std::span<const Rule> rules);
// Of all routes together. Error: resource_exhausted.
[[nodiscard]] Status check_rule_limits(const RuleIndex* index);

// What `matches` of one or several `signal` rules of a route are worth: 1 - 2^-matches.
[[nodiscard]] float rule_score(std::uint32_t matches) noexcept;

}  // namespace tenantd
