// tenantd, the supervisor: reads its options and tenantd.toml, looks at the host, wires the parts,
// runs the loop.
//
// Runs as root with few capabilities, or as an unprivileged user with user namespaces. One thread.
// Exit codes: 0 done, 1 failed, 2 usage, 4 refused (a layer is missing, another instance), 6
// invalid configuration.
#include <fcntl.h>
#include <sodium.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <iostream>
#include <vector>

#include "supervisor/config/check_config.h"
#include "supervisor/config/reference_page.h"
#include "supervisor/daemon/daemon.h"
#include "supervisor/daemon/physical_setup.h"
#include "supervisor/daemon/run_directory.h"

using namespace tenantd;

namespace {

int complain(const Error& error) {
  std::cerr << "tenantd: " << error.describe() << '\n';
  switch (error.code) {
    case ErrorCode::layer_missing:
    case ErrorCode::permission_denied:
    case ErrorCode::already_exists:
      return 4;
    case ErrorCode::invalid_config:
      return 6;
    default:
      return exit_code_for(error.code);
  }
}

// Descriptors 0 to 2 exist, enough others may, and no signal but the handled ones ends the process.
void prepare_process() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0) (void)::open("/dev/null", O_RDWR);  // the lowest free number
  }
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
    files.rlim_cur = files.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &files);
  }
  struct sigaction nothing {};
  nothing.sa_handler = [](int) {};
  (void)::sigaction(SIGPIPE, &nothing, nullptr);
  // A file being opened for writing just as its lease is tried (watch/directory_watch.cpp).
  (void)::sigaction(SIGIO, &nothing, nullptr);
  (void)::umask(022);
}

Checked<DaemonConfig> load_config(const Options& options) {
  const bool absent = !options.config_given && ::access(options.config_path.c_str(), F_OK) != 0;
  if (!absent) return load_daemon_config(options.config_path, options.overrides);
  const auto uid_files = read_uid_files();
  if (!uid_files) return tl::unexpected(std::vector<Error>{uid_files.error()});
  return parse_daemon_config("", options.config_path, options.overrides, *uid_files);
}

// Beside this program (a build tree), or where an installation has them.
Result<InstallationPaths> find_programs(const Options& options, const DaemonConfig& config) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const fs::path self = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  const std::vector<fs::path> places =
      options.libexec_dir.empty()
          ? std::vector<fs::path>{self, self.parent_path() / "libexec/tenantd"}
          : std::vector<fs::path>{fs::absolute(options.libexec_dir, ignored)};
  const auto find = [&](const char* name) -> Result<std::string> {
    for (const fs::path& place : places) {
      if (::access((place / name).c_str(), X_OK) == 0) return (place / name).string();
    }
    return fail(ErrorCode::not_found, std::string(name) + " is not installed",
                "--libexec-dir says where it is");
  };
  InstallationPaths paths{config.state_dir, config.run_dir, {}, {}, {}};
  const std::pair<const char*, std::string*> programs[] = {
      {"tenantd-jail", &paths.jail_program},
      {"tenantd-worker", &paths.worker_program},
      {"tenantd-control", &paths.control_program}};
  for (const auto& [name, path] : programs) {
    auto found = find(name);
    if (!found) return tl::unexpected(found.error());
    *path = std::move(*found);
  }
  return paths;
}

// The configured directory as the cgroup code names it: relative to the mount points.
std::string cgroup_root(const CgroupConfig& config) {
  static constexpr std::string_view mount = "/sys/fs/cgroup/";
  const bool unified = ::access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0;
  if (config.root.empty()) return unified ? std::string() : config.name;
  std::string root = config.root;
  if (root.starts_with(mount)) root.erase(0, mount.size());
  return unified ? root : root + '/' + config.name;
}

// What a tenant with all kinds of limits needs.
LayerSet wanted_layers() {
  ResourceLimits limits;
  limits.cpu_millicores = 1000;
  limits.memory_max_bytes = 1;
  limits.pids_max = 1;
  return required_layers(limits, true);
}

Status add_lock(const std::string& directory, std::vector<UniqueFd>& locks) {
  auto lock = lock_directory(directory);
  if (!lock) return tl::unexpected(lock.error());
  locks.push_back(std::move(*lock));
  return {};
}

// Makes the backend with its root prepared. `explanation` as make_cgroup_backend's.
std::unique_ptr<CgroupBackend> open_cgroups(const DaemonConfig& config, std::string& explanation) {
  const mode_t usual = ::umask(066);  // no stranger opens our groups, so none can lock them
  auto cgroups = make_cgroup_backend(cgroup_root(config.cgroup), explanation);
  (void)::umask(usual);
  return cgroups;
}

