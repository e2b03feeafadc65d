#include "supervisor/pool/pool_members.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "shared/os/fd.h"
#include "shared/os/process.h"

namespace tenantd {

PoolMembers::PoolMembers(const std::string& state_dir) : directory_(state_dir + "/pool-members") {}

std::string PoolMembers::path_of(const TenantId& tenant) const {
  return directory_ + '/' + tenant.str();
}

Status PoolMembers::add(const TenantId& tenant) const {
  const std::string path = path_of(tenant);
  const auto make = [&path] {
    return UniqueFd(::open(path.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  };
  UniqueFd file = make();
  if (!file && errno == ENOENT && ::mkdir(directory_.c_str(), 0700) == 0) file = make();
  if (!file) return fail_errno("open " + path, errno);
  return {};
}

void PoolMembers::remove(const TenantId& tenant) const { (void)::unlink(path_of(tenant).c_str()); }

bool PoolMembers::has(const TenantId& tenant) const {
  return ::access(path_of(tenant).c_str(), F_OK) == 0;
}

std::vector<TenantId> PoolMembers::all() const {
  std::vector<TenantId> tenants;
  for (const std::string& name : names_in(directory_)) {
    if (const auto id = TenantId::parse(name)) tenants.push_back(*id);
  }
  return tenants;
}

}  // namespace tenantd
