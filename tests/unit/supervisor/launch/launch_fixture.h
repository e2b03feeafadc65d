// A launcher, a probe program and a private directory: what every launch test needs.
#pragma once

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <sstream>
#include <string>

#include "cgroup_fixture.h"
#include "shared/contract/link.h"
#include "shared/os/process.h"
#include "shared/os/socket.h"
#include "supervisor/launch/data_directory.h"
#include "supervisor/launch/launcher.h"
#include "supervisor/launch/posture.h"

namespace tenantd {

inline constexpr uid_t first_test_uid = 600'000;

// What a launched program left: lines "name=value", the jail's report, how it ended.
struct Outcome {
  std::map<std::string, long> lines;
  ConfinementReport report;
  bool reported = false;
  int status = 0;
  [[nodiscard]] bool died_of(int signal) const {
    return WIFSIGNALED(status) && WTERMSIG(status) == signal;
  }
  [[nodiscard]] int exit_code() const { return WIFEXITED(status) ? WEXITSTATUS(status) : -1; }
};

class LaunchFixture {
 public:
  LaunchFixture()
      : cgroup_root_(test_cgroup_root()),
        cgroups(make_cgroup_backend(cgroup_root_, cgroup_explanation)),
        host(probe_host(cgroups.get(), cgroup_explanation)),
        uids(first_test_uid, 100, host.privileged) {
    REQUIRE(std::getenv("TENANTD_PROBE") != nullptr);  // set by the build's test definition
    REQUIRE(std::getenv("TENANTD_JAIL") != nullptr);
    std::string pattern = "/tmp/tenantd-launch-XXXXXX";
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    directory = pattern;
    REQUIRE(::chmod(directory.c_str(), 0711) == 0);
    REQUIRE(::mkdir((directory + "/link").c_str(), 0755) == 0);
    REQUIRE(::chmod((directory + "/link").c_str(), 0755) == 0);
    auto made = listen_unix(directory + "/link/supervisor.sock", SocketKind::seqpacket, 8, 0666);
    REQUIRE(made);
    listener = std::move(*made);
  }
  LaunchFixture(const LaunchFixture&) = delete;
  LaunchFixture& operator=(const LaunchFixture&) = delete;
  ~LaunchFixture() {
    cgroups->remove_root();
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
  }

  LaunchRequest request(const std::string& what, std::uint64_t generation = 1) {
    LaunchRequest request;
    const auto tenant = TenantId::parse("acme-corp");
    const auto uid = prepare_data_directory(directory, *tenant, uids);
    REQUIRE_MESSAGE(uid, uid.error().describe());
    (void)request.spec.tenant.tenant_id.assign(what);
    (void)request.spec.hostname.assign("acme-corp");
    request.program_path = std::getenv("TENANTD_PROBE");
    request.jail_path = std::getenv("TENANTD_JAIL");
    request.data_directory = data_directory_path(directory, *tenant);
    request.link_directory = directory + "/link";
    request.uid = *uid;
    request.gid = *uid;
    request.cgroup = CgroupName{*tenant, generation};
    request.limits.memory_max_bytes = 64UL << 20U;
    request.limits.pids_max = 32;
    request.limits.cpu_millicores = 500;
    // Whatever this machine lacks: the tests then check what is left. Tests of refusal say so.
    request.tolerated = LayerSet::all().without(host.available);
    return request;
  }

  // Reads lines until the log's end and reaps the process.
  static Outcome finish(LaunchedProcess& process) {
    Outcome outcome;
    std::string text;
    for (bool open = true; open;) {
      pollfd wait{process.log.get(), POLLIN, 0};
      REQUIRE(::poll(&wait, 1, 30'000) == 1);
      char block[4096];
      const ssize_t size = ::read(process.log.get(), block, sizeof block);
      open = size > 0;
      if (open) text.append(block, static_cast<std::size_t>(size));
    }
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      const std::size_t equals = line.find('=');
      if (equals == std::string::npos) continue;
      outcome.lines[line.substr(0, equals)] = std::atol(line.c_str() + equals + 1);
    }
    REQUIRE(::waitpid(process.pid, &outcome.status, 0) == process.pid);
    take_report(process, outcome);
    return outcome;
  }

  static void take_report(LaunchedProcess& process, Outcome& outcome) {
    std::array<std::byte, sizeof(ConfinementReport) + 1> buffer{};
    const auto message = receive_message(process.link.get(), buffer, false);
    if (!message || message->outcome != IoOutcome::done) return;
    outcome.reported = parse_link_message(std::span(buffer).first(message->size), outcome.report);
  }

  // Launch, run to the end, remove the cgroup.
  Outcome run(LaunchRequest& request) {
    Launcher launcher(host, cgroups.get());
    auto process = launcher.launch(request);
    REQUIRE_MESSAGE(process, process.error().describe());
    Outcome outcome = finish(*process);
    const auto removed = cgroups->remove(request.cgroup);
    CHECK_MESSAGE(removed, removed.error().describe());
    return outcome;
  }
  Outcome run(const std::string& what) {
    LaunchRequest wanted = request(what);
    return run(wanted);
  }

 private:
  std::string cgroup_root_;

 public:
  std::string cgroup_explanation;
  std::unique_ptr<CgroupBackend> cgroups;
  HostCapabilities host;
  UidAllocator uids;
  std::string directory;
  UniqueFd listener;
};

}  // namespace tenantd
