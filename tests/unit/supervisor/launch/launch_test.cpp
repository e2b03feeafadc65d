// Launches a static probe through the real launcher and the real jail.
#include <sys/prctl.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "launch_fixture.h"

using namespace tenantd;

namespace {

long value(const Outcome& outcome, const std::string& name) {
  const auto found = outcome.lines.find(name);
  return found == outcome.lines.end() ? -1 : found->second;
}

}  // namespace

TEST_CASE("a confined program sees nothing but its own") {
  LaunchFixture fixture;
  MESSAGE("missing here: ", layer_list(LayerSet::all().without(fixture.host.available)));
  if (!fixture.host.available.has(Layer::mount_namespace)) return;
  const Outcome seen = fixture.run("look");
  CHECK(seen.reported);
  CHECK(std::string(seen.report.reason.view()) == "");
  CHECK(seen.exit_code() == 0);
  CHECK(value(seen, "pid") == 1);
  CHECK(value(seen, "shadow") == ENOENT);
  CHECK(value(seen, "proc") == ENOENT);
  CHECK(value(seen, "usr") == ENOENT);
  CHECK(value(seen, "root_list") == EACCES);  // Landlock grants no right on the root itself
  CHECK(value(seen, "root_write") == EROFS);
  CHECK(value(seen, "link_write") == EROFS);
  CHECK(value(seen, "data_write") == 0);
  CHECK(value(seen, "tmp_write") == 0);
  CHECK(value(seen, "data_executable") == 0);
  CHECK(value(seen, "link_connect") == 0);
}

TEST_CASE("a worker's libuv, SQLite, threads and memfds pass both filters") {
  LaunchFixture fixture;
  const Outcome worked = fixture.run("work");
  CHECK(worked.exit_code() == 0);
  CHECK(value(worked, "database") == 1);
  CHECK(value(worked, "loop") == 1);
  CHECK(value(worked, "rings") == 1);
}

TEST_CASE("the posture from outside is the expected one, and a lie is noticed") {
  LaunchFixture fixture;
  LaunchRequest request = fixture.request("hold");
  Launcher launcher(fixture.host, fixture.cgroups.get());
  auto process = launcher.launch(request);
  REQUIRE_MESSAGE(process, process.error().describe());
  // The second line comes after the second stage.
  std::string text;
  while (text.find("holding=1\n") == std::string::npos) {
    pollfd wait{process->log.get(), POLLIN, 0};
    REQUIRE(::poll(&wait, 1, 10'000) == 1);
    char block[256];
    const ssize_t size = ::read(process->log.get(), block, sizeof block);
    REQUIRE(size > 0);
    text.append(block, static_cast<std::size_t>(size));
  }
  Outcome outcome;
  LaunchFixture::take_report(*process, outcome);
  REQUIRE(outcome.reported);
  const auto posture = read_posture(process->pid);
  REQUIRE(posture);
  auto expected = expected_posture(request.spec, LayerSet(outcome.report.applied_layers), true);
  const auto deviations = posture_deviations(*posture, expected);
  for (const std::string& line : deviations) MESSAGE(line);
  CHECK(deviations.empty());
  expected["seccomp_filters"] = "3";
  CHECK(posture_deviations(*posture, expected).size() == 1);
  PostureRecord record;
  fill_posture_record(*posture, deviations, record);
  CHECK(record.as_expected == 1);
  CHECK(record.facts.view().find("no_new_privs=1\n") != std::string_view::npos);
  REQUIRE(signal_pidfd(process->pidfd.get(), SIGKILL));
  CHECK(LaunchFixture::finish(*process).died_of(SIGKILL));
  CHECK(fixture.cgroups->remove(request.cgroup));
}

TEST_CASE("quotas are in place before the first instruction, change live and go with the tenant") {
  LaunchFixture fixture;
  if (!fixture.host.available.has(Layer::cgroup_memory)) {
    MESSAGE("skipped: ", fixture.cgroup_explanation);
    return;
  }
  LaunchRequest request = fixture.request("hold");
  bool inside = false;
  CgroupUsage before{};
  request.before_release = [&](pid_t pid) -> Status {
    const auto pids = fixture.cgroups->processes(request.cgroup);
    inside = pids && *pids == std::vector<pid_t>{pid};
    before = fixture.cgroups->usage(request.cgroup).value_or(CgroupUsage{});
    return {};
  };
  Launcher launcher(fixture.host, fixture.cgroups.get());
  auto process = launcher.launch(request);
  REQUIRE_MESSAGE(process, process.error().describe());
  CHECK(inside);
  CHECK(before.memory_max_bytes == request.limits.memory_max_bytes);
  CHECK(before.pids == 1);
  request.limits.memory_max_bytes *= 2;
  CHECK(fixture.cgroups->apply(request.cgroup, request.limits));
  CHECK(fixture.cgroups->usage(request.cgroup)->memory_max_bytes ==
        request.limits.memory_max_bytes);
  Posture posture;
  CHECK(compare_limits(fixture.cgroups->settings(request.cgroup, request.limits), posture).empty());
  CHECK(posture.facts.contains("cgroup pids.max"));
  ResourceLimits other = request.limits;
  other.pids_max += 1;
  const auto lines = compare_limits(fixture.cgroups->settings(request.cgroup, other), posture);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0] == "cgroup pids.max: expected 33, is 32");
  CHECK(fixture.cgroups->list()->size() == 1);
  CHECK_FALSE(fixture.cgroups->remove(request.cgroup));  // never moves a live process out
  CHECK(fixture.cgroups->kill(request.cgroup));
  CHECK(LaunchFixture::finish(*process).died_of(SIGKILL));
  CHECK(fixture.cgroups->remove(request.cgroup));
  CHECK(fixture.cgroups->list()->empty());
}

