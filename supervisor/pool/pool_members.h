// Which tenants are the pool's and may have data there: those that were handed to a pooled worker,
// until their file goes.
//
// Runs in: supervisor, which looks into no shard. One empty file a tenant in
// <state_dir>/pool-members: what the next supervisor knows about files that changed or went while
// none ran. A tenant that was never used has none.
#pragma once

#include <string>
#include <vector>

#include "shared/base/error.h"
#include "shared/base/tenant_id.h"

namespace tenantd {

class PoolMembers {
 public:
  explicit PoolMembers(const std::string& state_dir);

  // Error: internal with errno.
  [[nodiscard]] Status add(const TenantId& tenant) const;
  // Its file has gone, and a supervisor has seen it. Nothing happens if it is no member.
  void remove(const TenantId& tenant) const;
  [[nodiscard]] bool has(const TenantId& tenant) const;
  // In no order; none if the directory is not there.
  [[nodiscard]] std::vector<TenantId> all() const;

 private:
  [[nodiscard]] std::string path_of(const TenantId& tenant) const;
  std::string directory_;
};

}  // namespace tenantd
