// When each tenant that sleeps was last woken to delete what is too old: kept in one file, so that
// a supervisor that starts anew does not wake all of them again.
//
// Runs in: supervisor. The file is tenantd's own; a line of it that cannot be read is left out, and
// its tenant is woken once more.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "shared/base/error.h"
#include "shared/base/tenant_id.h"

namespace tenantd {

class SweptTimes {
 public:
  static constexpr std::size_t max_file_bytes = std::size_t{16} * 1024 * 1024;

  // Reads the file; none is no error, and neither is one that is too large: nobody was swept then.
  explicit SweptTimes(std::string path);

  // Seconds since the epoch; 0: never.
  [[nodiscard]] std::int64_t last_s(const TenantId& tenant) const;
  // Writes the file anew, without those that are `gone`. Errors: of writing it; what was said is
  // known all the same.
  [[nodiscard]] Status set(const TenantId& tenant, std::int64_t now_s,
                           const std::function<bool(const TenantId&)>& gone);

 private:
  std::string path_;
  std::map<TenantId, std::int64_t> last_s_;
};

}  // namespace tenantd
