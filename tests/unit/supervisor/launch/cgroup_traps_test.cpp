// Each trap of control groups and of libcgroup 2.0.2, and that our code does not fall into it. The
// same program runs on v1, hybrid and v2.
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <thread>

#include "cgroup_fixture.h"
#include "supervisor/launch/cgroup_writer.h"

using namespace tenantd;

namespace {

// Reads one byte from a pipe that a child writes to when it is as far as it shall be.
class Signpost {
 public:
  Signpost() { REQUIRE(::pipe2(ends_, O_CLOEXEC) == 0); }
  Signpost(const Signpost&) = delete;
  Signpost& operator=(const Signpost&) = delete;
  ~Signpost() {
    (void)::close(ends_[0]);
    (void)::close(ends_[1]);
  }
  void raise() const { (void)!::write(ends_[1], "x", 1); }
  void await() const {
    pollfd wait{ends_[0], POLLIN, 0};
    char byte = 0;
    REQUIRE(::poll(&wait, 1, 30'000) == 1);
    REQUIRE(::read(ends_[0], &byte, 1) == 1);
  }

 private:
  int ends_[2];
};

void touch_bytes(std::size_t bytes) {
  void* const map =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED) ::_exit(9);
  auto* const block = static_cast<volatile char*>(map);
  for (std::size_t i = 0; i < bytes; i += 4096) block[i] = 1;
}

// Waits for the kernel to have let go of a killed process's group.
bool removed_soon(CgroupFixture& fixture) {
  for (int i = 0; i < 500; ++i) {
    if (fixture.backend->remove(fixture.name)) return true;
    pollfd nothing{-1, 0, 0};
    (void)::poll(&nothing, 1, 10);
  }
  return false;
}

}  // namespace

TEST_CASE("an attach moves a whole process, in every hierarchy") {
  CgroupFixture fixture;
  if (fixture.lacks(Layer::cgroup_memory)) return;
  REQUIRE(fixture.backend->create(fixture.name, some_limits()));
  const Signpost threads_are_there;
  Child child([&] {
    std::thread([&] {
      threads_are_there.raise();
      for (;;) ::pause();
    }).detach();
  });
  threads_are_there.await();
  REQUIRE(fixture.backend->attach(fixture.name, child.pid()));
  std::size_t threads = 0;
  const std::string tasks = "/proc/" + std::to_string(child.pid()) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks)) {
    ++threads;
    const std::string groups = CgroupFixture::content(task.path().string() + "/cgroup");
    const std::string tenants = "/" + fixture.root + "/tenants/acme-corp";
    const std::size_t hierarchies = fixture.is_v2() ? 1 : fixture.mounts.v1.size();
    std::size_t found = 0;
    std::istringstream lines(groups);
    for (std::string line; std::getline(lines, line);) {
      // v1's CPU has no group of the generation: the limit and the process are in one.
      const std::string names = line.substr(line.find(':'), line.rfind(':') - line.find(':'));
      const bool is_cpu = (names + ",").find(":cpu,") != std::string::npos;
      if (line.ends_with(is_cpu ? tenants : tenants + "/g1")) ++found;
    }
    CHECK_MESSAGE(found == hierarchies, groups);
  }
  CHECK(threads == 2);
  (void)child.end();
  CHECK(removed_soon(fixture));
}

