// Plans, isolation levels, and which of them go together: the one table of it.
//
// Runs in: the supervisor. Defaults of other keys per plan stand in the rows of tenant_fields.cpp.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace tenantd {

enum class Plan : std::uint8_t { standard = 0, premium = 1, platinum = 2 };
enum class IsolationLevel : std::uint8_t { logical = 0, process = 1, physical = 2 };

inline constexpr std::array<std::string_view, 3> plan_names = {"standard", "premium", "platinum"};
inline constexpr std::array<std::string_view, 3> isolation_level_names = {"logical", "process",
                                                                          "physical"};

enum class Combination : std::uint8_t {
  refused,  // the plan does not include it
  runs,
};

struct PlanRow {
  Plan plan;
  IsolationLevel default_level;
  std::array<Combination, 3> levels;  // by IsolationLevel
  std::string_view doc;
};

[[nodiscard]] std::span<const PlanRow> plan_matrix() noexcept;
[[nodiscard]] const PlanRow& plan_row(Plan plan) noexcept;
[[nodiscard]] Combination combination(Plan plan, IsolationLevel level) noexcept;

[[nodiscard]] inline std::string_view plan_name(Plan plan) noexcept {
  return plan_names[static_cast<std::size_t>(plan)];
}
[[nodiscard]] inline std::string_view isolation_level_name(IsolationLevel level) noexcept {
  return isolation_level_names[static_cast<std::size_t>(level)];
}

}  // namespace tenantd
