#include "supervisor/launch/cgroup_files.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "shared/os/process.h"

namespace tenantd {
namespace {

void list_of(const std::string& directory, std::optional<TenantId> tenant, bool probe,
             std::vector<CgroupName>& out) {
  for (const std::string& name : list_subdirectories(directory)) {
    std::uint64_t generation = 0;
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + 1, end, generation);
    if (name.size() > 1 && name[0] == 'g' && parsed.ec == std::errc{} && parsed.ptr == end) {
      out.push_back(CgroupName{tenant, generation, probe});
    }
  }
}

}  // namespace

std::vector<std::string> list_subdirectories(const std::string& path) {
  std::vector<std::string> names;
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return names;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string name(entry->d_name);
    if (entry->d_type == DT_DIR && name != "." && name != "..") names.push_back(name);
  }
  (void)::closedir(directory);
  return names;
}

Status make_group_directory(const std::string& directory) {
  if (::mkdir(directory.c_str(), 0755) == 0 || errno == EEXIST) return {};
  return fail_errno("mkdir " + directory, errno);
}

CgroupMode CgroupMounts::mode() const {
  if (v1.empty()) return v2.empty() ? CgroupMode::none : CgroupMode::v2;
  return v2.empty() ? CgroupMode::v1 : CgroupMode::hybrid;
}

Result<CgroupMounts> read_cgroup_mounts() {
  const auto text = read_small_file("/proc/self/mountinfo");
  if (!text) return tl::unexpected(text.error());
  CgroupMounts mounts;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string skipped;
    std::string point;
    fields >> skipped >> skipped >> skipped >> skipped >> point;
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream tail(line.substr(dash + 3));
    std::string type;
    std::string options;
    tail >> type >> skipped >> options;
    if (type == "cgroup2" && mounts.v2.empty()) {
      mounts.v2 = point;
      mounts.v2_controllers = read_small_file(point + "/cgroup.controllers").value_or("");
    }
    if (type != "cgroup") continue;
    std::istringstream names(options);
    for (std::string name; std::getline(names, name, ',');) {
      if (name == "cpuset") mounts.cpuset = point;
      for (const char* known : {"cpu", "cpuacct", "memory", "pids", "blkio"}) {
        if (name == known) mounts.v1.emplace(name, point);
      }
    }
  }
  return mounts;
}

std::string tenant_path(const CgroupName& name) {
  if (!name.tenant) return "control";
  return (name.probe ? "probes/" : "tenants/") + name.tenant->str();
}

std::string generation_path(const CgroupName& name) {
  return tenant_path(name) + "/g" + std::to_string(name.generation);
}

std::uint64_t read_cgroup_number(const std::string& path, std::string_view key) {
  const auto text = read_small_file(path);
  if (!text) return 0;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    std::string_view rest(line);
    if (!key.empty()) {
      if (!rest.starts_with(key) || rest.size() <= key.size() || rest[key.size()] != ' ') continue;
      rest.remove_prefix(key.size() + 1);
    }
    std::uint64_t value = 0;
    (void)std::from_chars(rest.data(), rest.data() + rest.size(), value);
    return value;
  }
  return 0;
}

std::optional<std::uint32_t> read_cgroup_pressure(const std::string& path) {
  const auto text = read_small_file(path);
  if (!text) return std::nullopt;
  static constexpr std::string_view head = "some avg10=";
  const std::size_t start = text->find(head);
  if (start == std::string::npos) return std::nullopt;
  unsigned whole = 0;
  unsigned hundredths = 0;
  if (std::sscanf(text->c_str() + start + head.size(), "%3u.%2u", &whole, &hundredths) != 2) {
    return std::nullopt;
  }
  return whole * 100 + hundredths;
}

bool has_word(const std::string& text, const std::string& word) {
  std::istringstream words(text);
  for (std::string one; words >> one;) {
    if (one == word) return true;
  }
  return false;
}

CgroupSetting read_setting(const std::string& directory, const CgroupValue& wanted) {
  CgroupSetting setting{wanted.file, wanted.value, "unreadable", false};
  auto text = read_small_file(directory + "/" + wanted.file);
  if (!text) return setting;
  while (!text->empty() && text->back() == '\n') text->pop_back();
  setting.holds = holds_value(wanted, *text);
  setting.actual = std::move(*text);
  return setting;
}

Result<std::vector<pid_t>> read_cgroup_processes(const std::string& directory) {
  const auto text = read_small_file(directory + "/cgroup.procs");
  if (!text) return tl::unexpected(text.error());
  std::vector<pid_t> pids;
  std::istringstream lines(*text);
  for (pid_t pid = 0; lines >> pid;) {
    if (pid > 0) pids.push_back(pid);
  }
  return pids;
}

std::vector<CgroupName> list_generations(const std::string& root_directory) {
  std::vector<CgroupName> names;
  for (const bool probe : {false, true}) {
    const std::string parent = root_directory + (probe ? "/probes" : "/tenants");
    for (const std::string& id : list_subdirectories(parent)) {
      const auto tenant = TenantId::parse(id);
      if (tenant) list_of(parent + "/" + id, *tenant, probe, names);
    }
  }
  list_of(root_directory + "/control", std::nullopt, false, names);
  return names;
}

Status remove_group(const std::string& directory) {
  if (::rmdir(directory.c_str()) == 0 || errno == ENOENT) return {};
  const int saved_errno = errno;
  auto error = fail_errno("rmdir " + directory, saved_errno);
  if (saved_errno == EBUSY) error.value().code = ErrorCode::unavailable;
  return error;
}

void remove_empty_groups(const std::string& directory) {
  for (const std::string& child : list_subdirectories(directory)) {
    remove_empty_groups(directory + "/" + child);
  }
  (void)remove_group(directory);
}

Status fail_memory_in_use(std::uint64_t wanted_bytes, std::uint64_t used_bytes) {
  return fail(ErrorCode::resource_exhausted,
              "memory_max of " + std::to_string(wanted_bytes) + " bytes is below the " +
                  std::to_string(used_bytes) + " bytes in use: the limits stay as they were",
              "tenantctl tenant restart: a fresh worker gets the new limits");
}

bool has_no_children(const std::string& directory) {
  return list_subdirectories(directory).empty();
}

}  // namespace tenantd