TEST_CASE("memory lowered below what is used: a clear error, and the old limits stay") {
  CgroupFixture fixture;
  if (fixture.lacks(Layer::cgroup_memory)) return;
  const ResourceLimits old = some_limits();
  REQUIRE(fixture.backend->create(fixture.name, old));
  const std::string max = fixture.is_v2() ? "memory.max" : "memory.limit_in_bytes";
  const std::string max_before = fixture.value("memory", max);
  const Signpost full;
  Child child([&] {
    if (!fixture.backend->attach(fixture.name, ::getpid())) ::_exit(8);
    touch_bytes(40UL << 20U);
    full.raise();
  });
  full.await();
  ResourceLimits lower = old;
  lower.memory_max_bytes = 24UL << 20U;
  lower.memory_high_bytes = 20UL << 20U;
  lower.cpu_millicores = 250;
  const Status refused = fixture.backend->apply(fixture.name, lower);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::resource_exhausted);
  CHECK(refused.error().message.find("bytes in use") != std::string::npos);
  CHECK(fixture.value("memory", max) == max_before);
  if (fixture.is_v2()) {
    CHECK(fixture.value("memory", "memory.high") == std::to_string(old.memory_high_bytes));
    CHECK(fixture.value("cpu", "cpu.max") == "50000 100000");
  } else {
    CHECK(fixture.value("cpu", "cpu.cfs_quota_us") == "50000");
  }
  CHECK(::kill(child.pid(), 0) == 0);
  // A second generation of the tenant must not do by its start what a change may not.
  CgroupName second = fixture.name;
  second.generation = 2;
  CHECK_FALSE(fixture.backend->create(second, lower));
  CHECK(fixture.value("memory", max) == max_before);
  // Lowering to what is more than used is fine.
  lower.memory_max_bytes = 56UL << 20U;
  lower.memory_high_bytes = 52UL << 20U;
  CHECK(fixture.backend->apply(fixture.name, lower));
  CHECK(fixture.value("memory", max) == std::to_string(lower.memory_max_bytes));
  CHECK(WTERMSIG(child.end()) == SIGKILL);  // by us, and not before
  CHECK(fixture.backend->usage(fixture.name)->oom_kills == 0);
  CHECK(removed_soon(fixture));
}

TEST_CASE("a removal never moves a live process out of its limits") {
  CgroupFixture fixture;
  if (fixture.lacks(Layer::cgroup_pids)) return;
  REQUIRE(fixture.backend->create(fixture.name, some_limits()));
  Child child([] {});
  REQUIRE(fixture.backend->attach(fixture.name, child.pid()));
  const std::string proc = "/proc/" + std::to_string(child.pid()) + "/cgroup";
  const std::string before = CgroupFixture::content(proc);
  const Status refused = fixture.backend->remove(fixture.name);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::unavailable);
  CHECK(CgroupFixture::content(proc) == before);
  CHECK(fixture.backend->processes(fixture.name).value() == std::vector<pid_t>{child.pid()});
  CHECK(fixture.backend->kill(fixture.name));
  (void)child.end();
  CHECK(removed_soon(fixture));
  CHECK_FALSE(fixture.anything_left());
}

TEST_CASE("a group with every controller is removed, and that is a success") {
  CgroupFixture fixture;
  if (fixture.lacks(Layer::cgroup_memory)) return;
  REQUIRE(fixture.backend->create(fixture.name, some_limits()));
  CHECK(fixture.anything_left());
  const Status removed = fixture.backend->remove(fixture.name);
  CHECK_MESSAGE(removed, removed.error().describe());
  CHECK_FALSE(fixture.anything_left());
  CHECK(fixture.backend->remove(fixture.name));  // a missing group is one too
}

TEST_CASE("a create that fails leaves nothing") {
  CgroupFixture fixture;
  if (fixture.lacks(Layer::cgroup_cpu)) return;
  ResourceLimits impossible = some_limits();
  impossible.cpu_weight = 4'000'000;
  impossible.pids_max = 4'000'000'000;  // more than the kernel has pids
  const Status refused = fixture.backend->create(fixture.name, impossible);
  REQUIRE_FALSE(refused);
  CHECK_FALSE(fixture.anything_left());
  // With a generation that lives, the tenant's group stays and the new generation's goes.
  REQUIRE(fixture.backend->create(fixture.name, some_limits()));
  CgroupName second = fixture.name;
  second.generation = 2;
  CHECK_FALSE(fixture.backend->create(second, impossible));
  CHECK(fixture.backend->list()->size() == 1);
  CHECK(fixture.backend->remove(fixture.name));
}

TEST_CASE("hostile names never become paths") {
  for (const char* id :
       {"", ".", "..", "a/../escape", "../x", "/etc", "a/b", "a\nb", "A", "g1/.."}) {
    CAPTURE(id);
    CHECK_FALSE(TenantId::parse(id));
  }
  for (const char* root : {"/", "/x", "x/", "a/../b", "..", ".", "a//b", "../../escape"}) {
    CAPTURE(root);
    std::string explanation;
    const auto backend = make_cgroup_backend(root, explanation);
    CHECK(backend->mode() == CgroupMode::none);
    CHECK_FALSE(explanation.empty());
    CHECK_FALSE(backend->create({*TenantId::parse("acme-corp"), 1}, some_limits()));
  }
}

