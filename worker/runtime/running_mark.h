// Says in a file that outlives this process whose request it runs: what it is told after a crash.
//
// Runs in: worker whose tenants share it. The file is a RunningRecord (shared/contract/shards.h),
// mapped: a mark costs a copy of 64 bytes. Loop and editor thread have a field each.
#pragma once

#include "shared/base/error.h"
#include "shared/base/tenant_id.h"
#include "shared/contract/shards.h"

namespace tenantd {

class RunningMark {
 public:
  // `path` exists (the jail makes it) or can be made. Errors: internal with errno.
  [[nodiscard]] static Result<RunningMark> open(const std::string& path);
  RunningMark(RunningMark&& other) noexcept;
  RunningMark& operator=(RunningMark&&) = delete;
  RunningMark(const RunningMark&) = delete;
  RunningMark& operator=(const RunningMark&) = delete;
  ~RunningMark();

  void running(const TenantId& tenant) noexcept { write(record_->tenant_id, tenant.view()); }
  void editing(const TenantId& tenant) noexcept { write(record_->editing_id, tenant.view()); }
  void idle() noexcept { write(record_->tenant_id, {}); }
  void done_editing() noexcept { write(record_->editing_id, {}); }
  void largest(const TenantId& tenant, std::uint64_t bytes) noexcept {
    write(record_->largest_id, tenant.view());
    record_->largest_bytes = bytes;
  }

 private:
  explicit RunningMark(RunningRecord* record) noexcept : record_(record) {}
  static void write(std::array<char, 64>& field, std::string_view id) noexcept;
  RunningRecord* record_;
};

}  // namespace tenantd
