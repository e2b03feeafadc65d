#include "supervisor/launch/data_place.h"

#include <fcntl.h>
#include <mntent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>

#include "shared/os/process.h"
#include "supervisor/config/secure_file.h"
#include "supervisor/launch/owned_directory.h"
#include "supervisor/launch/pool_directory.h"

namespace tenantd {
namespace {

std::string joined(const std::string& directory, std::string_view name) {
  return std::string(directory).append("/").append(name);
}

std::string note_path(const std::string& state_dir, const TenantId& tenant) {
  return joined(placed_path(state_dir), tenant.view());
}

// The root that the tenant's note names.
std::optional<std::string> noted_root(const std::string& state_dir, const TenantId& tenant) {
  auto text = read_small_file(note_path(state_dir, tenant));
  if (!text || !text->starts_with('/')) return std::nullopt;
  text->erase(std::min(text->find('\n'), text->size()));
  return *std::move(text);
}

// Complete, and of the tenant's uid, before it appears.
Status write_note(const std::string& state_dir, const TenantId& tenant, const std::string& root,
                  uid_t uid, bool privileged) {
  if (noted_root(state_dir, tenant) == root) {
    struct stat info {};
    const bool same = ::lstat(note_path(state_dir, tenant).c_str(), &info) == 0;
    if (same && (!privileged || info.st_uid == uid)) return {};
  }
  if (auto made = make_parent(placed_path(state_dir), 0700); !made) return made;
  const std::string path = note_path(state_dir, tenant);
  const std::string fresh = path + ".new";  // no tenant's: an id has no dot
  if (auto written = write_file_atomically(fresh, root + '\n', 0600, true); !written) {
    return written;
  }
  if (privileged && ::lchown(fresh.c_str(), uid, uid) != 0) return fail_errno("chown", errno);
  if (::rename(fresh.c_str(), path.c_str()) != 0) return fail_errno("rename " + fresh, errno);
  return {};
}

bool is_mounted(const std::string& path) {
  struct statx info {};
  return ::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE,
                 &info) == 0 &&
         (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

bool is_within(const std::string& path, const std::string& directory) {
  return path == directory || path.starts_with(directory + '/');
}

// A mount point of fstab at or above `path` on which nothing is mounted; empty: none.
std::string missing_mount(const std::string& path, const std::string& fstab) {
  struct Close {
    void operator()(FILE* file) const noexcept { (void)::endmntent(file); }
  };
  const std::unique_ptr<FILE, Close> table(::setmntent(fstab.c_str(), "re"));
  if (!table) return {};
  while (const mntent* const entry = ::getmntent(table.get())) {
    const std::string at = entry->mnt_dir;
    if (at.size() > 1 && at.front() == '/' && is_within(path, at) && !is_mounted(at)) return at;
  }
  return {};
}

struct OtherPlace {
  std::string path;
  uid_t owner = 0;
  bool empty = false;
};

// Everywhere but at `path` that the tenant has something of this name.
std::vector<OtherPlace> find_elsewhere(const std::vector<std::string>& parents,
                                       const TenantId& tenant, const std::string& path) {
  std::vector<OtherPlace> found;
  for (const std::string& parent : parents) {
    OtherPlace place{joined(parent, tenant.view())};
    struct stat info {};
    if (place.path == path || ::lstat(place.path.c_str(), &info) != 0) continue;
    place.owner = info.st_uid;
    std::error_code failed;
    place.empty = S_ISDIR(info.st_mode) && std::filesystem::is_empty(place.path, failed) && !failed;
    found.push_back(std::move(place));
  }
  return found;
}

Error refusal(std::string message, std::string hint) {
  Error error;
  error.code = ErrorCode::invalid_config;
  error.message = std::move(message);
  error.hint = std::move(hint);
  return error;
}

Status check_elsewhere(const std::vector<OtherPlace>& elsewhere, const std::string& path,
                       const TenantId& tenant) {
  for (const OtherPlace& place : elsewhere) {
    if (place.empty) continue;
    if (exists(path)) {
      return tl::unexpected(refusal("its data is in two places: " + place.path + " and " + path,
                                    "leave the one that is to stay"));
    }
    return tl::unexpected(
        refusal("its data is in " + place.path + ", and its file wants it in " + path,
                "cp -a " + place.path + ' ' + path + " && rm -r " + place.path +
                    " && tenantctl tenant restart " + tenant.str() +
                    ", or have the file name the old place"));
  }
  return {};
}

// With the uid of an empty directory that it had elsewhere, so that the tenant keeps it.
Status make_directory(const std::string& path, const std::vector<OtherPlace>& elsewhere,
                      const std::vector<std::string>& uid_parents, const UidAllocator& uids) {
  if (exists(path)) return {};
  Result<uid_t> uid = uids.lowest_free(uid_parents);
  for (const OtherPlace& place : elsewhere) {
    if (uids.may_own(place.owner)) uid = place.owner;
  }
  if (!uid) return tl::unexpected(uid.error());
  return make_owned(path, *uid, uids.privileged());
}

Status check_unique(const std::string& path, uid_t owner, const TenantId& tenant,
                    const std::vector<std::string>& uid_parents, const UidAllocator& uids) {
  if (!uids.privileged()) return {};
  const bool taken = owner == uids.control_uid() ||
                     std::any_of(uid_parents.begin(), uid_parents.end(), [&](const auto& parent) {
                       return owners_below(parent, tenant.view()).contains(owner);
                     });
  if (!taken) return {};
  return fail(ErrorCode::permission_denied, path + " has the uid of another tenant, of control " +
                                                "or of the pool: " + std::to_string(owner));
}

}  // namespace

std::string placed_path(const std::string& state_dir) { return state_dir + "/placed"; }

std::vector<std::string> directories_of_uids(const std::string& state_dir) {
  return {state_dir + "/tenants", pool_path(state_dir), placed_path(state_dir)};
}

std::string data_directory_path(const std::string& state_dir, const TenantId& tenant) {
  return joined(noted_root(state_dir, tenant).value_or(state_dir + "/tenants"), tenant.view());
}

Status check_storage_root(const std::string& root, const std::string& fstab) {
  const std::string missing = missing_mount(root, fstab);
  if (!missing.empty()) {
    return fail(ErrorCode::permission_denied,
                "its storage root " + root + " cannot be used: nothing is mounted on " + missing +
                    ", where " + fstab + " has a file system",
                "mount " + missing);
  }
  const auto opened = open_secure_directory(root, ::geteuid());
  if (opened) return {};
  const Error& why = opened.error();
  return fail(ErrorCode::permission_denied,
              "its storage root " + root + " cannot be used: " + why.file + ' ' + why.message,
              why.hint);
}

Result<uid_t> prepare_placed_directory(const std::string& state_dir, const StorageWish& wish,
                                       const TenantId& tenant, const UidAllocator& uids) {
  const std::string usual = state_dir + "/tenants";
  const std::string parent = wish.root.empty() ? usual : wish.root;
  const Status usable = wish.root.empty() ? make_parent(parent, traverse_mode)
                                          : check_storage_root(parent, wish.fstab);
  if (!usable) return tl::unexpected(usable.error());
  const std::string path = joined(parent, tenant.view());
  const auto noted = noted_root(state_dir, tenant);
  if (noted && !exists(path) && !exists(joined(*noted, tenant.view()))) {
    return tl::unexpected(
        refusal("its data was in " + joined(*noted, tenant.view()) + " and is not there any more",
                "mount the disk; or, to begin without data, rm " + note_path(state_dir, tenant)));
  }
  std::vector<std::string> parents = wish.others;
  parents.push_back(usual);
  if (noted) parents.push_back(*noted);
  std::sort(parents.begin(), parents.end());
  parents.erase(std::unique(parents.begin(), parents.end()), parents.end());
  const std::vector<OtherPlace> elsewhere = find_elsewhere(parents, tenant, path);
  if (auto nowhere = check_elsewhere(elsewhere, path, tenant); !nowhere) {
    return tl::unexpected(nowhere.error());
  }
  std::vector<std::string> uid_parents = directories_of_uids(state_dir);
  uid_parents.insert(uid_parents.end(), wish.others.begin(), wish.others.end());
  uid_parents.push_back(parent);
  Status done = make_directory(path, elsewhere, uid_parents, uids);
  if (!done) return tl::unexpected(done.error());
  const auto owner = check_existing(path, uids);
  if (!owner) return owner;
  done = check_unique(path, *owner, tenant, uid_parents, uids);
  if (done && !wish.root.empty()) {
    done = write_note(state_dir, tenant, wish.root, *owner, uids.privileged());
  }
  if (!done) return tl::unexpected(done.error());
  if (wish.root.empty() && noted) (void)::unlink(note_path(state_dir, tenant).c_str());
  for (const OtherPlace& place : elsewhere) (void)::rmdir(place.path.c_str());
  return owner;
}

}  // namespace tenantd