TEST_CASE("a change writes what it changes and nothing else") {
  CgroupFixture fixture;
  if (fixture.lacks(Layer::cgroup_cpu)) return;
  ResourceLimits limits = some_limits();
  REQUIRE(fixture.backend->create(fixture.name, limits));
  const std::string weight = fixture.is_v2() ? "cpu.weight" : "cpu.shares";
  CHECK(fixture.value("cpu", weight) == (fixture.is_v2() ? "200" : "2048"));
  // Somebody else's value beside ours, and a counter that a rewrite would reset.
  const std::string foreign = fixture.is_v2() ? "memory.low" : "memory.soft_limit_in_bytes";
  REQUIRE(write_existing_file(fixture.group("memory", "tenants/acme-corp/" + foreign), "8388608"));
  Child child([&] {
    if (!fixture.backend->attach(fixture.name, ::getpid())) ::_exit(8);
    touch_bytes(16UL << 20U);
    ::_exit(0);
  });
  CHECK(WEXITSTATUS(child.wait()) == 0);
  const std::uint64_t peak = fixture.backend->usage(fixture.name)->memory_peak_bytes;
  limits.memory_max_bytes *= 2;
  CHECK(fixture.backend->apply(fixture.name, limits));
  CHECK(fixture.value("cpu", weight) == (fixture.is_v2() ? "200" : "2048"));
  CHECK(fixture.value("memory", foreign) == "8388608");
  if (peak != 0) CHECK(fixture.backend->usage(fixture.name)->memory_peak_bytes >= peak);
  CHECK(fixture.backend->usage(fixture.name)->memory_max_bytes == limits.memory_max_bytes);
  CHECK(removed_soon(fixture));
}

TEST_CASE("every limit of I/O devices is written, and lifted when the file no longer names it") {
  CgroupFixture fixture;
  if (fixture.lacks(Layer::cgroup_io)) return;
  ResourceLimits limits = some_limits();
  std::error_code error;
  for (const auto& device : std::filesystem::directory_iterator("/sys/block", error)) {
    if (limits.io_count == 2) break;
    const std::string numbers = CgroupFixture::content(device.path().string() + "/dev");
    IoLimit& io = limits.io[limits.io_count++];
    REQUIRE(std::sscanf(numbers.c_str(), "%u:%u", &io.major, &io.minor) == 2);
    io.write_bps = 4U << 20U;
  }
  if (limits.io_count < 2) {
    MESSAGE("skipped: fewer than two block devices");
    return;
  }
  const Status made = fixture.backend->create(fixture.name, limits);
  REQUIRE_MESSAGE(made, made.error().describe());
  const std::string file = fixture.is_v2() ? "io.max" : "blkio.throttle.write_bps_device";
  const auto named = [&](const IoLimit& io) {
    return fixture.value("blkio", file)
               .find(std::to_string(io.major) + ":" + std::to_string(io.minor) + " ") !=
           std::string::npos;
  };
  CHECK(named(limits.io[0]));
  CHECK(named(limits.io[1]));
  limits.io_count = 1;
  CHECK(fixture.backend->apply(fixture.name, limits));
  CHECK(named(limits.io[0]));
  CHECK_FALSE(named(limits.io[1]));
  limits.io_count = 0;
  CHECK(fixture.backend->apply(fixture.name, limits));
  CHECK_FALSE(named(limits.io[0]));
  CHECK(fixture.backend->remove(fixture.name));
}

TEST_CASE("no ancestor of our root is changed") {
  const auto mounts = read_cgroup_mounts();
  if (!mounts || mounts->v2.empty()) {
    MESSAGE("skipped: no cgroup v2 is mounted");
    return;
  }
  const std::string root = test_cgroup_root();
  const auto controls = [&] {
    std::string text;
    for (std::size_t end = 0; end != std::string::npos; end = root.find('/', end + 1)) {
      text += CgroupFixture::content(mounts->v2 + "/" + root.substr(0, end) +
                                     "/cgroup.subtree_control") +
              "|";
    }
    return text;
  };
  const std::string before = controls();
  {
    CgroupFixture fixture;
    if (fixture.lacks(Layer::cgroup_memory)) return;
    REQUIRE(fixture.backend->create(fixture.name, some_limits()));
    CHECK(controls() == before);
    CHECK(fixture.backend->remove(fixture.name));
  }
  CHECK(controls() == before);
}

