// Which of a tenant's keywords and patterns are in a text: one pass over its words, one over its
// bytes.
//
// Runs in: worker; built by the editor thread, used by the loop thread, shared between snapshots
// whose rules are the same. Keywords, patterns and texts come from clients. RE2 (Cox 2010, "Regular
// Expression Matching in the Wild") takes time linear in the text whatever the pattern, without
// recursion; its automata grow while they are used, within bounds.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "shared/base/error.h"
#include "worker/encoder/tokenizer.h"

namespace re2 {
class RE2;
}

namespace tenantd {

inline constexpr std::size_t max_keyword_bytes = 256;
inline constexpr std::size_t max_keyword_words = 16;
inline constexpr std::size_t max_pattern_bytes = 1024;
// Of a tenant, each text counted once: what they may cost in memory and, at worst, in time.
inline constexpr std::size_t max_keywords = 4096;
inline constexpr std::size_t max_patterns = 256;
inline constexpr std::size_t max_pattern_steps = 4096;  // instructions of all compiled patterns

// A pattern that was compiled. Immutable.
class Pattern {
 public:
  // Errors: invalid_argument, with what RE2 says about it (no valid expression, too large once
  // compiled), or because it would match every text.
  [[nodiscard]] static Result<std::shared_ptr<const Pattern>> compile(std::string_view text);
  ~Pattern();
  Pattern(const Pattern&) = delete;
  Pattern& operator=(const Pattern&) = delete;

  [[nodiscard]] bool matches(std::string_view text) const;
  [[nodiscard]] std::size_t steps() const noexcept { return steps_; }

 private:
  explicit Pattern(std::unique_ptr<re2::RE2> compiled);
  std::unique_ptr<re2::RE2> compiled_;
  std::size_t steps_;
};

// Error: invalid_argument (without a word, too many of them).
[[nodiscard]] Status validate_keyword(std::string_view text);

// What match() works with; kept for the next.
struct MatchScratch {
  std::vector<std::uint32_t> words;
  std::vector<std::uint8_t> found;  // one a keyword
  std::vector<int> patterns;
  std::vector<std::uint32_t> ids;
};

class RuleMatcher {
 public:
  using Patterns = std::map<std::string, std::shared_ptr<const Pattern>, std::less<>>;
  // `keywords` ascending and valid, `patterns` by their text. Keywords have the ids 0, 1, …; the
  // patterns follow.
  RuleMatcher(std::vector<std::string> keywords, Patterns patterns);
  ~RuleMatcher();
  RuleMatcher(const RuleMatcher&) = delete;
  RuleMatcher& operator=(const RuleMatcher&) = delete;

  // Ids of what is in `text`, whose words are `words`, each once; replaces `out`.
  void match(std::string_view text, const TokenList& words, MatchScratch& scratch,
             std::vector<std::uint32_t>& out) const;

  [[nodiscard]] const std::vector<std::string>& keywords() const noexcept { return keywords_; }
  [[nodiscard]] const Patterns& patterns() const noexcept { return patterns_; }

 private:
  // A tree of words: the way from the root to a node is a phrase.
  static constexpr std::uint32_t none = 0xFFFFFFFF;
  [[nodiscard]] std::uint32_t step(std::uint32_t node, std::uint32_t word) const;
  void add_keyword(std::uint32_t id);
  void match_keywords(const TokenList& words, MatchScratch& scratch,
                      std::vector<std::uint32_t>& out) const;
  void match_patterns(std::string_view text, MatchScratch& scratch,
                      std::vector<std::uint32_t>& out) const;

  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return std::hash<std::string_view>()(text);
    }
  };
  struct AllPatterns;  // as one automaton

  std::vector<std::string> keywords_;
  Patterns patterns_;
  std::unordered_map<std::string, std::uint32_t, TextHash, std::equal_to<>> word_ids_;
  std::unordered_map<std::uint64_t, std::uint32_t> edges_;  // node and word to node
  std::vector<std::vector<std::uint32_t>> ends_;            // by node: keywords that end there
  std::unique_ptr<AllPatterns> all_patterns_;               // null: always one by one
};

}  // namespace tenantd
