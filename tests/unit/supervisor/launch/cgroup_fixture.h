// A cgroup backend below a root of the test's own, on whatever this machine has.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>

#include "shared/os/process.h"
#include "supervisor/launch/cgroup_files.h"

namespace tenantd {

// TENANTD_CGROUP_PARENT names a delegated group without processes, below which tests make theirs;
// without it they make them at the top.
inline std::string test_cgroup_root(const std::string& suffix = {}) {
  const char* const parent = std::getenv("TENANTD_CGROUP_PARENT");
  const std::string name = "tenantd-test-" + std::to_string(::getpid()) + suffix;
  return parent == nullptr ? name : std::string(parent) + "/" + name;
}

// A child that runs `body` in this process's image and is killed at the end.
class Child {
 public:
  explicit Child(const std::function<void()>& body) : pid_(::fork()) {
    REQUIRE(pid_ >= 0);
    if (pid_ != 0) return;
    body();
    for (;;) ::pause();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { end(); }
  // Its wait status, once it has ended by itself.
  int wait() {
    if (pid_ > 0) (void)::waitpid(pid_, &status_, 0);
    pid_ = 0;
    return status_;
  }
  int end() {
    if (pid_ > 0) (void)::kill(pid_, SIGKILL);
    return wait();
  }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
  int status_ = 0;
};

class CgroupFixture {
 public:
  CgroupFixture() : root(test_cgroup_root()), backend(make_cgroup_backend(root, explanation)) {
    if (const auto found = read_cgroup_mounts()) mounts = *found;
  }
  CgroupFixture(const CgroupFixture&) = delete;
  CgroupFixture& operator=(const CgroupFixture&) = delete;
  ~CgroupFixture() { backend->remove_root(); }

  // Whether the test cannot run here; says why.
  [[nodiscard]] bool lacks(Layer layer) const {
    if (backend->layers().has(layer)) return false;
    MESSAGE("skipped: no ", layer_names[static_cast<std::size_t>(layer)],
            " here: ", explanation.empty() ? "the controller is not available" : explanation);
    return true;
  }
  [[nodiscard]] bool is_v2() const { return backend->mode() == CgroupMode::v2; }
  [[nodiscard]] bool lacks_v2() const {
    if (is_v2()) return false;
    MESSAGE("skipped: this machine has no pure cgroup v2");
    return true;
  }

  // Of a controller's hierarchy (v1) or the one (v2).
  [[nodiscard]] std::string group(const std::string& controller, const std::string& path) const {
    const std::string& point = is_v2() ? mounts.v2 : mounts.v1.at(controller);
    return point + "/" + root + "/" + path;
  }
  [[nodiscard]] static std::string content(const std::string& path) {
    std::string text = read_small_file(path).value_or("(unreadable)");
    if (text.ends_with('\n')) text.pop_back();
    return text;
  }
  // A tenant's file.
  [[nodiscard]] std::string value(const std::string& controller, const std::string& file) const {
    return content(group(controller, "tenants/acme-corp/" + file));
  }
  [[nodiscard]] bool anything_left() const {
    if (is_v2()) return !has_no_children(group("", "tenants"));
    for (const auto& [controller, point] : mounts.v1) {
      if (!has_no_children(group(controller, "tenants"))) return true;
    }
    return false;
  }

  CgroupName name{*TenantId::parse("acme-corp"), 1};
  std::string root;
  std::string explanation;
  std::unique_ptr<CgroupBackend> backend;
  CgroupMounts mounts;
};

inline ResourceLimits some_limits() {
  ResourceLimits limits;
  limits.memory_max_bytes = 64UL << 20U;
  limits.memory_high_bytes = 56UL << 20U;
  limits.cpu_millicores = 500;
  limits.cpu_weight = 200;
  limits.pids_max = 32;
  return limits;
}

}  // namespace tenantd
