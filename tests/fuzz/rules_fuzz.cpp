// A client's rule and a client's text: what is refused has a reason, what is accepted matches the
// same alone and among others.
//
// The first byte chooses the kind; the rule goes up to the first newline, the text follows.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "worker/encoder/unicode.h"
#include "worker/router/route_block.h"
#include "worker/router/rule_index.h"

namespace {

using namespace tenantd;

void require(bool holds) {
  if (!holds) std::abort();
}

std::vector<RuleUse> matches(const std::vector<Rule>& rules, std::string_view text) {
  RouteDefinition route;
  route.id = "r";
  route.rules = rules;
  const auto index = build_rule_index(std::vector{build_route(route, 4)}, nullptr);
  require(check_rule_limits(index.get()).has_value());
  TokenList words;
  tokenize(text, words);
  MatchScratch scratch;
  std::vector<RuleUse> uses;
  index->match(text, words, scratch, uses);
  return uses;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 16'384) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(input.find('\n', 1), input.size());
  Rule rule;
  rule.kind = data[0] % 2 == 0 ? RuleKind::keyword : RuleKind::pattern;
  rule.mode = static_cast<RuleMode>(data[0] / 2 % 3);
  rule.text = input.substr(1, end - 1);
  const std::string_view text = input.substr(std::min(end + 1, input.size()));
  const Status status = validate_rules({&rule, 1});
  if (!status) {
    require(status.error().code == ErrorCode::invalid_argument);
    require(!status.error().message.empty() && is_valid_utf8(status.error().message));
    return 0;
  }
  const bool alone = !matches({rule}, text).empty();
  const Rule pattern{RuleKind::pattern, RuleMode::signal, "0+1"};
  const Rule keyword{RuleKind::keyword, RuleMode::signal, "some words"};
  const std::vector<RuleUse> among = matches({keyword, pattern, rule}, text);
  require(alone == (std::ranges::count(among, 2U, &RuleUse::rule) == 1));
  return 0;
}
