#include "supervisor/launch/launch_files.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>

#include "shared/os/sealed_memfd.h"
#include "shared/os/socket.h"
#include "supervisor/jail/launch_spec_check.h"
#include "supervisor/launch/clone_child.h"

namespace tenantd {
namespace {

Result<UniqueFd> open_path(const std::string& path, int flags) {
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC));
  if (fd) return fd;
  auto error = fail_errno("open " + path, errno);
  if (error.value().os_errno == ENOENT) error.value().code = ErrorCode::not_found;
  return error;
}

// A clone of the mount below `path` that no mount table names, for a child that could not traverse
// to it.
Result<UniqueFd> open_detached(const std::string& path) {
  UniqueFd tree(::open_tree(AT_FDCWD, path.c_str(),
                            OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW));
  if (!tree) return fail_errno("open_tree " + path, errno);
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  attributes.propagation = MS_PRIVATE;
  if (::mount_setattr(tree.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0) {
    return fail_errno("mount_setattr " + path, errno);
  }
  return tree;
}

Status add_mount(LaunchRequest& request, LaunchFiles& files, bool detached, MountSpec::Kind kind,
                 const std::string& source, std::string_view target) {
  LaunchSpec& spec = request.spec;
  if (spec.mount_count >= LaunchSpec::max_mounts) {
    return fail(ErrorCode::invalid_argument, "too many library paths for one program");
  }
  MountSpec& mount = spec.mounts[spec.mount_count];
  mount = MountSpec{};
  mount.kind = kind;
  const bool bind = kind != MountSpec::Kind::scratch_tmpfs;
  if (!bind) mount.size_bytes = request.scratch_bytes;
  if (!mount.source.assign(source) || !mount.target.assign(target)) {
    return fail(ErrorCode::invalid_argument, "path '" + source + "' is too long to be mounted");
  }
  if (bind && detached) {
    auto tree = open_detached(source);
    if (!tree) return tl::unexpected(tree.error());
    mount.detached_index = static_cast<std::int32_t>(files.mount_count);
    files.mounts[files.mount_count++] = std::move(*tree);
  }
  ++spec.mount_count;
  return {};
}

Status add_mounts(LaunchRequest& request, LaunchFiles& files, const HostCapabilities& host) {
  const bool detached = host.detached_mounts && (host.namespace_flags & CLONE_NEWNS) != 0;
  using Kind = MountSpec::Kind;
  request.spec.mount_count = 0;
  auto added =
      add_mount(request, files, detached, Kind::data_bind, request.data_directory, data_path);
  if (added) added = add_mount(request, files, false, Kind::scratch_tmpfs, "", scratch_path);
  if (added && !request.link_directory.empty()) {
    added = add_mount(request, files, detached, Kind::read_only_bind, request.link_directory,
                      link_directory_path);
  }
  if (added && !request.encoder_directory.empty()) {
    added = add_mount(request, files, detached, Kind::read_only_bind, request.encoder_directory,
                      encoders_path);
  }
  for (const std::string& path : request.library_paths) {
    if (added) added = add_mount(request, files, detached, Kind::read_only_bind, path, path);
  }
  return added;
}

}  // namespace

Result<LaunchFiles> open_launch_files(LaunchRequest& request, const HostCapabilities& host) {
  LaunchFiles files;
  if (auto added = add_mounts(request, files, host); !added) return tl::unexpected(added.error());
  if (auto checked = check_launch_spec(request.spec); !checked) {
    return tl::unexpected(checked.error());
  }
  auto program = open_path(request.program_path, O_PATH);
  auto jail = open_path(request.jail_path, O_PATH);
  auto null = open_path("/dev/null", O_RDONLY);
  if (!program) return tl::unexpected(program.error());
  if (!jail) return tl::unexpected(jail.error());
  if (!null) return tl::unexpected(null.error());
  files.program = std::move(*program);
  files.jail = std::move(*jail);
  files.null = std::move(*null);
  auto link = make_socket_pair(SocketKind::seqpacket);
  if (!link) return tl::unexpected(link.error());
  files.link_parent = std::move(link->first);
  files.link_child = std::move(link->second);
  int ends[2];
  // Non-blocking on both sides: a supervisor that does not read must not stop a worker that logs.
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return fail_errno("log pipe", errno);
  files.log_read.reset(ends[0]);
  files.log_write.reset(ends[1]);
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("barrier pipe", errno);
  files.barrier_read.reset(ends[0]);
  files.barrier_write.reset(ends[1]);
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("entrance pipe", errno);
  files.entered_read.reset(ends[0]);
  files.entered_write.reset(ends[1]);
  auto spec = seal_record("tenantd-launch-spec", request.spec);
  if (!spec) return tl::unexpected(spec.error());
  files.spec = std::move(*spec);
  return files;
}

bool place_descriptors_in_child(const LaunchFiles& files, int& jail_at) noexcept {
  constexpr std::size_t fixed = 6;
  std::array<int, fixed + LaunchSpec::max_mounts> sources = {
      files.null.get(),       files.log_write.get(), files.log_write.get(),
      files.link_child.get(), files.spec.get(),      files.program.get()};
  static_assert(null_fd == 0 && log_out_fd == 1 && log_err_fd == 2 && link_fd == 3 &&
                launch_spec_fd == 4 && program_fd == 5 && first_mount_fd == 6);
  for (std::size_t i = 0; i < files.mount_count; ++i) sources[fixed + i] = files.mounts[i].get();
  const std::size_t count = fixed + files.mount_count;
  // First out of the way of the contract's numbers, then into place.
  for (std::size_t i = 0; i < count; ++i) {
    sources[i] = ::fcntl(sources[i], F_DUPFD_CLOEXEC, safe_number);
    if (sources[i] < 0) return false;
  }
  const int jail = ::fcntl(files.jail.get(), F_DUPFD_CLOEXEC, safe_number);
  if (jail < 0) return false;
  for (std::size_t i = 0; i < count; ++i) {
    if (::dup2(sources[i], static_cast<int>(i)) < 0) return false;
  }
  jail_at = static_cast<int>(count);
  if (::dup3(jail, jail_at, O_CLOEXEC) < 0) return false;
  return ::close_range(static_cast<unsigned>(jail_at) + 1, ~0U, 0) == 0;
}

}  // namespace tenantd
