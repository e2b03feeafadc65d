// Keywords and patterns: what they find, what is refused, and what hostile ones cost.
#include "worker/router/rule_matcher.h"

#include <doctest/doctest.h>

#include <random>

#include "tests/unit/worker/router/fixtures.h"
#include "worker/encoder/unicode.h"
#include "worker/router/rule_index.h"

using namespace tenantd;
using namespace tenantd::fixtures;

namespace rule_matcher_test {

namespace {

std::vector<std::string> found(const std::vector<std::string>& keywords,
                               const std::vector<std::string>& patterns, std::string_view text) {
  RuleMatcher::Patterns compiled;
  for (const std::string& pattern : patterns) {
    auto made = Pattern::compile(pattern);
    REQUIRE_MESSAGE(made.has_value(), pattern);
    compiled.emplace(pattern, std::move(*made));
  }
  const RuleMatcher matcher(keywords, std::move(compiled));
  TokenList words;
  tokenize(text, words);
  MatchScratch scratch;
  std::vector<std::uint32_t> ids;
  matcher.match(text, words, scratch, ids);
  std::vector<std::string> texts;
  for (const std::uint32_t id : ids) {
    if (id < keywords.size()) {
      texts.push_back(matcher.keywords()[id]);
    } else {
      texts.push_back(
          std::next(matcher.patterns().begin(), static_cast<std::ptrdiff_t>(id - keywords.size()))
              ->first);
    }
  }
  std::ranges::sort(texts);
  return texts;
}

bool keyword_in(const std::string& keyword, std::string_view text) {
  return !found({keyword}, {}, text).empty();
}

bool pattern_in(const std::string& pattern, std::string_view text) {
  return !found({}, {pattern}, text).empty();
}

Status validated(RuleKind kind, std::string text) {
  const Rule rule{kind, RuleMode::signal, std::move(text)};
  return validate_rules({&rule, 1});
}

bool refused(RuleKind kind, std::string text, std::string_view reason) {
  const Status status = validated(kind, std::move(text));
  if (status) return false;
  CHECK(status.error().code == ErrorCode::invalid_argument);
  CHECK(status.error().field == (kind == RuleKind::pattern ? "pattern" : "keyword"));
  CAPTURE(status.error().message);
  CHECK(is_valid_utf8(status.error().message));
  return status.error().message.find(reason) != std::string::npos;
}

}  // namespace

TEST_CASE("keywords are whole words in a row, folded as the index folds them") {
  CHECK(keyword_in("refund", "I want a REFUND!"));
  CHECK(keyword_in("Refund", "two refunds, please"));
  CHECK(keyword_in("café", "ein CAFE bitte"));
  CHECK_FALSE(keyword_in("fun", "I want a refund"));
  CHECK(keyword_in("credit card", "my credit-card is lost"));
  CHECK_FALSE(keyword_in("credit card", "my card got credit"));
  CHECK_FALSE(keyword_in("credit card", "credit for my card"));
  CHECK_FALSE(keyword_in("credit card", "credit"));
  CHECK(keyword_in("退款", "我要退款"));
  CHECK(keyword_in("a a b", "a a a b"));
  CHECK_FALSE(keyword_in("refund", ""));
  CHECK(found({"a", "a b", "a b c", "b c", "c"}, {}, "x a b c a") ==
        std::vector<std::string>{"a", "a b", "a b c", "b c", "c"});
}

TEST_CASE("patterns are RE2's, found anywhere, alone and together") {
  CHECK(pattern_in("\\bINV-[0-9]+\\b", "see INV-2041, please"));
  CHECK_FALSE(pattern_in("\\bINV-[0-9]+\\b", "see inv-2041"));
  CHECK(pattern_in("(?i)inv-[0-9]+", "see Inv-2041"));
  CHECK(pattern_in("^/help", "/help me"));
  CHECK_FALSE(pattern_in("^/help", "no /help"));
  CHECK(pattern_in("\\pL{3}", "ÄÖÜ"));
  CHECK_FALSE(pattern_in("x", std::string("\xFF\xC3\0\x80", 4)));
  CHECK(pattern_in("x", std::string("\xFF\0x", 3)));
  CHECK(found({}, {"a", "ab+", "b$", "^c"}, "abb") == std::vector<std::string>{"a", "ab+", "b$"});
}

TEST_CASE("what is no rule is refused, naming it and the reason") {
  CHECK(validated(RuleKind::keyword, "refund"));
  CHECK(validated(RuleKind::pattern, "refund(s|ed)?"));
  CHECK(refused(RuleKind::keyword, "", "is empty"));
  CHECK(refused(RuleKind::keyword, "?!", "has no word"));
  CHECK(refused(RuleKind::keyword, "a\xFF", "not UTF-8"));
  CHECK(refused(RuleKind::keyword, "a\nb", "control"));
  CHECK(refused(RuleKind::keyword, std::string(max_keyword_bytes + 1, 'a'), "longer"));
  std::string many;
  for (std::size_t i = 0; i <= max_keyword_words; ++i) many += "w ";
  CHECK(refused(RuleKind::keyword, many + "w", "words"));
  CHECK(refused(RuleKind::pattern, "", "is empty"));
  CHECK(refused(RuleKind::pattern, "(", "missing"));
  CHECK(refused(RuleKind::pattern, "[z-a]", "range"));
  CHECK(refused(RuleKind::pattern, "(?=x)y", "(?="));     // no look-ahead,
  CHECK(refused(RuleKind::pattern, "(a)\\1", "escape"));  // no back-references: not linear
  CHECK(refused(RuleKind::pattern, "(x{1000}){1000}", "repetition"));
  CHECK(refused(RuleKind::pattern, "((x{100}){100}){100}", "repetition"));
  CHECK(refused(RuleKind::pattern, "\\pL{200}", "too large"));
  CHECK(refused(RuleKind::pattern, "\xC3\x28", "not UTF-8"));
  CHECK(refused(RuleKind::pattern, std::string(max_pattern_bytes + 1, 'a'), "longer"));
  CHECK(refused(RuleKind::pattern, std::string(1000, '('), "missing"));
  for (const char* pattern : {".*", "x*", "(a|)", "()", "|", "(?s).*", "a?", "[^a]*"}) {
    CAPTURE(pattern);
    CHECK(refused(RuleKind::pattern, pattern, "matches every text"));
  }
  CHECK(validated(RuleKind::pattern, "^\\s*$"));
  std::string alternatives = "a";
  while (alternatives.size() < max_pattern_bytes - 4) alternatives += "|" + std::string(3, 'b');
  CHECK(validated(RuleKind::pattern, alternatives));
  std::vector<Rule> rules(max_route_rules + 1, {RuleKind::keyword, RuleMode::never, "word"});
  CHECK_FALSE(validate_rules(rules));
  rules.pop_back();
  CHECK(validate_rules(rules));
  rules.assign(20, {RuleKind::pattern, RuleMode::never, std::string(1000, 'a')});
  CHECK_FALSE(validate_rules(rules));
  rules.assign(1, {static_cast<RuleKind>(2), RuleMode::signal, "word"});
  CHECK_FALSE(validate_rules(rules));
  rules.assign(1, {RuleKind::keyword, static_cast<RuleMode>(3), "word"});
  CHECK_FALSE(validate_rules(rules));
}

TEST_CASE("patterns that ruin other engines end, and find what they should") {
  const std::string as(60'000, 'a');
  CHECK_FALSE(pattern_in("(a*)*b", as + "c"));
  CHECK(pattern_in("(a*)*b", as + "b"));
  CHECK_FALSE(pattern_in("(a|aa)+$", as + "!"));
  CHECK_FALSE(pattern_in("(x+x+)+y", std::string(60'000, 'x')));
  CHECK(pattern_in("(a?){50}a{50}", as));
}

TEST_CASE("all patterns together find what each finds by itself, also where automata explode") {
  // Each of them needs a state for every way in which the last 20 letters can lie.
  std::vector<std::string> patterns;
  for (int i = 0; i < 40; ++i) {
    patterns.push_back("[ab]*a[ab]{" + std::to_string(14 + i % 12) + "}c" + std::to_string(i));
  }
  std::mt19937 random(7);
  std::string text;
  for (const std::size_t size : {100U, 1500U, 3000U}) {  // the longest is matched one by one
    while (text.size() < size) text += random() % 2 == 0 ? 'a' : 'b';
    const std::string ended = text + "ac7 a" + std::string(25, 'b') + "c11";
    std::vector<std::string> expected;
    for (const std::string& pattern : patterns) {
      if (pattern_in(pattern, ended)) expected.push_back(pattern);
    }
    std::ranges::sort(expected);
    REQUIRE_FALSE(expected.empty());
    CHECK(found({}, patterns, ended) == expected);
  }
}

TEST_CASE("a tenant's rules are bounded together, and a text counts once") {
  const auto index_of = [](std::size_t routes, auto rule) {
    std::vector<std::shared_ptr<const RouteBlock>> blocks;
    for (std::size_t r = 0; r < routes; ++r) {
      RouteDefinition route;
      route.id = std::to_string(r);
      for (std::size_t i = 0; i < max_route_rules; ++i) route.rules.push_back(rule(r, i));
      blocks.push_back(build_route(route, 8));
    }
    return build_rule_index(blocks, nullptr);
  };
  const auto keyword = [](std::size_t r, std::size_t i) {
    return Rule{RuleKind::keyword, RuleMode::signal,
                "k" + std::to_string(r) + " w" + std::to_string(i)};
  };
  CHECK(check_rule_limits(nullptr));
  CHECK(check_rule_limits(index_of(max_keywords / max_route_rules, keyword).get()));
  const Status status =
      check_rule_limits(index_of(max_keywords / max_route_rules + 1, keyword).get());
  REQUIRE_FALSE(status);
  CHECK(status.error().code == ErrorCode::resource_exhausted);
  const auto pattern = [](std::size_t r, std::size_t i) {
    return Rule{RuleKind::pattern, RuleMode::signal, "p" + std::to_string(r * 64 + i)};
  };
  CHECK(check_rule_limits(index_of(4, pattern).get()));
  CHECK_FALSE(check_rule_limits(index_of(5, pattern).get()));
  const auto same = [](std::size_t, std::size_t) {
    return Rule{RuleKind::pattern, RuleMode::signal, "x{300}"};
  };
  CHECK(check_rule_limits(index_of(100, same).get()));
  const auto large = [](std::size_t, std::size_t i) {
    return Rule{RuleKind::pattern, RuleMode::signal, "x{300}" + std::to_string(i)};
  };
  CHECK_FALSE(check_rule_limits(index_of(1, large).get()));
}

TEST_CASE("matches of rules are worth ever less, and never all") {
  CHECK(rule_score(0) == 0.0F);
  CHECK(rule_score(1) == 0.5F);
  CHECK(rule_score(2) == 0.75F);
  for (std::uint32_t n = 0; n < 20; ++n) CHECK(rule_score(n) < rule_score(n + 1));
  CHECK(rule_score(20) < 1.0F);
}

}  // namespace rule_matcher_test
