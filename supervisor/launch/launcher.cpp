#include "supervisor/launch/launcher.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "shared/os/process.h"
#include "supervisor/launch/clone_child.h"
#include "supervisor/launch/launch_files.h"
#include "supervisor/physical/affinity.h"

namespace tenantd {
namespace {

// Everything below runs in a copy of the supervisor: async-signal-safe calls only, and no way back.

void reset_signals_in_child() noexcept {
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  for (int signal = 1; signal <= SIGRTMAX; ++signal) (void)::sigaction(signal, &standard, nullptr);
  // A log pipe or link whose supervisor died must not end the program, nor a file at its bound:
  // both are errors of the call.
  standard.sa_handler = SIG_IGN;
  (void)::sigaction(SIGPIPE, &standard, nullptr);
  (void)::sigaction(SIGXFSZ, &standard, nullptr);
  sigset_t none;
  (void)::sigemptyset(&none);
  (void)::sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void leave(ExitCode code) noexcept { ::_exit(static_cast<int>(code)); }

[[noreturn]] void run_in_child(const LaunchFiles& files, bool has_user_namespace) noexcept {
  // Our copy of the write end would hide the supervisor's death from us.
  (void)::close(files.barrier_write.get());
  (void)::close(files.entered_read.get());
  // Said before the last one, the CPU's: a tenant that has used up its quota must not keep the
  // supervisor waiting. Nothing else is done here unless that one is entered too.
  for (std::size_t i = 0; i < files.entrances.size(); ++i) {
    const bool last = i + 1 == files.entrances.size();
    if (last && ::write(files.entered_write.get(), "e", 1) != 1) leave(ExitCode::confinement);
    if (::write(files.entrances[i].get(), "0", 1) != 1) leave(ExitCode::confinement);
  }
  char go = 0;
  ssize_t got = -1;
  do {
    got = ::read(files.barrier_read.get(), &go, 1);
  } while (got < 0 && errno == EINTR);
  if (got != 1) leave(ExitCode::barrier_closed);
  if (has_user_namespace) {
    // glibc's wrappers would signal threads that this copy does not have.
    if (::syscall(SYS_setresgid, 0, 0, 0) != 0) leave(ExitCode::confinement);
    if (::syscall(SYS_setresuid, 0, 0, 0) != 0) leave(ExitCode::confinement);
  }
  reset_signals_in_child();
  int jail = -1;
  if (!place_descriptors_in_child(files, jail)) leave(ExitCode::confinement);
  char name[] = "tenantd-jail";
  char* const arguments[] = {name, nullptr};
  char* const environment[] = {nullptr};
  (void)::syscall(SYS_execveat, jail, "", arguments, environment, AT_EMPTY_PATH);
  leave(ExitCode::exec_failed);
}

// Blocks for the child's few writes. Where clone3 has put it into its group there are none, and it
// may have to wait for the group's CPU quota: then nobody waits for it.
Status await_entrance(LaunchFiles& files) {
  if (files.entrances.empty()) return {};
  files.entered_write.reset();  // or its death would go unnoticed
  char entered = 0;
  ssize_t got = -1;
  do {
    got = ::read(files.entered_read.get(), &entered, 1);
  } while (got < 0 && errno == EINTR);
  if (got == 1) return {};
  return fail(ErrorCode::internal, "the new process could not enter its control groups");
}

// Ends what a failed launch has made, in the order that leaves nothing behind.
class Rollback {
 public:
  Rollback(CgroupBackend* cgroups, const CgroupName& name) : cgroups_(cgroups), name_(name) {}
  Rollback(const Rollback&) = delete;
  Rollback& operator=(const Rollback&) = delete;
  ~Rollback() {
    if (child_ != 0) {
      (void)::kill(child_, SIGKILL);
      (void)reap_child(child_);
    }
    if (has_cgroup_) (void)cgroups_->remove(name_);
  }
  void remember_cgroup() noexcept { has_cgroup_ = true; }
  void remember_child(pid_t pid) noexcept { child_ = pid; }
  void dismiss() noexcept {
    child_ = 0;
    has_cgroup_ = false;
  }

 private:
  CgroupBackend* cgroups_;
  CgroupName name_;
  pid_t child_ = 0;
  bool has_cgroup_ = false;
};

LayerSet supervisor_layers(const HostCapabilities& host, bool use_cgroup) {
  LayerSet layers = host.available;
  for (const Layer jails : {Layer::cgroup_namespace, Layer::capabilities, Layer::no_new_privs,
                            Layer::landlock, Layer::seccomp, Layer::rlimits}) {
    layers.remove(jails);
  }
  if (use_cgroup) return layers;
  for (const Layer cgroup :
       {Layer::cgroup_cpu, Layer::cgroup_memory, Layer::cgroup_pids, Layer::cgroup_io}) {
    layers.remove(cgroup);
  }
  return layers;
}

// A network is made from outside, in a namespace of the worker's own.
Status check_network_host(const HostCapabilities& host) {
  const auto refuse = [](const char* why) {
    return fail(ErrorCode::unsupported, std::string("a network of the tenant's own ") + why);
  };
  if (!host.privileged) return refuse("needs root: this instance is unprivileged");
  if (!host.network_admin) return refuse("needs CAP_NET_ADMIN, which this instance has not");
  if ((host.namespace_flags & CLONE_NEWNET) == 0) {
    return refuse("needs a network namespace, which this host refuses");
  }
  return {};
}

}  // namespace

Launcher::Launcher(HostCapabilities host, CgroupBackend* cgroups)
    : host_(std::move(host)), cgroups_(cgroups) {}

Result<LaunchedProcess> Launcher::launch(LaunchRequest& request) {
  const LayerSet required = required_layers(request.limits, request.use_cgroup);
  if (auto checked = check_layers(host_, required, request.tolerated); !checked) {
    return tl::unexpected(checked.error());
  }
  if (request.network) {
    if (auto checked = check_network_host(host_); !checked) return tl::unexpected(checked.error());
  }
  const bool use_cgroup =
      request.use_cgroup && cgroups_ != nullptr && cgroups_->mode() != CgroupMode::none;
  const uid_t uid = host_.privileged ? request.uid : ::geteuid();
  const gid_t gid = host_.privileged ? request.gid : ::getegid();
  request.spec.generation = request.cgroup.generation;
  request.spec.tolerated_layers = request.tolerated.bits();
  request.spec.supervisor_layers = supervisor_layers(host_, use_cgroup).bits();
  request.spec.host_uid = uid;
  request.spec.host_gid = gid;
  auto files = open_launch_files(request, host_);
  if (!files) return tl::unexpected(files.error());

  Rollback rollback(cgroups_, request.cgroup);
  UniqueFd group;
  if (use_cgroup) {
    rollback.remember_cgroup();
    auto made = cgroups_->place(request.cgroup, request.placement);
    if (made) made = cgroups_->create(request.cgroup, request.limits);
    if (!made) return tl::unexpected(made.error());
    if (cgroups_->mode() == CgroupMode::v2) {
      auto directory = cgroups_->directory(request.cgroup);
      if (!directory) return tl::unexpected(directory.error());
      group = std::move(*directory);
    } else {
      auto entrances = cgroups_->entrances(request.cgroup);
      if (!entrances) return tl::unexpected(entrances.error());
      files->entrances = std::move(*entrances);
    }
  }
  const bool user_namespace = (host_.namespace_flags & CLONE_NEWUSER) != 0;
  auto child = clone_child(host_.namespace_flags, group.get());
  if (!child) return tl::unexpected(child.error());
  if (child->pid == 0) run_in_child(*files, user_namespace);
  rollback.remember_child(child->pid);
  if (request.spec.kind == ProgramKind::worker) ask_for_short_slices(child->pid);

  Status ready;
  if (user_namespace) ready = write_id_maps_from_parent(child->pid, uid, gid);
  if (ready) ready = await_entrance(*files);
  // After the groups: entering a cpuset gives a process all CPUs of the set.
  if (ready && !request.placement.cpus.empty()) {
    ready = set_thread_cpus(child->pid, request.placement.cpus);
  }
  if (ready && request.before_release) ready = request.before_release(child->pid);
  if (!ready) return tl::unexpected(ready.error());
  NetworkHelper network;
  if (request.network) {
    auto helper = start_network_helper(request.network_program_path, *request.network,
                                       child->pidfd.get(), files->barrier_write.get());
    if (!helper) return tl::unexpected(helper.error());
    network = std::move(*helper);
  } else if (::write(files->barrier_write.get(), "g", 1) != 1) {
    return fail_errno("barrier", errno);
  }
  rollback.dismiss();

  LaunchedProcess process;
  process.pid = child->pid;
  process.pidfd = std::move(child->pidfd);
  process.link = std::move(files->link_parent);
  process.log = std::move(files->log_read);
  process.network = std::move(network);
  process.missing = required.without(host_.available);
  process.provided = required.without(process.missing);
  return process;
}

}  // namespace tenantd
