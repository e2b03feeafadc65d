#include "supervisor/verify/file_probes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "shared/os/fd.h"
#include "shared/os/process.h"

namespace tenantd {
namespace {

constexpr mode_t others = 077;

struct CloseDirectory {
  void operator()(DIR* directory) const noexcept { (void)::closedir(directory); }
};

std::string octal(mode_t mode) {
  std::array<char, 8> text{};
  (void)std::snprintf(text.data(), text.size(), "%04o", mode & 07777U);
  return text.data();
}

std::string errno_text(const std::string& what) {
  return what + ": " + std::string(::strerrorname_np(errno));
}

std::string wrong_entry(const struct stat& info, uid_t owner) {
  if (S_ISLNK(info.st_mode)) return "is a symlink";
  if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) return "is neither file nor directory";
  if (info.st_uid != owner) return "belongs to uid " + std::to_string(info.st_uid);
  if ((info.st_mode & others) != 0) return "has mode " + octal(info.st_mode);
  if (S_ISREG(info.st_mode) && info.st_nlink != 1) return "has another name elsewhere";
  return {};
}

}  // namespace

Finding probe_data_directory(const std::string& path, const UidAllocator& uids) {
  struct stat info {};
  struct stat parent {};
  const std::string above = path.substr(0, path.rfind('/'));
  if (::lstat(path.c_str(), &info) != 0) return failed(errno_text(path));
  if (::lstat(above.c_str(), &parent) != 0) return failed(errno_text(above));
  if (!S_ISDIR(info.st_mode)) return failed(path + " is no directory");
  if (!uids.may_own(info.st_uid)) {
    return failed("belongs to uid " + std::to_string(info.st_uid) + ", which no tenant may have");
  }
  if ((info.st_mode & 07777) != 0700) return failed("has mode " + octal(info.st_mode));
  if (!S_ISDIR(parent.st_mode) || parent.st_uid != ::geteuid() || (parent.st_mode & 022) != 0) {
    return failed(above + " can be written by others: mode " + octal(parent.st_mode) + ", uid " +
                  std::to_string(parent.st_uid));
  }
  return passed("mode 0700, uid " + std::to_string(info.st_uid));
}

Finding probe_data_files(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat owner {};
  if (!fd || ::fstat(fd.get(), &owner) != 0) return failed(errno_text(path));
  DIR* const directory = ::fdopendir(fd.get());
  if (directory == nullptr) return failed(errno_text(path));
  (void)fd.release();  // the stream's now
  Finding finding;
  std::size_t count = 0;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string name(entry->d_name);
    struct stat info {};
    if (name == "." || name == "..") continue;
    if (++count > max_entries) break;
    if (::fstatat(::dirfd(directory), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (const std::string wrong = wrong_entry(info, owner.st_uid); !wrong.empty()) {
      finding = failed(name.substr(0, 64) + " " + wrong);
      break;
    }
  }
  (void)::closedir(directory);
  if (!finding.evidence.empty()) return finding;
  if (count > max_entries) return failed("more entries than the verifier looks at");
  return passed(std::to_string(count) + " entries, nothing for group and others");
}

Finding probe_shards(const std::string& path, const ShardSet& shards) {
  const std::unique_ptr<DIR, CloseDirectory> directory(::opendir(path.c_str()));
  struct stat owner {};
  if (!directory || ::fstat(::dirfd(directory.get()), &owner) != 0) return failed(errno_text(path));
  std::uint32_t found = 0;
  while (const dirent* const entry = ::readdir(directory.get())) {
    const std::string name(entry->d_name);
    struct stat info {};
    if (name == "." || name == ".." || name == running_file_name) continue;
    const auto number = static_cast<std::uint32_t>(std::strtoul(name.c_str(), nullptr, 10));
    if (shard_directory_name(number) != name || !shards.has(number)) {
      return failed(name.substr(0, 64) + " is none of its shards");
    }
    if (::fstatat(::dirfd(directory.get()), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISDIR(info.st_mode) || info.st_uid != owner.st_uid || (info.st_mode & 07777) != 0700) {
      return failed(name + " is no directory of its own with mode 0700");
    }
    const Finding files = probe_data_files(path + "/" + name);
    if (files.outcome != ProbeOutcome::passed) return failed(name + ": " + files.evidence);
    ++found;
  }
  if (found != shards.count()) {
    return failed("it has " + std::to_string(shards.count()) + " shards, and " +
                  std::to_string(found) + " are there");
  }
  return passed(std::to_string(found) + " shards, no other's, mode 0700");
}

Finding probe_run_record(const std::string& path, pid_t pid, std::uint64_t generation) {
  struct stat info {};
  struct stat above {};
  if (::lstat(path.c_str(), &info) != 0) return failed(errno_text(path));
  if (::lstat(path.substr(0, path.rfind('/')).c_str(), &above) != 0) {
    return failed(errno_text(path));
  }
  if (!S_ISREG(info.st_mode) || info.st_uid != ::geteuid() || (info.st_mode & others) != 0) {
    return failed("mode " + octal(info.st_mode) + ", uid " + std::to_string(info.st_uid));
  }
  if (above.st_uid != ::geteuid() || (above.st_mode & others) != 0) {
    return failed("its directory has mode " + octal(above.st_mode));
  }
  const auto text = read_small_file(path);
  const auto record = text ? decode_record(*text) : Result<RunRecord>(tl::unexpected(text.error()));
  if (!record) return failed(record.error().message);
  if (record->pid != pid || record->generation != generation) {
    return failed("names process " + std::to_string(record->pid) + ", it is " +
                  std::to_string(pid));
  }
  return passed("mode " + octal(info.st_mode) + ", process " + std::to_string(pid));
}

UidScan::UidScan(const std::string& parent, const std::string& directory, const UidAllocator& uids)
    : directory_(::opendir(parent.c_str())) {
  const int opening = errno;
  struct stat info {};
  const std::size_t slash = directory.rfind('/');
  if (directory.substr(0, slash) == parent) own_ = directory.substr(slash + 1);
  if (::lstat(directory.c_str(), &info) != 0) {
    directory_.reset();
    finding_ = failed(errno_text(directory));
    return;
  }
  if (directory_ == nullptr) {
    // A host without a tenant that has a process of its own has no such folder.
    errno = opening;
    finding_ =
        opening == ENOENT ? passed("no tenant has data of its own") : failed(errno_text(parent));
    return;
  }
  uid_ = info.st_uid;
  if (uid_ == uids.control_uid() && uids.privileged()) {
    directory_.reset();
    finding_ = failed("uid " + std::to_string(uid_) + " is control's");
  }
}

bool UidScan::conclude(Finding finding) {
  directory_.reset();
  finding_ = std::move(finding);
  return true;
}

bool UidScan::step() {
  if (directory_ == nullptr) return true;
  for (std::size_t i = 0; i < max_entries; ++i) {
    const dirent* const entry = ::readdir(directory_.get());
    if (entry == nullptr) {
      return conclude(passed("uid " + std::to_string(uid_) + ", owner of none of " +
                             std::to_string(seen_) + " others"));
    }
    const std::string name(entry->d_name);
    struct stat info {};
    if (name == "." || name == ".." || name == own_) continue;
    ++seen_;
    if (::fstatat(::dirfd(directory_.get()), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      continue;
    }
    if (info.st_uid == uid_) {
      return conclude(failed("uid " + std::to_string(uid_) + " also owns " + name));
    }
  }
  return false;
}

}  // namespace tenantd
