// Directories of one uid: made whole, and checked before they are trusted.
//
// Runs in: the supervisor.
#pragma once

#include <sys/types.h>

#include <set>
#include <string>
#include <string_view>

#include "supervisor/launch/data_directory.h"

namespace tenantd {

inline constexpr mode_t traverse_mode = 0711;

// Owners of what is right below `parent`, the entry called `except` left out. A uid counts as used
// whatever the entry is, so that it never comes back while data of its owner may exist.
[[nodiscard]] std::set<uid_t> owners_below(const std::string& parent, std::string_view except);

// Makes a directory of the supervisor's own, or checks the one that is there.
[[nodiscard]] Status make_parent(const std::string& path, mode_t mode);

// The owner of an existing directory that passes; checked through a descriptor so that it cannot be
// exchanged.
[[nodiscard]] Result<uid_t> check_existing(const std::string& path, const UidAllocator& uids);

// Complete under another name before it appears: a crash in between leaves no half-made directory.
[[nodiscard]] Status make_owned(const std::string& path, uid_t uid, bool privileged);

// Something has this name, a dangling symlink included.
[[nodiscard]] bool exists(const std::string& path);

}  // namespace tenantd
