// What each isolation level promises, and by which probe that is shown: the one table of it.
//
// Runs in: the supervisor. A row is one probe: of files, of the live worker's posture, an attempt
// of the probe program, or what one planted tenant tries on another. docs/isolation.md shows the
// same rows; a test compares.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "shared/contract/process_contract.h"
#include "shared/contract/verification.h"
#include "supervisor/config/plan_matrix.h"

namespace tenantd {

// Where a probe gets its answer.
enum class ProbeSource : std::uint8_t { files, posture, attempt, rows };

// Of ProbeSource::files.
enum class FileProbe : std::uint8_t { data_directory, data_files, shards, unique_uid, run_record };

struct ProbeRow {
  std::string_view name;
  IsolationCheck check{};
  ProbeSource source{};
  FileProbe file{};
  // Of the posture: beginnings of the names of the facts that it is about; empty: all that no other
  // row is about.
  std::array<std::string_view, 4> facts{};
  ProbeAttempt attempt{};
  RowProbe row{};
  // Each of them makes the promise true. Of the posture: the one that is looked at.
  LayerSet layers;
  std::uint8_t levels = 0;  // bits of IsolationLevel
  std::string_view mechanism;
};

[[nodiscard]] constexpr std::uint8_t level_bit(IsolationLevel level) noexcept {
  return static_cast<std::uint8_t>(1U << static_cast<unsigned>(level));
}

// The row's promise is one that this level makes: the others' are not spoken of.
[[nodiscard]] constexpr bool is_promised_at(const ProbeRow& row, std::uint8_t level) noexcept {
  return (row.levels & level) != 0;
}

[[nodiscard]] std::span<const ProbeRow> probe_rows() noexcept;

}  // namespace tenantd
