// Plain writes, and the choice between them and libcgroup.
#include "supervisor/launch/cgroup_writer.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "shared/os/process.h"

namespace tenantd {
namespace {

class DirectWriter final : public CgroupWriter {
 public:
  DirectWriter(std::string mount, std::string why)
      : mount_(std::move(mount)), why_(std::move(why)) {}

  Status make_group(const std::string& path, const std::vector<CgroupValue>& values) override {
    const std::string directory = mount_ + "/" + path;
    if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) {
      return fail_errno("mkdir " + directory, errno);
    }
    return write_values(path, values);
  }

  Status write_values(const std::string& path, const std::vector<CgroupValue>& values) override {
    for (const CgroupValue& value : values) {
      auto written = write_existing_file(mount_ + "/" + path + "/" + value.file, value.value);
      if (!written) return written;
    }
    return {};
  }

  std::string name() const override { return "direct writes: " + why_; }

 private:
  std::string mount_;
  std::string why_;
};

}  // namespace

std::unique_ptr<CgroupWriter> make_direct_writer(std::string mount, std::string why) {
  return std::make_unique<DirectWriter>(std::move(mount), std::move(why));
}

std::string libcgroup_obstacle(const std::string& mount, const std::string& root,
                               const std::vector<std::string>& controllers) {
  if (::geteuid() != 0) return "unprivileged";
  // From the mount point down to our root's parent; the root itself is ours.
  for (std::size_t end = 0; end != std::string::npos; end = root.find('/', end + 1)) {
    const std::string ancestor = root.substr(0, end);
    const std::string enabled =
        read_small_file(mount + "/" + ancestor + "/cgroup.subtree_control").value_or("");
    for (const std::string& controller : controllers) {
      if (has_word(enabled, controller)) continue;
      return "it would enable " + controller + " in /" + ancestor;
    }
  }
  return {};
}

}  // namespace tenantd
