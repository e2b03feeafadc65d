// inotify(7) on one directory, as decoded records.
//
// Runs in: supervisor. libuv's own fs events lose overflows silently and report files before they
// are closed, so this is raw. Directory only: a change of its entries, of its existence, or an
// overflow.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/error.h"
#include "shared/os/fd.h"

namespace tenantd {

enum class DirectoryEvent : std::uint8_t {
  written,         // an entry was closed after writing, or moved in: whole
  attributes,      // mode or owner of an entry changed
  created,         // an entry appeared: a link is whole, a file is told again when it is closed
  gone,            // an entry was deleted or moved out
  own_attributes,  // mode or owner of the directory itself
  lost,            // the directory itself was deleted, moved or unmounted
  overflow,        // events were dropped: only a rescan tells what happened
};

struct DirectoryRecord {
  DirectoryEvent event{};
  std::string name;  // empty for lost and overflow
};

// Bytes as read(2) gives them, appended to `out`; stops at a record that does not fit.
void decode_inotify(std::string_view bytes, std::vector<DirectoryRecord>& out);

class Inotify {
 public:
  // Watches the directory that is at `path` now. Errors: not_found, internal with errno.
  [[nodiscard]] static Result<Inotify> open(const std::string& path);
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  // What one read of at most 64 KiB gives; nothing when there is nothing. Never blocks.
  void read_some(std::vector<DirectoryRecord>& out) const;

 private:
  explicit Inotify(UniqueFd fd) noexcept : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace tenantd
