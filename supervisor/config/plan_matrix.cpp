#include "supervisor/config/plan_matrix.h"

namespace tenantd {
namespace {

constexpr auto refused = Combination::refused;
constexpr auto runs = Combination::runs;

// In the order of Plan.
constexpr std::array<PlanRow, 3> rows = {{
    {Plan::standard,
     IsolationLevel::logical,
     {runs, refused, refused},
     "pooled workers shared with other tenants"},
    {Plan::premium,
     IsolationLevel::process,
     {refused, runs, refused},
     "a sandboxed worker of its own"},
    {Plan::platinum,
     IsolationLevel::physical,
     {refused, runs, runs},
     "processors, memory, disks and networks of its own"},
}};

}  // namespace

std::span<const PlanRow> plan_matrix() noexcept { return rows; }

const PlanRow& plan_row(Plan plan) noexcept { return rows[static_cast<std::size_t>(plan)]; }

Combination combination(Plan plan, IsolationLevel level) noexcept {
  return plan_row(plan).levels[static_cast<std::size_t>(level)];
}

}  // namespace tenantd
