// "Did you mean": the candidate nearest to a misspelt word.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace tenantd {

// The candidate with the smallest Damerau-Levenshtein (optimal string alignment) distance, if it is
// at most a third of the word's length (and at least 1 allowed). Points into `candidates`.
[[nodiscard]] std::optional<std::string_view> nearest_word(
    std::string_view word, std::span<const std::string_view> candidates);

}  // namespace tenantd