TEST_CASE("a group that was never created reads as nothing, and is not made by reading") {
  CgroupFixture fixture;
  if (fixture.lacks(Layer::cgroup_memory)) return;
  const auto usage = fixture.backend->usage(fixture.name);
  REQUIRE(usage);
  CHECK(usage->memory_bytes == 0);
  CHECK(usage->oom_kills == 0);
  CHECK_FALSE(fixture.backend->apply(fixture.name, some_limits()));
  CHECK_FALSE(fixture.anything_left());
}

TEST_CASE("v2: libcgroup and plain writes leave the same values") {
  CgroupFixture fixture;
  if (fixture.lacks_v2() || fixture.lacks(Layer::cgroup_memory)) return;
  const std::string by = fixture.backend->abilities().written_by;
  MESSAGE("values are written by ", by);
  if (::geteuid() == 0) CHECK(by == "libcgroup");
  if (::geteuid() != 0) CHECK(by == "direct writes: unprivileged");
  REQUIRE(fixture.backend->create(fixture.name, some_limits()));
  const std::vector<const char*> files = {"cpu.weight", "cpu.max",  "memory.high",
                                          "memory.max", "pids.max", "memory.oom.group"};
  std::vector<std::string> values;
  for (const char* file : files) values.push_back(fixture.value("", file));
  CHECK(values ==
        std::vector<std::string>{"200", "50000 100000", "58720256", "67108864", "32", "1"});
  const auto direct = make_direct_writer(fixture.mounts.v2, "a test");
  const std::string other = fixture.root + "/tenants/globex";
  REQUIRE(direct->make_group(other, v2_values(some_limits(), fixture.backend->layers())));
  for (std::size_t i = 0; i < files.size(); ++i) {
    CHECK(CgroupFixture::content(fixture.mounts.v2 + "/" + other + "/" + files[i]) == values[i]);
  }
  CHECK(remove_group(fixture.mounts.v2 + "/" + other));
  CHECK(fixture.backend->remove(fixture.name));
}

TEST_CASE("v2: libcgroup is refused where it would enable a controller in an ancestor") {
  CgroupFixture fixture;
  if (fixture.lacks_v2()) return;
  if (::geteuid() != 0) {
    CHECK(libcgroup_obstacle(fixture.mounts.v2, fixture.root, {}) == "unprivileged");
    return;
  }
  CHECK(libcgroup_obstacle(fixture.mounts.v2, fixture.root + "/tenants", {"misc"})
            .starts_with("it would enable misc in /"));
  CHECK(libcgroup_obstacle(fixture.mounts.v2, fixture.root, {}).empty());
}

TEST_CASE("v2: memory.oom.group takes the whole group, cgroup.kill too") {
  CgroupFixture fixture;
  if (fixture.lacks_v2() || fixture.lacks(Layer::cgroup_memory)) return;
  REQUIRE(fixture.backend->create(fixture.name, some_limits()));
  const auto join = [&] {
    if (!fixture.backend->attach(fixture.name, ::getpid())) ::_exit(8);
  };
  const Signpost inside;
  Child bystander([&] {
    join();
    inside.raise();
  });
  inside.await();
  Child hog([&] {
    join();
    touch_bytes(128UL << 20U);
    ::_exit(7);
  });
  CHECK(WIFSIGNALED(hog.wait()));
  CHECK(WIFSIGNALED(bystander.wait()));
  CHECK(fixture.backend->usage(fixture.name)->oom_kills >= 2);
  Child other([&] {
    join();
    inside.raise();
  });
  inside.await();
  CHECK(fixture.backend->kill(fixture.name));
  CHECK(WIFSIGNALED(other.wait()));
  CHECK(removed_soon(fixture));
}

TEST_CASE("v2: memory.high slows and is counted before memory.max kills") {
  CgroupFixture fixture;
  if (fixture.lacks_v2() || fixture.lacks(Layer::cgroup_memory)) return;
  ResourceLimits limits = some_limits();
  limits.memory_high_bytes = 16UL << 20U;
  REQUIRE(fixture.backend->create(fixture.name, limits));
  const Signpost full;
  Child child([&] {
    if (!fixture.backend->attach(fixture.name, ::getpid())) ::_exit(8);
    touch_bytes(18UL << 20U);
    full.raise();
  });
  full.await();
  const auto usage = fixture.backend->usage(fixture.name);
  CHECK(usage->memory_high_events > 0);
  CHECK(usage->oom_kills == 0);
  CHECK(usage->memory_pressure.has_value());
  CHECK(usage->cpu_pressure.has_value());
  (void)child.end();
  CHECK(removed_soon(fixture));
}