// Else a tenant that has used up its quota would keep the supervisor waiting for the new process.
TEST_CASE_FIXTURE(LaunchFixture, "v1: the CPU's group is entered last") {
  if (cgroups->mode() != CgroupMode::v1 && cgroups->mode() != CgroupMode::hybrid) {
    std::puts("skipped: no v1 hierarchies here");
    return;
  }
  const LaunchRequest wanted = request("nothing");
  REQUIRE(cgroups->create(wanted.cgroup, wanted.limits).has_value());
  const auto entrances = cgroups->entrances(wanted.cgroup);
  REQUIRE(entrances.has_value());
  std::vector<std::string> hierarchies;
  for (const UniqueFd& entrance : *entrances) {
    const std::string link = "/proc/self/fd/" + std::to_string(entrance.get());
    hierarchies.push_back(std::filesystem::read_symlink(link).parent_path());
  }
  REQUIRE(cgroups->remove(wanted.cgroup).has_value());
  REQUIRE_FALSE(hierarchies.empty());
  const auto is_cpu = [](const std::string& path) {
    return path.find("/cpu/") != path.npos || path.find("/cpu,") != path.npos;
  };
  const auto cpus = std::count_if(hierarchies.begin(), hierarchies.end(), is_cpu);
  CHECK(cpus == (is_cpu(hierarchies.back()) ? 1 : 0));
}

TEST_CASE("a memory hog dies alone in its cgroup") {
  LaunchFixture fixture;
  if (!fixture.host.available.has(Layer::cgroup_memory)) {
    MESSAGE("skipped: ", fixture.cgroup_explanation);
    return;
  }
  LaunchRequest request = fixture.request("hog");
  Launcher launcher(fixture.host, fixture.cgroups.get());
  auto process = launcher.launch(request);
  REQUIRE_MESSAGE(process, process.error().describe());
  CHECK(LaunchFixture::finish(*process).died_of(SIGKILL));
  const auto usage = fixture.cgroups->usage(request.cgroup);
  REQUIRE(usage);
  CHECK(usage->oom_kills >= 1);
  CHECK(usage->memory_peak_bytes <= request.limits.memory_max_bytes);
  CHECK(usage->memory_peak_bytes > request.limits.memory_max_bytes / 2);
  CHECK(fixture.cgroups->remove(request.cgroup));
}

TEST_CASE("a missing layer that nobody tolerates refuses by name") {
  LaunchFixture fixture;
  HostCapabilities host = fixture.host;
  host.available.remove(Layer::landlock);
  host.explanations.push_back("landlock: switched off");
  LaunchRequest request = fixture.request("look");
  Launcher launcher(host, fixture.cgroups.get());
  const auto refused = launcher.launch(request);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::layer_missing);
  CHECK(refused.error().message.find("landlock: switched off") != std::string::npos);
  CHECK(refused.error().hint.find("--tolerate-missing=") != std::string::npos);
  CHECK(fixture.cgroups->list()->empty());
}

TEST_CASE("the jail itself refuses when a step fails") {
  LaunchFixture fixture;
  if (!fixture.host.available.has(Layer::mount_namespace)) return;
  LaunchRequest request = fixture.request("look");
  request.library_paths = {"/tmp/tenantd-no-such-library"};
  Launcher launcher(fixture.host, fixture.cgroups.get());
  auto process = launcher.launch(request);
  if (!process) {  // privileged: the launcher opens the path itself
    CHECK(process.error().message.find("no-such-library") != std::string::npos);
    CHECK(fixture.cgroups->list()->empty());
    return;
  }
  const Outcome outcome = LaunchFixture::finish(*process);
  CHECK(outcome.exit_code() == static_cast<int>(ExitCode::confinement));
  CHECK(outcome.report.reason.view().starts_with("mount_namespace"));
  CHECK(fixture.cgroups->remove(request.cgroup));
}

