// The range of uids that tenants get, and what it must not touch.
//
// Runs in: the supervisor. Everything is passed in, so that the checks need no particular host.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/error.h"

namespace tenantd {

// Inclusive.
struct UidRange {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  [[nodiscard]] bool contains(std::uint32_t uid) const noexcept {
    return uid >= first && uid <= last;
  }
  [[nodiscard]] std::uint32_t size() const noexcept { return last - first + 1; }
  friend bool operator==(const UidRange&, const UidRange&) = default;
};

// Behind systemd's container range (it ends at 1879048191), below 2^31: nothing else is known to
// use it.
inline constexpr UidRange default_uid_range{1'900'000'000, 1'900'999'999};

// The host's own use of uids, as text of the files.
struct UidFiles {
  std::string passwd;
  std::string subuid;
  std::string subgid;
};
// /etc/passwd, /etc/subuid, /etc/subgid. A missing file is empty. Errors: internal with errno
// (unreadable), resource_exhausted (a file larger than 16 MiB).
[[nodiscard]] Result<UidFiles> read_uid_files();

// Every reason against the range; empty: it may be used. Malformed lines of the files are skipped.
[[nodiscard]] std::vector<std::string> uid_range_problems(UidRange range, const UidFiles& files);

}  // namespace tenantd
