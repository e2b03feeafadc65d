#include "supervisor/launch/posture.h"

#include <dirent.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <set>
#include <sstream>

#include "shared/os/process.h"

namespace tenantd {
namespace {

using Facts = std::map<std::string, std::string>;

struct StatusLine {
  const char* label;  // in /proc/<pid>/status
  const char* fact;
};
constexpr std::array status_lines = {StatusLine{"Uid", "uid"},
                                     StatusLine{"Gid", "gid"},
                                     StatusLine{"Groups", "groups"},
                                     StatusLine{"CapInh", "cap_inheritable"},
                                     StatusLine{"CapPrm", "cap_permitted"},
                                     StatusLine{"CapEff", "cap_effective"},
                                     StatusLine{"CapBnd", "cap_bounding"},
                                     StatusLine{"CapAmb", "cap_ambient"},
                                     StatusLine{"NoNewPrivs", "no_new_privs"},
                                     StatusLine{"Seccomp", "seccomp"},
                                     StatusLine{"Seccomp_filters", "seccomp_filters"},
                                     StatusLine{"TracerPid", "tracer"}};

struct LimitLine {
  const char* label;  // in /proc/<pid>/limits
  const char* fact;
};
constexpr std::array limit_lines = {
    LimitLine{"Max core file size", "limit_core"}, LimitLine{"Max open files", "limit_nofile"},
    LimitLine{"Max file size", "limit_fsize"}, LimitLine{"Max processes", "limit_nproc"}};

struct NamespaceFact {
  const char* name;  // in /proc/<pid>/ns
  Layer layer;
};
constexpr std::array namespace_facts = {NamespaceFact{"cgroup", Layer::cgroup_namespace},
                                        NamespaceFact{"ipc", Layer::ipc_namespace},
                                        NamespaceFact{"mnt", Layer::mount_namespace},
                                        NamespaceFact{"net", Layer::network_namespace},
                                        NamespaceFact{"pid", Layer::pid_namespace},
                                        NamespaceFact{"user", Layer::user_namespace},
                                        NamespaceFact{"uts", Layer::uts_namespace}};

// Blanks squeezed to single spaces, none at the ends.
std::string squeeze(const std::string& text) {
  std::istringstream words(text);
  std::string out;
  for (std::string word; words >> word;) out += (out.empty() ? "" : " ") + word;
  return out;
}

Result<std::set<std::string>> entries_of(const std::string& path) {
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return fail_errno("opendir " + path, errno);
  std::set<std::string> names;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string name(entry->d_name);
    if (name != "." && name != "..") names.insert(name);
  }
  (void)::closedir(directory);
  return names;
}

std::string joined(const std::set<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : " ") + name;
  return text;
}

std::string link_target(const std::string& path) {
  std::array<char, 128> buffer{};
  const ssize_t size = ::readlink(path.c_str(), buffer.data(), buffer.size());
  return size < 0 ? std::string() : std::string(buffer.data(), static_cast<std::size_t>(size));
}

void read_thread(const std::string& base, std::map<std::string, std::set<std::string>>& seen) {
  const std::string text = read_small_file(base + "/status").value_or("");
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    for (const StatusLine& wanted : status_lines) {
      if (line.compare(0, colon, wanted.label) != 0) continue;
      seen[wanted.fact].insert(squeeze(line.substr(colon + 1)));
    }
  }
}

void read_limits(const std::string& base, Facts& facts) {
  const auto text = read_small_file(base + "/limits");
  for (const LimitLine& wanted : limit_lines) {
    facts[wanted.fact] = std::string(unreadable_fact);
    const std::size_t at = text ? text->find(wanted.label) : std::string::npos;
    if (at == std::string::npos) continue;
    std::istringstream rest(text->substr(at + std::string_view(wanted.label).size()));
    rest >> facts[wanted.fact];
  }
}

void read_namespaces(const std::string& base, Facts& facts) {
  for (const NamespaceFact& one : namespace_facts) {
    const std::string theirs = link_target(base + "/ns/" + one.name);
    const std::string ours = link_target(std::string("/proc/self/ns/") + one.name);
    facts[std::string("ns_") + one.name] = theirs.empty()   ? std::string(unreadable_fact)
                                           : theirs == ours ? "host"
                                                            : "own " + theirs;
  }
}

}  // namespace

