#include "client/tenantctl/analyse/lint.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <tuple>
#include <unordered_map>

namespace tenantd {
namespace {

constexpr std::array<std::string_view, 5> kind_names = {"duplicate", "misplaced", "overlap",
                                                        "few_examples", "unreachable"};

struct Neighbour {
  std::size_t index = 0;
  float similarity = -2;  // below any cosine: none
};

// Of one utterance: the nearest of its own route, and of all others.
struct Nearest {
  Neighbour own;
  Neighbour other;
};

float dot(const std::vector<float>& a, const std::vector<float>& b) noexcept {
  // Eight sums, so that the compiler may use a vector register for them.
  std::array<float, 8> sums{};
  const std::size_t whole = a.size() / 8 * 8;
  for (std::size_t i = 0; i < whole; i += 8) {
    for (std::size_t lane = 0; lane < 8; ++lane) sums[lane] += a[i + lane] * b[i + lane];
  }
  float sum = 0;
  for (const float one : sums) sum += one;
  for (std::size_t i = whole; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

void take_nearer(Neighbour& now, std::size_t index, float similarity) noexcept {
  if (similarity > now.similarity) now = {index, similarity};
}

std::vector<Nearest> find_nearest(std::span<const LintUtterance> utterances,
                                  const std::function<void(std::size_t)>& progress) {
  static constexpr std::size_t told_every = 256;
  std::vector<Nearest> nearest(utterances.size());
  for (std::size_t i = 0; i < utterances.size(); ++i) {
    if (progress && i % told_every == 0) progress(i);
    for (std::size_t j = i + 1; j < utterances.size(); ++j) {
      const float similarity = dot(utterances[i].embedding, utterances[j].embedding);
      const bool same = utterances[i].route == utterances[j].route;
      take_nearer(same ? nearest[i].own : nearest[i].other, j, similarity);
      take_nearer(same ? nearest[j].own : nearest[j].other, i, similarity);
    }
  }
  return nearest;
}

class Linter {
 public:
  Linter(std::span<const std::string> names, std::span<const LintUtterance> utterances,
         const LintLimits& limits, std::vector<Nearest> nearest)
      : names_(names), utterances_(utterances), limits_(limits), nearest_(std::move(nearest)) {
    counts_.resize(names.size());
    for (const LintUtterance& utterance : utterances_) ++counts_[utterance.route];
  }

  std::vector<LintFinding> run() {
    find_duplicates();
    find_misplaced();
    find_overlaps();
    find_small_and_unreachable();
    std::sort(findings_.begin(), findings_.end(), [](const LintFinding& a, const LintFinding& b) {
      return std::tie(a.kind, a.route, a.other, a.utterance) <
             std::tie(b.kind, b.route, b.other, b.utterance);
    });
    return std::move(findings_);
  }

 private:
  [[nodiscard]] bool is_misplaced(std::size_t i) const noexcept {
    return nearest_[i].other.similarity > nearest_[i].own.similarity;
  }
  [[nodiscard]] LintFinding about(LintKind kind, std::size_t i, const Neighbour& with) const {
    const LintUtterance& other = utterances_[with.index];
    return {kind,
            names_[utterances_[i].route],
            names_[other.route],
            utterances_[i].text,
            other.text,
            static_cast<double>(with.similarity),
            0};
  }

  // Each pair once, told of the later one.
  void find_duplicates() {
    for (std::size_t i = 0; i < utterances_.size(); ++i) {
      for (const Neighbour& near : {nearest_[i].own, nearest_[i].other}) {
        if (near.similarity >= limits_.duplicate_similarity && near.index < i) {
          findings_.push_back(about(LintKind::duplicate, i, near));
        }
      }
    }
  }

  void find_misplaced() {
    for (std::size_t i = 0; i < utterances_.size(); ++i) {
      const bool alone = counts_[utterances_[i].route] < 2;
      const bool near = nearest_[i].other.similarity >= limits_.misplaced_similarity;
      if (!alone && near && is_misplaced(i)) {
        findings_.push_back(about(LintKind::misplaced, i, nearest_[i].other));
      }
    }
  }

  void find_overlaps() {
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::size_t> crossings;
    for (std::size_t i = 0; i < utterances_.size(); ++i) {
      if (!is_misplaced(i)) continue;
      const std::uint32_t own = utterances_[i].route;
      const std::uint32_t other = utterances_[nearest_[i].other.index].route;
      ++crossings[{std::min(own, other), std::max(own, other)}];
    }
    for (const auto& [pair, count] : crossings) {
      const std::size_t both = counts_[pair.first] + counts_[pair.second];
      const double share = static_cast<double>(count) / static_cast<double>(both);
      if (count < 2 || share < limits_.overlap_share) continue;
      findings_.push_back(
          {LintKind::overlap, names_[pair.first], names_[pair.second], {}, {}, 0, share});
    }
  }

  void find_small_and_unreachable() {
    std::vector<std::size_t> misplaced(names_.size());
    for (std::size_t i = 0; i < utterances_.size(); ++i) {
      if (is_misplaced(i)) ++misplaced[utterances_[i].route];
    }
    for (std::size_t route = 0; route < names_.size(); ++route) {
      if (counts_[route] < limits_.min_examples) {
        findings_.push_back({LintKind::few_examples, names_[route], {}, {}, {}, 0, 0});
      }
      // Without an example, or with none that leads to it.
      if (counts_[route] == 0 || (counts_[route] > 1 && misplaced[route] == counts_[route])) {
        findings_.push_back({LintKind::unreachable, names_[route], {}, {}, {}, 0, 0});
      }
    }
  }

  std::span<const std::string> names_;
  std::span<const LintUtterance> utterances_;
  const LintLimits& limits_;
  std::vector<Nearest> nearest_;
  std::vector<std::size_t> counts_;
  std::vector<LintFinding> findings_;
};

}  // namespace

std::string_view lint_kind_name(LintKind kind) noexcept {
  return kind_names[static_cast<std::size_t>(kind)];
}

std::vector<LintFinding> lint_routes(std::span<const std::string> names,
                                     std::span<const LintUtterance> utterances,
                                     const LintLimits& limits,
                                     const std::function<void(std::size_t done)>& progress) {
  return Linter(names, utterances, limits, find_nearest(utterances, progress)).run();
}

}  // namespace tenantd
