// How well routes were found: counts and curves over judged queries.
//
// Runs in: tenantctl. Pure. Sources: Fawcett, "An introduction to ROC analysis" (2006), for the
// area under the curve by ranks; Naeini et al., "Obtaining well calibrated probabilities using
// Bayesian binning" (2015), for the expected calibration error.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace tenantd {

// Empty routes: out of scope (expected), the fallback (decided).
struct JudgedQuery {
  std::string expected;
  std::string decided;    // with threshold and fallback
  std::string best;       // the nearest real route, whatever its confidence; empty: none at all
  double confidence = 0;  // of `best`
};

struct RouteMeasures {
  std::uint64_t expected = 0;  // queries that should take it
  std::uint64_t decided = 0;   // queries that did
  std::uint64_t right = 0;     // both
  // 0 where nothing was decided or expected.
  [[nodiscard]] double precision() const noexcept;
  [[nodiscard]] double recall() const noexcept;
  [[nodiscard]] double f1() const noexcept;
};

struct ReliabilityBin {
  std::uint64_t count = 0;
  double mean_confidence = 0;
  double accuracy = 0;
};

struct Evaluation {
  static constexpr std::size_t bins = 10;

  std::uint64_t in_scope = 0;
  std::uint64_t out_of_scope = 0;
  std::uint64_t right = 0;               // decided as expected, of all
  std::uint64_t in_scope_right = 0;      // of those in scope, with threshold
  std::uint64_t closed_set_right = 0;    // of those in scope, whatever the confidence
  std::uint64_t out_of_scope_found = 0;  // the fallback answered
  double auroc = 0;              // in scope against out of scope, by confidence; 0.5: chance
  double calibration_error = 0;  // |confidence − share that is right|, weighted by bin
  std::map<std::string, RouteMeasures> routes;
  // (expected, decided) of what went wrong; empty: out of scope or fallback.
  std::map<std::pair<std::string, std::string>, std::uint64_t> confusions;
  std::array<ReliabilityBin, bins> reliability{};
};

// As reports print it: four places are what so few queries can tell.
[[nodiscard]] inline double rounded(double value) noexcept { return std::round(value * 1e4) / 1e4; }

[[nodiscard]] Evaluation evaluate(std::span<const JudgedQuery> queries);

// The most frequent confusions first, ties by name.
[[nodiscard]] std::vector<std::pair<std::pair<std::string, std::string>, std::uint64_t>>
worst_confusions(const Evaluation& evaluation, std::size_t most);

}  // namespace tenantd
