// What is wrong with a tenant's routes, seen from their examples alone.
//
// Runs in: tenantctl. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tenantd {

// One example of one route.
struct LintUtterance {
  std::uint32_t route = 0;  // index into the names
  std::string text;
  std::vector<float> embedding;  // L2-normalised, all of one dimension
};

enum class LintKind : std::uint8_t {
  duplicate,     // the same text, or the same vector, in two places
  misplaced,     // nearer to an example of another route than to any of its own
  overlap,       // two routes whose examples mix
  few_examples,  // too few to decide by
  unreachable,   // every example is nearer to another route
};
[[nodiscard]] std::string_view lint_kind_name(LintKind kind) noexcept;

struct LintFinding {
  LintKind kind{};
  std::string route;
  std::string other;      // the other route, where there is one
  std::string utterance;  // the example, where there is one
  std::string other_utterance;
  double similarity = 0;  // cosine, where two examples are compared
  double share = 0;       // of overlap: of both routes' examples, those nearer to the other route
  friend bool operator==(const LintFinding&, const LintFinding&) = default;
};

struct LintLimits {
  std::size_t min_examples = 5;
  double duplicate_similarity = 0.999;
  double misplaced_similarity = 0.5;  // below it two sentences hardly resemble each other
  double overlap_share = 0.25;
};

// Findings by kind, then route, then utterance. Takes utterances² · dimension multiplications:
// `progress` is told now and then how many utterances are done, and may be empty.
[[nodiscard]] std::vector<LintFinding> lint_routes(
    std::span<const std::string> names, std::span<const LintUtterance> utterances,
    const LintLimits& limits, const std::function<void(std::size_t done)>& progress);

}  // namespace tenantd
