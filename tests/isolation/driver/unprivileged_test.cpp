// The whole confinement where the supervisor is no more than a user: user namespaces, no control
// groups, one uid for all tenants.
#include <doctest/doctest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "supervisor/launch/clone_child.h"
#include "supervisor/launch/host.h"
#include "tests/isolation/driver/attempts.h"
#include "tests/isolation/driver/options.h"
#include "tests/isolation/driver/sandbox.h"

using namespace tenantd;

namespace {

constexpr uid_t user = 61'500;

// Attempts whose target only root can make: nothing is there.
bool lacks_target(const AttemptRow& row) { return row.name == "devices.open_node_in_data"; }

bool is_tried(const AttemptRow& row) { return !row.quota && !lacks_target(row); }

// One line an attempt that does not end as the table says, then how many were tried.
std::string unexpected_verdicts(Sandbox& sandbox) {
  std::string lines;
  int tried = 0;
  for (const AttemptRow& row : attempt_rows()) {
    if (!is_tried(row)) continue;
    ++tried;
    Trial trial;
    trial.attempt = row.name;
    trial.layers = sandbox.available();
    trial.at_start = row.at_start;
    trial.shipped_jail = true;
    const std::string verdict = sandbox.run(trial);
    if (verdict == row.expected || verdict == not_tried) continue;
    lines.append(row.name).append(": expected ").append(row.expected);
    lines.append(", is ").append(verdict).append("\n");
  }
  return lines + std::to_string(tried) + " tried\n";
}

// In a copy of this process that has become a user.
std::string verdicts_of_user_in_child() {
  if (!drop_supplementary_groups() || ::setresgid(user, user, user) != 0 ||
      ::setresuid(user, user, user) != 0) {
    return "cannot become a user\n";
  }
  // Changing the uid made this copy non-dumpable, and its children's /proc files root's; a real
  // supervisor is executed.
  if (::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0) return "cannot be dumpable\n";
  try {
    Sandbox sandbox;
    if (!sandbox.available().has(Layer::user_namespace)) return "no user namespaces\n";
    return unexpected_verdicts(sandbox);
  } catch (const std::exception& thrown) {
    return std::string("thrown: ") + thrown.what() + "\n";
  } catch (...) {
    return "a requirement failed\n";
  }
}

// Where any user can execute it: the build may be root's alone.
class PublicPrograms {
 public:
  PublicPrograms() : before_(isolation_options()) {
    std::string pattern = "/tmp/tenantd-probes-XXXXXX";
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    directory_ = pattern;
    std::filesystem::permissions(directory_, std::filesystem::perms(0755));
    for (const auto& entry : std::filesystem::directory_iterator(before_.probes)) {
      const std::string name = entry.path().filename();
      if (!entry.is_regular_file() || !name.starts_with("probe_")) continue;
      std::filesystem::copy_file(entry.path(), directory_ + "/" + name);
    }
    std::filesystem::copy_file(before_.jail, directory_ + "/jail");
    IsolationOptions moved = before_;
    moved.probes = directory_;
    moved.jail = directory_ + "/jail";
    set_isolation_options(moved);
  }
  PublicPrograms(const PublicPrograms&) = delete;
  PublicPrograms& operator=(const PublicPrograms&) = delete;
  ~PublicPrograms() {
    set_isolation_options(before_);
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

 private:
  IsolationOptions before_;
  std::string directory_;
};

std::string verdicts_of_user() {
  const PublicPrograms programs;
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const std::string lines = verdicts_of_user_in_child();
    (void)!::write(ends[1], lines.data(), lines.size());
    ::_exit(0);
  }
  (void)::close(ends[1]);
  std::string lines;
  char block[4096];
  for (ssize_t size = 0; (size = ::read(ends[0], block, sizeof block)) > 0;) {
    lines.append(block, static_cast<std::size_t>(size));
  }
  (void)::close(ends[0]);
  (void)reap_child(child);
  return lines;
}

}  // namespace

TEST_CASE("an unprivileged supervisor's programs are stopped as well, by what it has") {
  std::string lines;
  if (::geteuid() == 0) {
    lines = verdicts_of_user();
  } else {
    Sandbox sandbox;
    lines = sandbox.available().has(Layer::user_namespace) ? unexpected_verdicts(sandbox)
                                                           : "no user namespaces\n";
  }
  if (lines == "no user namespaces\n") {
    MESSAGE("skipped: this host has no unprivileged user namespaces");
    return;
  }
  const auto rows = attempt_rows();
  const auto wanted = std::count_if(rows.begin(), rows.end(), is_tried);
  CHECK(lines == std::to_string(wanted) + " tried\n");
}
