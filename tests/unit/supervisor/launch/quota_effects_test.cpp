// What quotas do to a tenant that wants more: measured on programs that the production launcher
// started, against what the kernel counted, so that a busy machine changes nothing.
#include <sched.h>
#include <sys/sysmacros.h>

#include "launch_fixture.h"

using namespace tenantd;

namespace {

constexpr double quota_tolerance = 0.03;
constexpr double ratio_tolerance = 0.15;

// Whether what a test needs is missing; says so.
bool lacks(const LaunchFixture& fixture, Layer layer) {
  if (fixture.host.available.has(layer)) return false;
  MESSAGE("skipped: no ", layer_names[static_cast<std::size_t>(layer)], " here: ",
          fixture.cgroup_explanation.empty() ? "the controller is not available"
                                             : fixture.cgroup_explanation);
  return true;
}

// A tenant that runs the load program until the end of the test.
class Load {
 public:
  Load(LaunchFixture& fixture, const std::string& tenant, const std::string& what,
       const std::function<void(ResourceLimits&)>& limit)
      : fixture_(fixture), request_(fixture.request(what)) {
    REQUIRE(std::getenv("TENANTD_LOAD") != nullptr);  // set by the build's test definition
    const auto id = TenantId::parse(tenant);
    const auto uid = prepare_data_directory(fixture.directory, *id, fixture.uids);
    REQUIRE(uid);
    request_.program_path = std::getenv("TENANTD_LOAD");
    request_.data_directory = data_directory_path(fixture.directory, *id);
    request_.uid = request_.gid = *uid;
    request_.cgroup = CgroupName{*id, 1};
    limit(request_.limits);
    Launcher launcher(fixture.host, fixture.cgroups.get());
    auto started = launcher.launch(request_);
    REQUIRE_MESSAGE(started, started.error().describe());
    process_ = std::move(*started);
  }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;
  ~Load() {
    if (process_.pid != 0) (void)end();
    CHECK(fixture_.cgroups->remove(request_.cgroup));
  }

