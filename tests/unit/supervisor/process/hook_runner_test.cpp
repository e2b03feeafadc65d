// Hooks as real programs, with bounds that a test can wait for.
#include "supervisor/process/hook_runner.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>

using namespace tenantd;
namespace fs = std::filesystem;

namespace {

class Hooks {
 public:
  Hooks() {
    std::string name = (fs::temp_directory_path() / "tenantd-hooks-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    directory_ = name;
  }
  ~Hooks() {
    runner_.reset();
    std::error_code ignored;
    fs::remove_all(directory_, ignored);
  }
  Hooks(const Hooks&) = delete;
  Hooks& operator=(const Hooks&) = delete;

  void limit(const HookLimits& limits) {
    runner_.emplace(loop_, limits,
                    [this](bool problem, const std::string& message, std::string_view tenant) {
                      notes.push_back((problem ? "! " : "") + std::string(tenant) + ": " + message);
                    });
  }
  HookRunner& runner() { return *runner_; }

  [[nodiscard]] std::string script(const std::string& body) {
    const fs::path path = directory_ / ("hook" + std::to_string(++scripts_));
    std::ofstream(path) << "#!/bin/sh\ncd " << directory_.string() << "\n" << body;
    REQUIRE(::chmod(path.c_str(), 0700) == 0);
    return path.string();
  }
  [[nodiscard]] std::string text_of(const std::string& name) const {
    std::ifstream file(directory_ / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  // The loop's turns until `reached`; the deadline only ends a test that fails.
  template <class Condition>
  void until(Condition reached) {
    Timer deadline(loop_);
    bool late = false;
    deadline.start(20'000, [&late] { late = true; });
    Timer turn(loop_);  // a file, or a process that is nobody's child, wakes no loop
    turn.start(
        1, [] {}, 1);
    while (!reached() && !late) uv_run(loop_.raw(), UV_RUN_ONCE);
    REQUIRE_FALSE(late);
  }
  void make(const std::string& name) const { std::ofstream(directory_ / name) << '\n'; }
  [[nodiscard]] bool has(const std::string& name) const { return fs::exists(directory_ / name); }
  void until_idle() {
    until([this] { return runner_->idle(); });
  }
  [[nodiscard]] std::ptrdiff_t count(const std::string& part) const {
    return std::count_if(notes.begin(), notes.end(), [&part](const std::string& note) {
      return note.find(part) != std::string::npos;
    });
  }

  std::vector<std::string> notes;

 private:
  Loop loop_;
  fs::path directory_;
  int scripts_ = 0;
  std::optional<HookRunner> runner_;
};

HookCall call(const std::string& program, const std::string& tenant = "acme") {
  return {program, "on_start", tenant, 7, {"one", "two words"}};
}

bool is_gone(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(status)), {});
  const std::size_t end = text.rfind(')');
  return end == std::string::npos || text.substr(end, 4).find('Z') != std::string::npos;
}

}  // namespace

TEST_CASE("a hook gets its arguments and an environment of tenantd's making, and no input") {
  Hooks hooks;
  hooks.limit({});
  REQUIRE(::setenv("TENANTD_TEST_SECRET", "secret", 1) == 0);
  hooks.runner().run(
      call(hooks.script("echo \"$1|$2|$3|$#\" >arguments\n/usr/bin/env | "
                        "/usr/bin/sort >environment\n/bin/cat >input\n")));
  hooks.until_idle();
  ::unsetenv("TENANTD_TEST_SECRET");
  CHECK(hooks.text_of("arguments") == "acme|one|two words|3\n");
  const std::string environment = hooks.text_of("environment");
  for (const char* part : {"TENANTD_TENANT=acme\n", "TENANTD_EVENT=on_start\n", "PATH=/usr/local/",
                           "TENANTD_GENERATION=7\n"}) {
    CHECK(environment.find(part) != std::string::npos);
  }
  CHECK(environment.find("SECRET") == std::string::npos);
  CHECK(hooks.has("input"));
  CHECK(hooks.text_of("input").empty());
  CHECK(hooks.notes == std::vector<std::string>{"acme: on_start was run"});
}

TEST_CASE("a hook that hangs is killed with its children when its time is over") {
  Hooks hooks;
  HookLimits limits;
  CHECK(limits.timeout_ms == 30'000);  // what the daemon has, which no test waits for
  limits.timeout_ms = 300;
  hooks.limit(limits);
  // The child is known before the hook says so; both ignore what can be ignored.
  hooks.runner().run(
      call(hooks.script("trap '' TERM HUP INT\n(trap '' TERM HUP INT; exec sleep 600) &\n"
                        "echo $$ $! >pids\necho hangs\nwait\n")));
  hooks.until_idle();
  std::istringstream pids(hooks.text_of("pids"));
  pid_t hook = 0;
  pid_t child = 0;
  REQUIRE(static_cast<bool>(pids >> hook >> child));
  CHECK(::kill(hook, 0) != 0);  // reaped
  hooks.until([child] { return is_gone(child); });
  CHECK(hooks.count("! acme: on_start was killed: it took too long") == 1);
  CHECK(hooks.count("was run") == 0);
}

TEST_CASE("how a hook fails is told") {
  Hooks hooks;
  hooks.limit({});
  hooks.runner().run(call(hooks.script("exit 3\n"), "a"));
  hooks.runner().run(call(hooks.script("kill -9 $$\n"), "b"));
  hooks.runner().run(call("/nonexistent/program", "c"));
  const std::string writable = hooks.script("exit 0\n");
  REQUIRE(::chmod(writable.c_str(), 0722) == 0);
  hooks.runner().run(call(writable, "d"));
  hooks.until_idle();
  CHECK(hooks.count("! a: on_start: exit code 3") == 1);
  CHECK(hooks.count("! b: on_start: signal 9") == 1);
  CHECK(hooks.count("! c: on_start was not run: ") == 1);
  CHECK(hooks.count("! d: on_start was not run: ") == 1);
}

TEST_CASE("no more wait than may, of one tenant and of all, and who is refused is told") {
  Hooks hooks;
  hooks.limit({.max_running = 2, .max_waiting = 5, .max_waiting_per_tenant = 3});
  const std::string gated = hooks.script("while [ ! -e go ]; do sleep 0.01; done\n");
  for (int i = 0; i < 10; ++i) hooks.runner().run(call(gated, "acme"));
  // One runs, three wait.
  CHECK(hooks.count("! acme: on_start was not run: too many wait") == 6);
  for (int i = 0; i < 10; ++i) hooks.runner().run(call(gated, "t" + std::to_string(i)));
  // t0 runs besides, two more wait.
  CHECK(hooks.count("too many wait") == 6 + 7);
  hooks.make("go");
  hooks.until_idle();
  CHECK(hooks.count("was run") == 1 + 3 + 1 + 2);
}

TEST_CASE("one at a time of a tenant, in the order of the calls, and others beside it") {
  Hooks hooks;
  hooks.limit({.max_running = 4, .max_waiting = 64, .max_waiting_per_tenant = 64});
  const std::string counted = hooks.script(
      "mkdir busy-$1 || echo overlap >>overlaps\necho \"$1 $2\" >>order-$1\nrmdir busy-$1\n");
  for (int i = 0; i < 8; ++i) {
    for (const char* tenant : {"acme", "globex"}) {
      hooks.runner().run({counted, "on_start", tenant, 1, {std::to_string(i)}});
    }
  }
  hooks.until_idle();
  CHECK(hooks.text_of("overlaps").empty());
  for (const std::string tenant : {"acme", "globex"}) {
    std::string expected;
    for (int i = 0; i < 8; ++i) expected += tenant + ' ' + std::to_string(i) + '\n';
    CHECK(hooks.text_of("order-" + tenant) == expected);
  }
}

TEST_CASE("what a hook prints is bounded, by lines and by their length") {
  Hooks hooks;
  hooks.limit({});
  hooks.runner().run(
      call(hooks.script("head -c 100000 /dev/zero | tr '\\0' x\necho\n"
                        "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); "
                        "done\n")));
  hooks.until_idle();
  CHECK(hooks.count("was run") == 1);
  CHECK(hooks.count("says: line") >= 1);
  // Ten a second, with a burst; a slow machine has some seconds.
  CHECK(hooks.notes.size() < 1000);
  for (const std::string& note : hooks.notes) CHECK(note.size() < 10'000);
}

TEST_CASE("a stop kills what runs and forgets what waits") {
  Hooks hooks;
  hooks.limit({});
  hooks.runner().run(call(hooks.script("echo $$ >pid.new\nmv pid.new pid\nexec sleep 600\n")));
  hooks.runner().run(call(hooks.script("touch second\n"), "globex"));
  hooks.until([&hooks] { return !hooks.text_of("pid").empty(); });
  const pid_t pid = std::stoi(hooks.text_of("pid"));
  hooks.runner().stop();
  CHECK(hooks.runner().idle());
  CHECK(::kill(pid, 0) != 0);
  hooks.runner().run(call(hooks.script("touch third\n")));
  CHECK(hooks.runner().idle());
  CHECK_FALSE(hooks.has("second"));
  CHECK_FALSE(hooks.has("third"));
}
