#include "worker/router/query.h"

#include <algorithm>

namespace tenantd {
namespace {

constexpr std::size_t max_query_words = 1024;
constexpr float function_word_weight = 0.5F;

}  // namespace

void distinct_words(const TokenList& words, std::vector<QueryWord>& out) {
  out.clear();
  const std::size_t count = std::min(words.tokens.size(), max_query_words);
  for (std::uint32_t i = 0; i < count; ++i) {
    const Token& token = words.tokens[i];
    out.push_back({token.hash, i, token.is_function_word ? function_word_weight : 1.0F,
                   token.is_function_word});
  }
  std::sort(out.begin(), out.end(), [](const QueryWord& a, const QueryWord& b) {
    return a.hash != b.hash ? a.hash < b.hash : a.token < b.token;
  });
  const auto same = [](const QueryWord& a, const QueryWord& b) { return a.hash == b.hash; };
  out.erase(std::unique(out.begin(), out.end(), same), out.end());
}

}  // namespace tenantd
