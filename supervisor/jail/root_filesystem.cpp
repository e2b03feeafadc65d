#include "supervisor/jail/root_filesystem.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include "shared/os/fd.h"
#include "supervisor/jail/launch_spec_check.h"

namespace tenantd {
namespace {

constexpr std::uint64_t root_size_bytes = 64UL << 10U;
constexpr unsigned harmless = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

Result<UniqueFd> make_tmpfs(std::uint64_t size_bytes, const char* mode, const char* inodes) {
  const UniqueFd context(::fsopen("tmpfs", FSOPEN_CLOEXEC));
  if (!context) return fail_errno("fsopen tmpfs", errno);
  const std::string size = std::to_string(size_bytes);
  const std::array<std::array<const char*, 2>, 3> options = {
      {{"size", size.c_str()}, {"mode", mode}, {"nr_inodes", inodes}}};
  for (const auto& [key, value] : options) {
    if (::fsconfig(context.get(), FSCONFIG_SET_STRING, key, value, 0) != 0) {
      return fail_errno(std::string("tmpfs option ") + key, errno);
    }
  }
  if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return fail_errno("tmpfs create", errno);
  }
  UniqueFd mount(::fsmount(context.get(), FSMOUNT_CLOEXEC, harmless | MOUNT_ATTR_NOEXEC));
  if (!mount) return fail_errno("fsmount tmpfs", errno);
  return mount;
}

// The detached mount of one entry, with its attributes set.
Result<UniqueFd> open_mount(const MountSpec& mount) {
  if (mount.kind == MountSpec::Kind::scratch_tmpfs) {
    return make_tmpfs(mount.size_bytes, "0700", "1024");
  }
  const std::string source(mount.source.view());
  UniqueFd tree;
  if (mount.detached_index >= 0) {
    tree.reset(::fcntl(first_mount_fd + mount.detached_index, F_DUPFD_CLOEXEC, 64));
  } else {
    tree.reset(::open_tree(AT_FDCWD, source.c_str(),
                           OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW));
  }
  if (!tree) return fail_errno("open_tree " + source, errno);
  mount_attr attributes{};
  attributes.attr_set = harmless;
  if (mount.kind == MountSpec::Kind::read_only_bind) attributes.attr_set |= MOUNT_ATTR_RDONLY;
  if (!is_library(mount)) attributes.attr_set |= MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSYMFOLLOW;
  attributes.propagation = MS_PRIVATE;
  if (::mount_setattr(tree.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0) {
    return fail_errno("mount_setattr " + source, errno);
  }
  return tree;
}

// Creates `target` (checked: absolute and plain) below `root`: directories, and a file for a file.
Status make_target(int root, const std::string& target, bool directory) {
  for (std::size_t end = target.find('/', 1);; end = target.find('/', end + 1)) {
    const bool last = end == std::string::npos;
    const std::string path = target.substr(1, last ? end : end - 1);
    if (last && !directory) {
      const UniqueFd file(::openat(root, path.c_str(), O_CREAT | O_EXCL | O_CLOEXEC, 0400));
      return file ? Status{} : Status(fail_errno("create " + target, errno));
    }
    if (::mkdirat(root, path.c_str(), 0755) != 0 && errno != EEXIST) {
      return fail_errno("mkdir " + target, errno);
    }
    if (last) return {};
  }
}

Status attach(int root, const MountSpec& mount, int tree) {
  struct stat info {};
  if (::fstat(tree, &info) != 0) return fail_errno("fstat mount", errno);
  const std::string target(mount.target.view());
  if (auto made = make_target(root, target, S_ISDIR(info.st_mode)); !made) return made;
  if (::move_mount(tree, "", root, target.c_str() + 1, MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    return fail_errno("move_mount " + target, errno);
  }
  return {};
}

}  // namespace

Status enter_root_in_child(const LaunchSpec& spec) {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return fail_errno("make mounts private", errno);
  }
  // Sources are paths of the host: open them all before it goes out of sight.
  std::array<UniqueFd, LaunchSpec::max_mounts> trees;
  for (std::size_t i = 0; i < spec.mount_count; ++i) {
    auto tree = open_mount(spec.mounts[i]);
    if (!tree) return tl::unexpected(tree.error());
    trees[i] = std::move(*tree);
  }
  const auto root = make_tmpfs(root_size_bytes, "0755", "64");
  if (!root) return tl::unexpected(root.error());
  // Stacked on the host's root, so that pivot_root finds it in this namespace.
  if (::move_mount(root->get(), "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    return fail_errno("move_mount root", errno);
  }
  for (std::size_t i = 0; i < spec.mount_count; ++i) {
    if (auto done = attach(root->get(), spec.mounts[i], trees[i].get()); !done) return done;
  }
  if (::fchdir(root->get()) != 0) return fail_errno("fchdir root", errno);
  if (::syscall(SYS_pivot_root, ".", ".") != 0) return fail_errno("pivot_root", errno);
  if (::umount2(".", MNT_DETACH) != 0) return fail_errno("umount the host's root", errno);
  if (::chdir("/") != 0) return fail_errno("chdir", errno);
  mount_attr sealed{};
  sealed.attr_set = MOUNT_ATTR_RDONLY;
  if (::mount_setattr(AT_FDCWD, "/", 0, &sealed, sizeof sealed) != 0) {
    return fail_errno("make the root read-only", errno);
  }
  return {};
}

}  // namespace tenantd