TEST_CASE("a refused record ends the child at the barrier and leaves nothing") {
  LaunchFixture fixture;
  LaunchRequest request = fixture.request("look");
  pid_t seen = 0;
  request.before_release = [&seen](pid_t pid) -> Status {
    seen = pid;
    return fail(ErrorCode::internal, "disk full");
  };
  Launcher launcher(fixture.host, fixture.cgroups.get());
  const auto refused = launcher.launch(request);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message == "disk full");
  CHECK(::kill(seen, 0) == -1);
  CHECK(errno == ESRCH);
  CHECK(fixture.cgroups->list()->empty());
}

TEST_CASE("a supervisor that dies before the release leaves no process") {
  LaunchFixture fixture;
  LaunchRequest request = fixture.request("look");
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t supervisor = ::fork();
  REQUIRE(supervisor >= 0);
  if (supervisor == 0) {
    request.before_release = [&ends](pid_t pid) -> Status {
      (void)!::write(ends[1], &pid, sizeof pid);
      ::_exit(0);  // no destructor runs: as if killed
    };
    Launcher launcher(fixture.host, fixture.cgroups.get());
    (void)launcher.launch(request);
    ::_exit(1);
  }
  int status = 0;
  REQUIRE(::waitpid(supervisor, &status, 0) == supervisor);
  pid_t child = 0;
  REQUIRE(::read(ends[0], &child, sizeof child) == sizeof child);
  (void)::close(ends[0]);
  (void)::close(ends[1]);
  if (const auto pidfd = open_pidfd(child)) {
    pollfd wait{pidfd->get(), POLLIN, 0};
    CHECK(::poll(&wait, 1, 10'000) == 1);
  }
  CHECK(fixture.cgroups->remove(request.cgroup));
}

TEST_CASE("spawn to first byte") {
  LaunchFixture fixture;
  std::vector<double> times_ms;
  for (int i = 0; i < 21; ++i) {
    LaunchRequest request = fixture.request("start");
    Launcher launcher(fixture.host, fixture.cgroups.get());
    const auto begin = std::chrono::steady_clock::now();
    auto process = launcher.launch(request);
    REQUIRE_MESSAGE(process, process.error().describe());
    pollfd wait{process->log.get(), POLLIN, 0};
    REQUIRE(::poll(&wait, 1, 10'000) == 1);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    times_ms.push_back(took.count());
    CHECK(LaunchFixture::finish(*process).exit_code() == 0);
    CHECK(fixture.cgroups->remove(request.cgroup));
  }
  std::sort(times_ms.begin(), times_ms.end());
  MESSAGE("spawn to first byte: p50 ", times_ms[10], " ms, max ", times_ms[20], " ms");
  CHECK(times_ms[10] < 1000);
}

TEST_CASE("an unprivileged supervisor confines with a user namespace and names what it lacks") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: this run is unprivileged as a whole");
    return;
  }
  LaunchFixture fixture;
  // The build may be where only root can go.
  for (const char* name : {"TENANTD_PROBE", "TENANTD_JAIL"}) {
    std::filesystem::copy_file(std::getenv(name), fixture.directory + "/" + name);
  }
  LaunchRequest request = fixture.request("look");
  const std::string data = request.data_directory;
  constexpr uid_t user = 61'500;
  REQUIRE(::chown(data.c_str(), user, user) == 0);
  request.program_path = fixture.directory + "/TENANTD_PROBE";
  request.jail_path = fixture.directory + "/TENANTD_JAIL";
  const pid_t supervisor = ::fork();
  REQUIRE(supervisor >= 0);
  if (supervisor == 0) {
    if (!drop_supplementary_groups() || ::setresgid(user, user, user) != 0 ||
        ::setresuid(user, user, user) != 0) {
      ::_exit(10);
    }
    // Changing the uid made this copy non-dumpable, and its children's /proc files root's; a real
    // one is executed.
    if (::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0) ::_exit(10);
    const HostCapabilities host = probe_host(nullptr);
    if (host.privileged || host.available.has(Layer::own_uid)) ::_exit(11);
    if (!host.available.has(Layer::user_namespace)) ::_exit(42);
    Launcher launcher(host, nullptr);
    request.tolerated = LayerSet{};
    const auto refused = launcher.launch(request);
    if (refused || refused.error().hint.find("own_uid,cgroup_cpu") == std::string::npos) {
      ::_exit(12);
    }
    request.tolerated = LayerSet::all().without(host.available);
    auto process = launcher.launch(request);
    if (!process) {
      std::fprintf(stderr, "%s\n", process.error().describe().c_str());
      ::_exit(13);
    }
    Outcome outcome = LaunchFixture::finish(*process);
    const bool good = outcome.reported && outcome.exit_code() == 0 && value(outcome, "pid") == 1 &&
                      value(outcome, "shadow") == ENOENT && value(outcome, "data_write") == 0;
    ::_exit(good ? 0 : 14);
  }
  int status = 0;
  REQUIRE(::waitpid(supervisor, &status, 0) == supervisor);
  REQUIRE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 42) {
    MESSAGE("skipped: this host has no unprivileged user namespaces");
    return;
  }
  CHECK(WEXITSTATUS(status) == 0);
}