Result<Posture> read_posture(pid_t pid) {
  const std::string base = "/proc/" + std::to_string(pid);
  const auto threads = entries_of(base + "/task");
  if (!threads) return fail(ErrorCode::not_found, "process " + std::to_string(pid) + " has gone");
  Posture posture;
  Facts& facts = posture.facts;
  std::map<std::string, std::set<std::string>> seen;
  for (const std::string& thread : *threads) read_thread(base + "/task/" + thread, seen);
  for (const auto& [fact, values] : seen) {
    facts[fact] = values.size() == 1 ? *values.begin() : "mixed: " + joined(values);
  }
  facts["threads"] = std::to_string(threads->size());
  read_limits(base, facts);
  read_namespaces(base, facts);
  const auto root = entries_of(base + "/root");
  facts["root"] = root ? joined(*root) : std::string(unreadable_fact);
  const auto descriptors = entries_of(base + "/fd");
  facts["descriptors"] =
      descriptors ? std::to_string(descriptors->size()) : std::string(unreadable_fact);
  facts["uid_map"] =
      squeeze(read_small_file(base + "/uid_map").value_or(std::string(unreadable_fact)));
  std::string cgroups = read_small_file(base + "/cgroup").value_or(std::string(unreadable_fact));
  facts["cgroup"] = squeeze(cgroups);
  return posture;
}

std::map<std::string, std::string> expected_posture(const LaunchSpec& spec, LayerSet applied,
                                                    bool locked_down) {
  Facts expected;
  expected["tracer"] = "0";
  const auto host_id = [](std::uint32_t id) {
    const std::string text = std::to_string(id);
    return text + " " + text + " " + text + " " + text;
  };
  expected["uid"] = host_id(spec.host_uid);
  expected["gid"] = host_id(spec.host_gid);
  if (applied.has(Layer::own_uid)) expected["groups"] = "";
  if (applied.has(Layer::capabilities)) {
    for (const char* set : {"inheritable", "permitted", "effective", "bounding", "ambient"}) {
      expected[std::string("cap_") + set] = "0000000000000000";
    }
  }
  if (applied.has(Layer::no_new_privs)) expected["no_new_privs"] = "1";
  if (applied.has(Layer::seccomp)) {
    expected["seccomp"] = "2";
    expected["seccomp_filters"] = locked_down ? "2" : "1";
  }
  if (applied.has(Layer::rlimits)) {
    expected["limit_core"] = "0";
    expected["limit_nofile"] = std::to_string(spec.open_files_limit);
    expected["limit_nproc"] = std::to_string(spec.processes_limit);
  }
  for (const NamespaceFact& one : namespace_facts) {
    if (applied.has(one.layer)) expected[std::string("ns_") + one.name] = "own";
  }
  if (applied.has(Layer::user_namespace)) {
    expected["uid_map"] = "0 " + std::to_string(spec.host_uid) + " 1";
  }
  if (applied.has(Layer::mount_namespace)) {
    std::set<std::string> entries;
    for (std::size_t i = 0; i < spec.mount_count && i < LaunchSpec::max_mounts; ++i) {
      const std::string target(spec.mounts[i].target.view().substr(1));
      entries.insert(target.substr(0, target.find('/')));
    }
    expected["root"] = joined(entries);
  }
  return expected;
}

std::vector<std::string> posture_deviations(const Posture& posture,
                                            const std::map<std::string, std::string>& expected) {
  std::vector<std::string> deviations;
  for (const auto& [name, value] : expected) {
    const auto found = posture.facts.find(name);
    const std::string is = found == posture.facts.end() ? "absent" : found->second;
    if (is == unreadable_fact) continue;
    // A namespace's own number is not known beforehand.
    const bool good = value == "own" ? is.starts_with("own ") : is == value;
    if (!good) deviations.push_back(name + ": expected " + value + ", is " + is);
  }
  return deviations;
}

void fill_posture_record(const Posture& posture, const std::vector<std::string>& deviations,
                         PostureRecord& record) {
  std::string facts;
  for (const auto& [name, value] : posture.facts)
    facts.append(name).append("=").append(value).append("\n");
  std::string differences;
  for (const std::string& line : deviations) differences.append(line).append("\n");
  record.facts.assign_truncated(facts);
  record.deviations.assign_truncated(differences);
  record.as_expected = deviations.empty() ? 1 : 0;
}

}  // namespace tenantd
