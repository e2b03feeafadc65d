#include "supervisor/jail/landlock.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "shared/os/fd.h"
#include "supervisor/jail/launch_spec_check.h"

namespace tenantd {
namespace {

// The kernel's struct of ABI 6; older kernels take it while what they do not know is zero.
struct RulesetAttributes {
  std::uint64_t files = 0;
  std::uint64_t network = 0;
  std::uint64_t scoped = 0;
};

constexpr std::uint64_t file_read_write =
    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
constexpr std::uint64_t truncate_file = 1ULL << 14U;       // ABI 3
constexpr std::uint64_t tcp_bind = 1;                      // ABI 4
constexpr std::uint64_t tcp_connect = 2;                   // ABI 4
constexpr std::uint64_t abstract_sockets_and_signals = 3;  // ABI 6

constexpr std::uint64_t writable_tree =
    file_read_write | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR |
    LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
    LANDLOCK_ACCESS_FS_REFER | truncate_file;
// A tree whose files are all there: they may be read, written and emptied.
constexpr std::uint64_t complete_tree =
    file_read_write | LANDLOCK_ACCESS_FS_READ_DIR | truncate_file;
constexpr std::uint64_t executable_tree =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t readable_tree = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t executable_file = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE;
constexpr std::uint64_t file_only = executable_file | LANDLOCK_ACCESS_FS_WRITE_FILE | truncate_file;

std::uint64_t handled_files(int abi) {
  const unsigned rights = abi >= 5 ? 16 : abi >= 3 ? 15 : abi == 2 ? 14 : 13;
  return (1ULL << rights) - 1;
}

Status allow_beneath(int ruleset, int parent, std::uint64_t access) {
  landlock_path_beneath_attr rule{};
  rule.allowed_access = access;
  rule.parent_fd = parent;
  if (::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0) {
    return fail_errno("landlock_add_rule", errno);
  }
  return {};
}

// The kernel's struct and number of ABI 4.
struct PortRule {
  std::uint64_t access = 0;
  std::uint64_t port = 0;
};
constexpr int port_rule = 2;

std::uint64_t handled_network(const LaunchSpec& spec) {
  return has_allowance(spec, Allowance::any_tcp_port) ? tcp_bind : tcp_bind | tcp_connect;
}

// None, or those of the launch spec. UDP and addresses Landlock does not know.
Status allow_ports(int ruleset, const LaunchSpec& spec) {
  if (has_allowance(spec, Allowance::any_tcp_port)) return {};
  for (std::size_t i = 0; i < spec.connect_port_count; ++i) {
    const PortRule rule{tcp_connect, spec.connect_ports[i]};
    if (::syscall(SYS_landlock_add_rule, ruleset, port_rule, &rule, 0) != 0) {
      return fail_errno("landlock_add_rule: port", errno);
    }
  }
  return {};
}

// As the program's user, who will own it.
Status make_file(int directory, const std::string& name) {
  const UniqueFd file(::openat(directory, name.c_str(),
                               O_RDONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
  return file ? Status{} : Status(fail_errno("create data file " + name, errno));
}

Status make_data_files(const LaunchSpec& spec, int directory) {
  Status made;
  for (std::size_t i = 0; made && i < spec.data_file_count; ++i) {
    made = make_file(directory, std::string(spec.data_files[i].view()));
  }
  return made;
}

// Its shards' directories are there: the supervisor has made or moved them.
Status make_pool_files(const LaunchSpec& spec, int directory) {
  Status made = make_file(directory, std::string(running_file_name));
  for (std::uint32_t shard = 0; made && shard < max_shards; ++shard) {
    if (!spec.shards.has(shard)) continue;
    const std::string name = shard_directory_name(shard);
    const UniqueFd opened(
        ::openat(directory, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!opened) return fail_errno("open shard " + name, errno);
    made = make_data_files(spec, opened.get());
  }
  return made;
}

Status allow_mount(int ruleset, const LaunchSpec& spec, const MountSpec& mount,
                   std::uint64_t handled) {
  const bool own_root = LayerSet(spec.supervisor_layers).has(Layer::mount_namespace);
  const bool scratch = mount.kind == MountSpec::Kind::scratch_tmpfs;
  if (scratch && !own_root) return {};  // there is no scratch of its own then
  const std::string path(own_root ? mount.target.view() : mount.source.view());
  const UniqueFd parent(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!parent) return fail_errno("open " + path, errno);
  std::uint64_t access = executable_tree;
  if (scratch) access = writable_tree;
  if (mount.kind == MountSpec::Kind::data_bind) {
    const Status made = spec.shard_count > 0 ? make_pool_files(spec, parent.get())
                                             : make_data_files(spec, parent.get());
    if (!made) return made;
    access = spec.data_file_count > 0 ? complete_tree : writable_tree;
  }
  if (mount.target.view() == encoders_path) access = readable_tree;
  if (mount.target.view() == link_directory_path) access = LANDLOCK_ACCESS_FS_READ_DIR;
  struct stat info {};
  if (::fstat(parent.get(), &info) != 0) return fail_errno("fstat " + path, errno);
  if (!S_ISDIR(info.st_mode)) access &= file_only;
  return allow_beneath(ruleset, parent.get(), access & handled);
}

}  // namespace

int landlock_abi() noexcept {
  const long abi =
      ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return abi < 0 ? 0 : static_cast<int>(abi);
}

Status restrict_with_landlock(const LaunchSpec& spec) {
  const int abi = landlock_abi();
  if (abi < minimum_landlock_abi) {
    return fail(ErrorCode::layer_missing, "Landlock ABI " + std::to_string(abi) +
                                              " is older than " +
                                              std::to_string(minimum_landlock_abi));
  }
  RulesetAttributes attributes;
  attributes.files = handled_files(abi);
  if (abi >= 4) attributes.network = handled_network(spec);
  if (abi >= 6) attributes.scoped = abstract_sockets_and_signals;
  const UniqueFd ruleset(
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0)));
  if (!ruleset) return fail_errno("landlock_create_ruleset", errno);
  for (std::size_t i = 0; i < spec.mount_count; ++i) {
    auto allowed = allow_mount(ruleset.get(), spec, spec.mounts[i], attributes.files);
    if (!allowed) return allowed;
  }
  auto program = allow_beneath(ruleset.get(), program_fd, executable_file);
  if (!program) return program;
  if (abi >= 4) {
    if (auto ports = allow_ports(ruleset.get(), spec); !ports) return ports;
  }
  if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) {
    return fail_errno("landlock_restrict_self", errno);
  }
  return {};
}

}  // namespace tenantd