  // Kills it, or hears how it died.
  Outcome end(bool by_us = true) {
    if (by_us) (void)signal_pidfd(process_.pidfd.get(), SIGKILL);
    Outcome outcome = LaunchFixture::finish(process_);
    process_.pid = 0;
    return outcome;
  }
  void await_output() const {
    pollfd wait{process_.log.get(), POLLIN, 0};
    REQUIRE(::poll(&wait, 1, 20'000) == 1);
  }
  [[nodiscard]] CgroupUsage usage() const {
    return fixture_.cgroups->usage(request_.cgroup).value_or(CgroupUsage{});
  }
  [[nodiscard]] bool alive() const { return ::kill(process_.pid, 0) == 0; }
  [[nodiscard]] pid_t pid() const { return process_.pid; }
  [[nodiscard]] std::string group() const {
    return fixture_.cgroups->root_directory() + "/" + tenant_path(request_.cgroup);
  }

 private:
  LaunchFixture& fixture_;
  LaunchRequest request_;
  LaunchedProcess process_;
};

void wait_for(const std::function<bool()>& condition, const std::string& what) {
  for (int i = 0; i < 2000; ++i) {
    if (condition()) return;
    (void)::poll(nullptr, 0, 10);
  }
  FAIL("not within 20 s: ", what);
}

double seconds_now() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

std::uint64_t io_bytes(const Load& load, const std::string& device, const std::string& key) {
  std::istringstream lines(read_small_file(load.group() + "/io.stat").value_or(""));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t at = line.find(" " + key + "=");
    if (line.starts_with(device + " ") && at != std::string::npos) {
      return std::strtoull(line.c_str() + at + key.size() + 2, nullptr, 10);
    }
  }
  return 0;
}

}  // namespace

TEST_CASE("a burner at 20 % gets 20 % of each period") {
  LaunchFixture fixture;
  if (lacks(fixture, Layer::cgroup_cpu)) return;
  const Load burner(fixture, "burner", "burn",
                    [](ResourceLimits& limits) { limits.cpu_millicores = 200; });
  wait_for([&] { return burner.usage().throttled_periods > 0; }, "the first throttled period");
  const CgroupUsage before = burner.usage();
  const double start = seconds_now();
  wait_for([&] { return burner.usage().periods >= before.periods + 22; }, "22 periods");
  const CgroupUsage after = burner.usage();
  const double wall_us = (seconds_now() - start) * 1e6;
  const auto periods = static_cast<double>(after.periods - before.periods);
  const auto throttled = static_cast<double>(after.throttled_periods - before.throttled_periods);
  const auto used_us = static_cast<double>(after.cpu_us - before.cpu_us);
  const double of_periods = used_us / (periods * ResourceLimits::cpu_period_us);
  MESSAGE("20 % quota: ", of_periods * 100, " % of ", periods, " periods, ",
          used_us / wall_us * 100, " % of the time; throttled in ", throttled, " of them");
  CHECK(after.throttled_us > before.throttled_us);
  CHECK(of_periods <= 0.20 + quota_tolerance);
  CHECK(used_us / wall_us <= 0.20 + quota_tolerance);
  // Where the machine had no CPU left for it, a period ends without the quota used up.
  if (throttled >= periods) CHECK(of_periods >= 0.20 - quota_tolerance);
}

TEST_CASE("a hog past its memory dies alone, with its peak known") {
  LaunchFixture fixture;
  if (lacks(fixture, Layer::cgroup_memory)) return;
  const Load sibling(fixture, "sibling", "idle", [](ResourceLimits&) {});
  constexpr std::uint64_t limit_bytes = 48UL << 20U;
  Load hog(fixture, "hog", "hog",
           [](ResourceLimits& limits) { limits.memory_max_bytes = limit_bytes; });
  CHECK(hog.end(false).died_of(SIGKILL));
  const CgroupUsage usage = hog.usage();
  MESSAGE("48 MiB limit: peak ", usage.memory_peak_bytes >> 10U, " KiB");
  CHECK(usage.oom_kills >= 1);
  CHECK(usage.memory_peak_bytes <= limit_bytes);
  CHECK(usage.memory_peak_bytes > limit_bytes / 10 * 9);
  CHECK(sibling.alive());
  CHECK(sibling.usage().oom_kills == 0);
}

TEST_CASE("a bomb of threads stops at pids_max") {
  LaunchFixture fixture;
  if (lacks(fixture, Layer::cgroup_pids)) return;
  Load bomb(fixture, "bomb", "threads", [](ResourceLimits& limits) { limits.pids_max = 16; });
  const Load sibling(fixture, "sibling", "idle", [](ResourceLimits&) {});
  wait_for([&] { return bomb.usage().pids == 16; }, "as many threads as are allowed");
  // The kernel has refused one more, and counted that.
  const std::string events = fixture.cgroups->mode() == CgroupMode::v2
                                 ? bomb.group() + "/pids.events"
                                 : read_cgroup_mounts()->v1.at("pids") + "/" + test_cgroup_root() +
                                       "/tenants/bomb/g1/pids.events";
  const auto refused = [&] {
    return read_cgroup_number(events, "max") > 0 ||
           read_cgroup_number(bomb.group() + "/g1/pids.events", "max") > 0;
  };
  wait_for(refused, "a refused thread");
  CHECK(bomb.usage().pids == 16);
  bomb.await_output();
  CHECK(bomb.end().lines.at("threads") == 16);  // and EAGAIN for the next
  CHECK(sibling.alive());
}

TEST_CASE("two burners share an overloaded CPU in the ratio of their weights") {
  LaunchFixture fixture;
  if (lacks(fixture, Layer::cgroup_cpu)) return;
  const auto weigh = [](std::uint32_t weight) {
    return [weight](ResourceLimits& limits) {
      limits.cpu_millicores = 0;
      limits.cpu_weight = weight;
    };
  };
  const Load light(fixture, "light", "burn", weigh(100));
  const Load heavy(fixture, "heavy", "burn", weigh(300));
  cpu_set_t allowed;
  REQUIRE(::sched_getaffinity(0, sizeof allowed, &allowed) == 0);
  int cpu = CPU_SETSIZE - 1;
  while (!CPU_ISSET(cpu, &allowed)) --cpu;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  for (const pid_t pid : {light.pid(), heavy.pid()}) {
    if (::sched_setaffinity(pid, sizeof one, &one) != 0) {
      MESSAGE("skipped: another user's process cannot be bound to a CPU here");
      return;
    }
  }
  const auto burning = [](const Load& load) {
    return [&load, from = load.usage().cpu_us] { return load.usage().cpu_us > from + 100'000; };
  };
  wait_for(burning(light), "the light one burns");
  wait_for(burning(heavy), "the heavy one burns");
  const std::uint64_t light_before = light.usage().cpu_us;
  const std::uint64_t heavy_before = heavy.usage().cpu_us;
  wait_for(
      [&] {
        return light.usage().cpu_us + heavy.usage().cpu_us >
               light_before + heavy_before + 2'000'000;
      },
      "two seconds of CPU");
  const auto of_light = static_cast<double>(light.usage().cpu_us - light_before);
  const auto of_heavy = static_cast<double>(heavy.usage().cpu_us - heavy_before);
  MESSAGE("weights 100 : 300 gave 1 : ", of_heavy / of_light);
  CHECK(of_heavy / of_light > 3 * (1 - ratio_tolerance));
  CHECK(of_heavy / of_light < 3 * (1 + ratio_tolerance));
}

TEST_CASE("v2: reads and writes of a device stay within their bytes a second") {
  LaunchFixture fixture;
  if (lacks(fixture, Layer::cgroup_io)) return;
  if (fixture.cgroups->mode() != CgroupMode::v2) {
    MESSAGE("skipped: I/O limits on cgroup v1 are only written, not measured");
    return;
  }
  struct stat info {};
  REQUIRE(::stat(fixture.directory.c_str(), &info) == 0);
  if (major(info.st_dev) == 0) {
    MESSAGE("skipped: the temporary directory is on no block device");
    return;
  }
  constexpr std::uint64_t read_bps = 4U << 20U;
  constexpr std::uint64_t write_bps = 2U << 20U;
  const Load mover(fixture, "mover", "io", [&](ResourceLimits& limits) {
    limits.io_count = 1;
    limits.io[0].major = major(info.st_dev);
    limits.io[0].minor = minor(info.st_dev);
    limits.io[0].read_bps = read_bps;
    limits.io[0].write_bps = write_bps;
  });
  const std::string device =
      std::to_string(major(info.st_dev)) + ":" + std::to_string(minor(info.st_dev));
  // Past the first turn of the file, so that there is something to read.
  wait_for([&] { return io_bytes(mover, device, "wbytes") > (5U << 20U); }, "5 MiB written");
  const std::uint64_t read_before = io_bytes(mover, device, "rbytes");
  const std::uint64_t written_before = io_bytes(mover, device, "wbytes");
  const double start = seconds_now();
  wait_for([&] { return io_bytes(mover, device, "wbytes") > written_before + 2 * write_bps; },
           "two seconds' writes");
  const double wall_s = seconds_now() - start;
  const double read_rate =
      static_cast<double>(io_bytes(mover, device, "rbytes") - read_before) / wall_s;
  const double write_rate =
      static_cast<double>(io_bytes(mover, device, "wbytes") - written_before) / wall_s;
  MESSAGE("limits 4 and 2 MiB/s: read ", read_rate / (1U << 20U), ", written ",
          write_rate / (1U << 20U), " MiB/s");
  CHECK(read_rate <= static_cast<double>(read_bps) * (1 + ratio_tolerance));
  CHECK(write_rate <= static_cast<double>(write_bps) * (1 + ratio_tolerance));
  CHECK(read_rate > 0);
}