// 0: nothing required is missing, or only what is tolerated.
int check_host(const DaemonConfig& config) {
  std::string explanation;
  const auto cgroups = open_cgroups(config, explanation);
  const HostCapabilities host = probe_host(cgroups.get(), explanation);
  cgroups->remove_root();
  std::cout << describe_host(host);
  const Status enough = check_layers(host, wanted_layers(), config.tolerated_layers());
  return enough ? 0 : complain(enough.error());
}

// From the look at the host to the end of the loop. Errors are those of the start.
Status serve(const Options& options, DaemonConfig config, const AccountResolver& accounts, Log& log,
             const InstallationPaths& paths, CgroupBackend& cgroups, PhysicalHost& physical,
             const std::string& explanation) {
  HostCapabilities host = probe_host(&cgroups, explanation);
  if (host.privileged) {
    if (Status dropped = drop_supplementary_groups(); !dropped) return dropped;
  }
  if (Status enough = check_layers(host, wanted_layers(), config.tolerated_layers()); !enough) {
    return enough;
  }
  for (const std::string& why : host.explanations) log.warning("goes on without " + why);
  log.info(describe_cgroups(cgroups));
  Launcher launcher(std::move(host), &cgroups);
  Loop loop;
  Daemon daemon(
      {loop, log, options, std::move(config), paths, cgroups, launcher, physical, accounts});
  const Signal terminate(loop, SIGTERM, [&daemon](int) { daemon.stop(); });
  const Signal interrupt(loop, SIGINT, [&daemon](int) { daemon.stop(); });
  const Signal hang_up(loop, SIGHUP, [&daemon](int) { daemon.reload(); });
  if (Status started = daemon.start(); !started) return started;
  loop.run();
  return {};
}

int run(const Options& options, DaemonConfig config, const AccountResolver& accounts) {
  Log log(2, options.log_format.value_or(config.log.format),
          options.log_level.value_or(config.log.level));
  const auto paths = find_programs(options, config);
  if (!paths) return complain(paths.error());
  if (Status made = prepare_directories(config.run_dir, config.state_dir); !made) {
    return complain(made.error());
  }
  // Whoever shares one of these with another instance would take its workers for stale ones.
  std::vector<UniqueFd> locks;
  for (const std::string& directory : {paths->record_directory(), config.state_dir + "/tenants"}) {
    if (Status locked = add_lock(directory, locks); !locked) return complain(locked.error());
  }
  const auto setup = look_at_physical_host(config);
  if (!setup) return complain(setup.error());
  if (Status left = leave_dedicated_cpus(*setup); !left) return complain(left.error());
  std::string explanation;
  auto cgroups = open_cgroups(config, explanation);
  if (!cgroups->root_directory().empty()) {
    Status locked = add_lock(cgroups->root_directory(), locks);
    if (!locked) return complain(locked.error());  // the groups are another instance's
  }
  std::vector<std::string> notes;
  auto physical = prepare_physical_host(*setup, config, cgroups, notes);
  for (const std::string& note : notes) log.info(note);
  const Status served = physical ? serve(options, std::move(config), accounts, log, *paths,
                                         *cgroups, *physical, explanation)
                                 : tl::unexpected(physical.error());
  if (served) return 0;
  cgroups->remove_root();  // only what is empty: survivors keep theirs
  return complain(served.error());
}

}  // namespace

int main(int argc, char** argv) {
  const auto parsed = parse_options(argc, argv);
  if (const int* exit_code = std::get_if<int>(&parsed)) return *exit_code;
  const Options& options = std::get<Options>(parsed);
  if (options.print_config_reference) {
    std::cout << config_reference_markdown();
    return 0;
  }
  if (::sodium_init() < 0) return 1;
  const SystemAccounts accounts;
  if (options.check_config) {
    const ConfigReport report = check_config(options.config_path, options.overrides, accounts);
    std::cout << report.text;
    if (report.exit_code() != 0) return report.exit_code();
    const auto config = load_config(options);
    const auto setup =
        config ? look_at_physical_host(*config) : Result<PhysicalSetup>(PhysicalSetup{});
    return setup ? 0 : complain(setup.error());
  }
  prepare_process();
  auto config = load_config(options);
  if (!config) {
    std::cerr << describe_all(config.error());
    return 6;
  }
  if (options.check_host) return check_host(*config);
  return run(options, std::move(*config), accounts);
}
