#include "supervisor/watch/inotify.h"

#include <sys/inotify.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace tenantd {
namespace {

constexpr std::uint32_t watched = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
                                  IN_CREATE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF |
                                  IN_ONLYDIR | IN_EXCL_UNLINK;
// A directory in a file's place is a broken file: its coming and going count.
constexpr std::uint32_t moved_or_gone = IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE;

}  // namespace

void decode_inotify(std::string_view bytes, std::vector<DirectoryRecord>& out) {
  while (bytes.size() >= sizeof(inotify_event)) {
    inotify_event event{};
    std::memcpy(&event, bytes.data(), sizeof event);
    if (event.len > bytes.size() - sizeof event) return;
    const std::string_view padded = bytes.substr(sizeof event, event.len);
    const std::string name(padded.substr(0, padded.find('\0')));
    bytes.remove_prefix(sizeof event + event.len);
    if ((event.mask & IN_Q_OVERFLOW) != 0) {
      out.push_back({DirectoryEvent::overflow, {}});
    } else if ((event.mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)) != 0) {
      out.push_back({DirectoryEvent::lost, {}});
    } else if (name.empty() && (event.mask & IN_ATTRIB) != 0) {
      out.push_back({DirectoryEvent::own_attributes, {}});
    } else if (name.empty() ||
               ((event.mask & IN_ISDIR) != 0 && (event.mask & moved_or_gone) == 0)) {
      continue;  // what happens inside a directory, or to its mode, says nothing about a file
    } else if ((event.mask & (IN_CLOSE_WRITE | IN_MOVED_TO)) != 0) {
      out.push_back({DirectoryEvent::written, name});
    } else if ((event.mask & (IN_DELETE | IN_MOVED_FROM)) != 0) {
      out.push_back({DirectoryEvent::gone, name});
    } else if ((event.mask & IN_CREATE) != 0) {
      out.push_back({DirectoryEvent::created, name});
    } else if ((event.mask & IN_ATTRIB) != 0) {
      out.push_back({DirectoryEvent::attributes, name});
    }
  }
}

Result<Inotify> Inotify::open(const std::string& path) {
  UniqueFd fd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!fd) return fail_errno("inotify_init1", errno);
  if (::inotify_add_watch(fd.get(), path.c_str(), watched) < 0) {
    auto error = fail_errno("watch " + path, errno);
    if (error.value().os_errno == ENOENT) error.value().code = ErrorCode::not_found;
    return error;
  }
  return Inotify(std::move(fd));
}

void Inotify::read_some(std::vector<DirectoryRecord>& out) const {
  alignas(inotify_event) std::array<char, 64UL << 10U> buffer;
  const ssize_t n = ::read(fd_.get(), buffer.data(), buffer.size());
  if (n > 0) decode_inotify({buffer.data(), static_cast<std::size_t>(n)}, out);
}

}  // namespace tenantd
