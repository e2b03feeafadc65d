// libcgroup 2.0.2 behind the writer's interface.
//
// Runs in: the supervisor. Its traps, each avoided here: get-then-modify rewrites every value (only
// fresh structs are handed over); a struct holds one value a file, so that the second device of an
// I/O limit takes another round; a null group or an empty name crashes or means the root (never
// passed).
#include <libcgroup.h>

#include <algorithm>
#include <cerrno>

#include "supervisor/launch/cgroup_writer.h"

namespace tenantd {
namespace {

struct FreeCgroup {
  void operator()(cgroup* group) const noexcept { cgroup_free(&group); }
};
using CgroupPointer = std::unique_ptr<cgroup, FreeCgroup>;

Status out_of_memory() { return fail(ErrorCode::internal, "libcgroup: out of memory"); }

Status fail_libcgroup(const std::string& what, int code) {
  const int saved_errno = code == ECGOTHER ? cgroup_get_last_errno() : 0;
  auto error = fail(ErrorCode::internal, what + ": " + cgroup_strerror(code));
  error.value().os_errno = saved_errno;
  if (saved_errno == EBUSY) error.value().code = ErrorCode::resource_exhausted;
  return error;
}

// Values in their order, as many lists as a file occurs at most.
std::vector<std::vector<CgroupValue>> rounds_of(const std::vector<CgroupValue>& values) {
  std::vector<std::vector<CgroupValue>> rounds(1);
  for (const CgroupValue& value : values) {
    const bool taken =
        std::any_of(rounds.back().begin(), rounds.back().end(),
                    [&value](const CgroupValue& other) { return other.file == value.file; });
    if (taken) rounds.emplace_back();
    rounds.back().push_back(value);
  }
  return rounds;
}

Status add_values(cgroup* group, const std::vector<CgroupValue>& values) {
  for (const CgroupValue& value : values) {
    cgroup_controller* controller = cgroup_get_controller(group, value.controller.c_str());
    if (controller == nullptr) controller = cgroup_add_controller(group, value.controller.c_str());
    if (controller == nullptr) return out_of_memory();
    const int code = cgroup_add_value_string(controller, value.file.c_str(), value.value.c_str());
    if (code != 0) return fail_libcgroup("libcgroup value " + value.file, code);
  }
  return {};
}

class LibcgroupWriter final : public CgroupWriter {
 public:
  explicit LibcgroupWriter(std::vector<std::string> controllers)
      : controllers_(std::move(controllers)) {}

  Status make_group(const std::string& path, const std::vector<CgroupValue>& values) override {
    const CgroupPointer group(cgroup_new_cgroup(path.c_str()));
    if (!group) return out_of_memory();
    for (const std::string& controller : controllers_) {
      if (cgroup_add_controller(group.get(), controller.c_str()) == nullptr) return out_of_memory();
    }
    const int code = cgroup_create_cgroup(group.get(), 1);
    if (code != 0) return fail_libcgroup("create cgroup " + path, code);
    return write_values(path, values);
  }

  Status write_values(const std::string& path, const std::vector<CgroupValue>& values) override {
    if (values.empty()) return {};
    for (const std::vector<CgroupValue>& round : rounds_of(values)) {
      const CgroupPointer group(cgroup_new_cgroup(path.c_str()));
      if (!group) return out_of_memory();
      if (auto added = add_values(group.get(), round); !added) return added;
      const int code = cgroup_modify_cgroup(group.get());
      if (code != 0) return fail_libcgroup("set values of cgroup " + path, code);
    }
    return {};
  }

  std::string name() const override { return "libcgroup"; }

 private:
  std::vector<std::string> controllers_;
};

}  // namespace

std::unique_ptr<CgroupWriter> make_libcgroup_writer(std::vector<std::string> controllers) {
  return std::make_unique<LibcgroupWriter>(std::move(controllers));
}

}  // namespace tenantd
