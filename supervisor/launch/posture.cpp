#include "supervisor/launch/posture.h"

#include <algorithm>
#include <set>

#include "supervisor/jail/launch_spec_check.h"
#include "supervisor/jail/privileges.h"
#include "supervisor/launch/posture_facts.h"

namespace tenantd {
namespace {

std::string same_ids(std::uint32_t id) {
  const std::string text = std::to_string(id);
  return text + " " + text + " " + text + " " + text;
}

void expect_limits(const LaunchSpec& spec, ExpectedPosture& expected) {
  for (const ResourceBound& bound : resource_bounds(spec)) {
    expected[std::string("limit_") + bound.name] =
        bound.value == RLIM_INFINITY ? "unlimited" : std::to_string(bound.value);
  }
}

// The attributes of root_filesystem.cpp, as mountinfo shows them.
void expect_mounts(const LaunchSpec& spec, ExpectedPosture& expected) {
  expected["mount /"] = "nodev noexec nosuid ro";
  std::set<std::string> points = {"/"};
  std::set<std::string> entries;
  for (std::size_t i = 0; i < spec.mount_count && i < LaunchSpec::max_mounts; ++i) {
    const std::string target(spec.mounts[i].target.view());
    points.insert(target);
    entries.insert(target.substr(1, target.find('/', 1) - 1));
    std::string attributes = "nodev nosuid ro";  // a library: mapped executable, found by symlinks
    if (target == data_path) attributes = "nodev noexec nosuid nosymfollow rw";
    if (target == scratch_path) attributes = "nodev noexec nosuid rw";
    if (target == link_directory_path || target == encoders_path)
      attributes = "nodev noexec nosuid nosymfollow ro";
    expected["mount " + target] = attributes;
  }
  const auto joined = [](const std::set<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : " ") + name;
    return text;
  };
  expected["mounts"] = joined(points);
  expected["root"] = joined(entries);
}

void expect_cgroups(const LaunchSpec& spec, LayerSet applied, ExpectedPosture& expected) {
  const std::string generation = "/g" + std::to_string(spec.generation);
  const std::string place = spec.kind == ProgramKind::control
                                ? "control" + generation
                                : "tenants/" + std::string(spec.hostname.view()) + generation;
  for (const auto& one : posture_facts::controllers) {
    if (applied.has(one.layer)) expected[one.fact] = "*/" + place;
  }
  // v1's CPU hierarchy has the process where the limit is (cgroup.h).
  if (applied.has(Layer::cgroup_cpu)) {
    const std::string with_limit = place.substr(0, place.size() - generation.size());
    expected["cgroup_cpu"] = "*/" + with_limit + " or */" + place;
  }
}

bool meets(const std::string& is, const std::string& expected) {
  if (expected == "own") return is == expected || is.starts_with("own ");
  if (expected.starts_with('*')) {
    static constexpr std::string_view either = " or ";
    const std::size_t end = expected.find(either);
    if (is.ends_with(std::string_view(expected).substr(1, end - (end == expected.npos ? 0 : 1)))) {
      return true;
    }
    return end != expected.npos && meets(is, expected.substr(end + either.size()));
  }
  return is == expected;
}

}  // namespace

ExpectedPosture expected_posture(const LaunchSpec& spec, LayerSet applied, bool locked_down) {
  ExpectedPosture expected;
  expected["tracer"] = "0";
  expected["umask"] = "0077";
  expected["session"] = "own";
  expected["terminal"] = "none";
  expected["uid"] = same_ids(spec.host_uid);
  expected["gid"] = same_ids(spec.host_gid);
  if (locked_down) {
    expected["dumpable"] = "no";
    expected["foreign_descriptors"] = "none";
  }
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
  if (applied.has(Layer::rlimits)) expect_limits(spec, expected);
  for (const auto& one : posture_facts::namespaces) {
    if (applied.has(one.layer)) expected[std::string("ns_") + one.name] = "own";
  }
  if (applied.has(Layer::user_namespace)) {
    expected["uid_map"] = "0 " + std::to_string(spec.host_uid) + " 1";
    expected["gid_map"] = "0 " + std::to_string(spec.host_gid) + " 1";
    expected["setgroups"] = "deny";
  }
  if (applied.has(Layer::mount_namespace)) expect_mounts(spec, expected);
  expect_cgroups(spec, applied, expected);
  return expected;
}

std::vector<std::string> posture_deviations(const Posture& posture,
                                            const ExpectedPosture& expected) {
  std::vector<std::string> deviations;
  for (const auto& [name, value] : expected) {
    const auto found = posture.facts.find(name);
    const std::string is = found == posture.facts.end() ? "absent" : found->second;
    if (is == unreadable_fact || meets(is, value)) continue;
    deviations.push_back(name + ": expected " + value + ", is " + is);
  }
  return deviations;
}

std::vector<std::string> compare_limits(std::span<const CgroupSetting> settings, Posture& posture) {
  std::vector<std::string> lines;
  for (const CgroupSetting& setting : settings) {
    std::string actual = setting.actual;
    std::replace(actual.begin(), actual.end(), '\n', ';');
    posture.facts["cgroup " + setting.file] = actual;
    if (setting.holds) continue;
    lines.push_back("cgroup " + setting.file + ": expected " + setting.expected + ", is " + actual);
  }
  return lines;
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
