#include "worker/router/rule_index.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "worker/encoder/unicode.h"
#include "worker/router/route_block.h"

namespace tenantd {
namespace {

using UsesByText = std::map<std::string, std::vector<RuleUse>, std::less<>>;

bool has_same_texts(const RuleMatcher& matcher, const UsesByText& keywords,
                    const UsesByText& patterns) {
  const auto same = [](const auto& known, const auto& wanted) {
    return known.first == wanted.first;
  };
  return std::ranges::equal(matcher.keywords(), keywords, {}, {}, &UsesByText::value_type::first) &&
         std::ranges::equal(matcher.patterns(), patterns, same);
}

std::shared_ptr<const RuleMatcher> build_matcher(const UsesByText& keywords,
                                                 const UsesByText& patterns,
                                                 const RuleMatcher* previous) {
  std::vector<std::string> texts;
  for (const auto& [text, uses] : keywords) texts.push_back(text);
  RuleMatcher::Patterns compiled;
  for (const auto& [text, uses] : patterns) {
    if (previous != nullptr) {
      const auto known = previous->patterns().find(text);
      if (known != previous->patterns().end()) {
        compiled.insert(*known);
        continue;
      }
    }
    auto fresh = Pattern::compile(text);
    if (fresh) compiled.emplace(text, std::move(*fresh));
  }
  return std::make_shared<const RuleMatcher>(std::move(texts), std::move(compiled));
}

Status refuse(std::string_view field, std::string message) {
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.field = field;
  error.message = std::move(message);
  return fail(std::move(error));
}

Status validate_rule(const Rule& rule) {
  const bool is_pattern = rule.kind == RuleKind::pattern;
  const std::string_view field = is_pattern ? "pattern" : "keyword";
  const std::size_t most = is_pattern ? max_pattern_bytes : max_keyword_bytes;
  if (rule.kind > RuleKind::pattern || rule.mode > RuleMode::never) {
    return refuse("rules", "have an unknown kind or mode");
  }
  if (rule.text.empty()) return refuse(field, "is empty");
  if (rule.text.size() > most) {
    return refuse(field, "is longer than " + std::to_string(most) + " bytes");
  }
  if (!is_valid_utf8(rule.text)) return refuse(field, "is not UTF-8");
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  if (std::ranges::any_of(rule.text, is_control)) {
    return refuse(field, "holds a control character");
  }
  if (!is_pattern) return validate_keyword(rule.text);
  const auto compiled = Pattern::compile(rule.text);
  return compiled ? Status{} : fail(compiled.error());
}

}  // namespace

void RuleIndex::match(std::string_view text, const TokenList& words, MatchScratch& scratch,
                      std::vector<RuleUse>& out) const {
  out.clear();
  matcher_->match(text, words, scratch, scratch.ids);
  for (const std::uint32_t id : scratch.ids) {
    out.insert(out.end(), uses_[id].begin(), uses_[id].end());
  }
  std::ranges::sort(out, [](const RuleUse& a, const RuleUse& b) {
    return a.route != b.route ? a.route < b.route : a.rule < b.rule;
  });
}

std::shared_ptr<const RuleIndex> build_rule_index(
    std::span<const std::shared_ptr<const RouteBlock>> routes, const RuleIndex* previous) {
  UsesByText keywords;
  UsesByText patterns;
  for (std::uint32_t r = 0; r < routes.size(); ++r) {
    const std::vector<Rule>& rules = routes[r]->rules;
    for (std::uint32_t i = 0; i < rules.size(); ++i) {
      UsesByText& texts = rules[i].kind == RuleKind::pattern ? patterns : keywords;
      texts[rules[i].text].push_back({r, i, rules[i].mode});
    }
  }
  if (keywords.empty() && patterns.empty()) return nullptr;
  auto index = std::make_shared<RuleIndex>();
  const RuleMatcher* const known = previous != nullptr ? previous->matcher_.get() : nullptr;
  index->matcher_ = known != nullptr && has_same_texts(*known, keywords, patterns)
                        ? previous->matcher_
                        : build_matcher(keywords, patterns, known);
  for (auto& [text, uses] : keywords) index->uses_.push_back(std::move(uses));
  for (const auto& [text, pattern] : index->matcher_->patterns()) {
    index->uses_.push_back(std::move(patterns[text]));
  }
  return index;
}

Status validate_rules(std::span<const Rule> rules) {
  if (rules.size() > max_route_rules) {
    return refuse("rules", "are more than " + std::to_string(max_route_rules));
  }
  std::size_t bytes = 0;
  for (const Rule& rule : rules) bytes += rule.text.size();
  if (bytes > max_route_rule_bytes) {
    return refuse("rules", "are longer than " + std::to_string(max_route_rule_bytes) + " bytes");
  }
  for (const Rule& rule : rules) {
    if (Status status = validate_rule(rule); !status) return status;
  }
  return {};
}

Status check_rule_limits(const RuleIndex* index) {
  if (index == nullptr) return {};
  const RuleMatcher& matcher = *index->matcher();
  std::size_t steps = 0;
  for (const auto& [text, pattern] : matcher.patterns()) steps += pattern->steps();
  if (matcher.keywords().size() <= max_keywords && matcher.patterns().size() <= max_patterns &&
      steps <= max_pattern_steps) {
    return {};
  }
  return fail(ErrorCode::resource_exhausted,
              "a tenant has at most " + std::to_string(max_keywords) + " keywords and " +
                  std::to_string(max_patterns) + " patterns of " +
                  std::to_string(max_pattern_steps) + " instructions together",
              "counted repetitions and Unicode classes make patterns large");
}

float rule_score(std::uint32_t matches) noexcept {
  return 1.0F - std::ldexp(1.0F, -static_cast<int>(matches));
}

}  // namespace tenantd
