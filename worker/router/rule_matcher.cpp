#include "worker/router/rule_matcher.h"

#include <re2/re2.h>
#include <re2/set.h>

#include <utility>

#include "worker/encoder/unicode.h"

namespace tenantd {
namespace {

// Of one pattern: program and automaton. What does not fit is refused when it is compiled.
constexpr std::int64_t pattern_memory_bytes = 96 * 1024;
// Of the automaton for all patterns of a tenant.
constexpr std::int64_t set_memory_bytes = 4 * 1024 * 1024;
// Longer texts meet the patterns one by one. One automaton for all is faster by their number. But
// where each byte leads to a state that was not there before it takes 35 ns a byte and instruction:
// RE2 leaves the automaton of a single pattern then, that of all it does not.
constexpr std::size_t set_text_bytes = 2048;

re2::RE2::Options options(std::int64_t memory_bytes) {
  re2::RE2::Options made;
  made.set_max_mem(memory_bytes);
  made.set_log_errors(false);
  made.set_never_capture(true);
  return made;
}

re2::StringPiece piece(std::string_view text) { return {text.data(), text.size()}; }

tl::unexpected<Error> refuse(std::string_view field, std::string_view text, std::string reason) {
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.field = field;
  constexpr std::size_t shown_bytes = 128;
  std::string shown(text.substr(0, shown_bytes));
  while (!is_valid_utf8(shown)) shown.pop_back();
  error.message = "\"" + shown + (shown.size() < text.size() ? "…" : "") + "\" " + reason;
  return fail(std::move(error));
}

}  // namespace

Pattern::Pattern(std::unique_ptr<re2::RE2> compiled)
    : compiled_(std::move(compiled)), steps_(static_cast<std::size_t>(compiled_->ProgramSize())) {}

Pattern::~Pattern() = default;

Result<std::shared_ptr<const Pattern>> Pattern::compile(std::string_view text) {
  auto compiled = std::make_unique<re2::RE2>(piece(text), options(pattern_memory_bytes));
  if (!compiled->ok()) {
    return refuse("pattern", text, "is not usable: " + compiled->error());
  }
  std::shared_ptr<const Pattern> pattern(new Pattern(std::move(compiled)));
  // What finds nothing at all in two texts that have nothing in common finds it in every text.
  if (pattern->matches("") && pattern->matches("\x01")) {
    return refuse("pattern", text, "matches every text");
  }
  return pattern;
}

bool Pattern::matches(std::string_view text) const {
  return compiled_->Match(piece(text), 0, text.size(), re2::RE2::UNANCHORED, nullptr, 0);
}

Status validate_keyword(std::string_view text) {
  TokenList words;
  tokenize(text, words);
  if (words.tokens.empty()) return refuse("keyword", text, "has no word");
  if (words.tokens.size() > max_keyword_words) {
    return refuse("keyword", text, "has more than " + std::to_string(max_keyword_words) + " words");
  }
  return {};
}

struct RuleMatcher::AllPatterns {
  re2::RE2::Set set{options(set_memory_bytes), re2::RE2::UNANCHORED};
};

RuleMatcher::~RuleMatcher() = default;

RuleMatcher::RuleMatcher(std::vector<std::string> keywords, Patterns patterns)
    : keywords_(std::move(keywords)), patterns_(std::move(patterns)), ends_(1) {
  for (std::uint32_t id = 0; id < keywords_.size(); ++id) add_keyword(id);
  if (patterns_.size() < 2) return;
  auto all = std::make_unique<AllPatterns>();
  for (const auto& [text, pattern] : patterns_) {
    if (all->set.Add(piece(text), nullptr) < 0) return;
  }
  if (all->set.Compile()) all_patterns_ = std::move(all);
}

void RuleMatcher::add_keyword(std::uint32_t id) {
  TokenList words;
  tokenize(keywords_[id], words);
  std::uint32_t node = 0;
  for (const Token& token : words.tokens) {
    const auto next_word = static_cast<std::uint32_t>(word_ids_.size());
    const std::uint32_t word =
        word_ids_.emplace(std::string(words.view(token)), next_word).first->second;
    const std::uint64_t edge = std::uint64_t{node} << 32U | word;
    const auto next_node = static_cast<std::uint32_t>(ends_.size());
    const auto [place, fresh] = edges_.emplace(edge, next_node);
    if (fresh) ends_.emplace_back();
    node = place->second;
  }
  ends_[node].push_back(id);
}

std::uint32_t RuleMatcher::step(std::uint32_t node, std::uint32_t word) const {
  const auto found = edges_.find(std::uint64_t{node} << 32U | word);
  return found != edges_.end() ? found->second : none;
}

void RuleMatcher::match(std::string_view text, const TokenList& words, MatchScratch& scratch,
                        std::vector<std::uint32_t>& out) const {
  out.clear();
  if (!keywords_.empty()) match_keywords(words, scratch, out);
  if (!patterns_.empty()) match_patterns(text, scratch, out);
}

void RuleMatcher::match_keywords(const TokenList& words, MatchScratch& scratch,
                                 std::vector<std::uint32_t>& out) const {
  scratch.words.clear();
  for (const Token& token : words.tokens) {
    const auto found = word_ids_.find(words.view(token));
    scratch.words.push_back(found != word_ids_.end() ? found->second : none);
  }
  scratch.found.assign(keywords_.size(), 0);
  for (std::size_t first = 0; first < scratch.words.size(); ++first) {
    std::uint32_t node = 0;
    for (std::size_t i = first; i < scratch.words.size() && scratch.words[i] != none; ++i) {
      node = step(node, scratch.words[i]);
      if (node == none) break;
      for (const std::uint32_t id : ends_[node]) {
        if (std::exchange(scratch.found[id], 1) == 0) out.push_back(id);
      }
    }
  }
}

void RuleMatcher::match_patterns(std::string_view text, MatchScratch& scratch,
                                 std::vector<std::uint32_t>& out) const {
  const auto first = static_cast<std::uint32_t>(keywords_.size());
  if (all_patterns_ != nullptr && text.size() <= set_text_bytes) {
    re2::RE2::Set::ErrorInfo info{};
    scratch.patterns.clear();
    if (all_patterns_->set.Match(piece(text), &scratch.patterns, &info)) {
      for (const int index : scratch.patterns) {
        out.push_back(first + static_cast<std::uint32_t>(index));
      }
      return;
    }
    if (info.kind == re2::RE2::Set::kNoError) return;
    // The automaton for all has outgrown its memory; a pattern by itself can do without one.
  }
  std::uint32_t id = first;
  for (const auto& [pattern_text, pattern] : patterns_) {
    if (pattern->matches(text)) out.push_back(id);
    ++id;
  }
}

}  // namespace tenantd
