// Reading a posture: what proc(5) says of a process and of each of its threads.
//
// Runs in: the supervisor. Everything read is text of the kernel's; names in it (of files, of
// control groups) may be the process's choice and are only compared and shown.
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>
#include <sstream>

#include "shared/os/process.h"
#include "supervisor/launch/dumpable.h"
#include "supervisor/launch/posture.h"
#include "supervisor/launch/posture_facts.h"

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
                                     StatusLine{"Umask", "umask"},
                                     StatusLine{"CapInh", "cap_inheritable"},
                                     StatusLine{"CapPrm", "cap_permitted"},
                                     StatusLine{"CapEff", "cap_effective"},
                                     StatusLine{"CapBnd", "cap_bounding"},
                                     StatusLine{"CapAmb", "cap_ambient"},
                                     StatusLine{"NoNewPrivs", "no_new_privs"},
                                     StatusLine{"Seccomp", "seccomp"},
                                     StatusLine{"Seccomp_filters", "seccomp_filters"},
                                     StatusLine{"TracerPid", "tracer"},
                                     StatusLine{"Cpus_allowed_list", "cpus_allowed"}};

struct LimitLine {
  const char* label;  // in /proc/<pid>/limits
  const char* fact;
};
constexpr std::array limit_lines = {
    LimitLine{"Max core file size", "limit_core"},     LimitLine{"Max open files", "limit_nofile"},
    LimitLine{"Max file size", "limit_fsize"},         LimitLine{"Max processes", "limit_nproc"},
    LimitLine{"Max locked memory", "limit_memlock"},   LimitLine{"Max stack size", "limit_stack"},
    LimitLine{"Max msgqueue size", "limit_msgqueue"},  LimitLine{"Max nice priority", "limit_nice"},
    LimitLine{"Max realtime priority", "limit_rtprio"}};

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
  std::array<char, 512> buffer{};
  const ssize_t size = ::readlink(path.c_str(), buffer.data(), buffer.size());
  return size < 0 ? std::string() : std::string(buffer.data(), static_cast<std::size_t>(size));
}

std::string squeezed_file(const std::string& path) {
  return squeeze(read_small_file(path).value_or(std::string(unreadable_fact)));
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
    std::string soft;
    std::string hard;
    rest >> soft >> hard;
    facts[wanted.fact] = soft == hard ? soft : soft + " of " + hard;
  }
}

void read_namespaces(const std::string& base, Facts& facts) {
  for (const auto& one : posture_facts::namespaces) {
    const std::string theirs = link_target(base + "/ns/" + one.name);
    const std::string ours = link_target(std::string("/proc/self/ns/") + one.name);
    facts[std::string("ns_") + one.name] = theirs.empty()   ? std::string(unreadable_fact)
                                           : theirs == ours ? "host"
                                                            : "own " + theirs;
  }
}

// Which group limits it, for each controller: v1's own hierarchy, or the one of v2.
void read_cgroups(const std::string& base, Facts& facts) {
  std::istringstream lines(read_small_file(base + "/cgroup").value_or(""));
  std::string unified;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string path = line.substr(second + 1);
    std::istringstream names(line.substr(first + 1, second - first - 1));
    if (names.peek() == std::istringstream::traits_type::eof()) unified = path;
    for (std::string name; std::getline(names, name, ',');) {
      for (const auto& one : posture_facts::controllers) {
        if (name == one.v1) facts[one.fact] = path;
      }
    }
  }
  for (const auto& one : posture_facts::controllers) facts.try_emplace(one.fact, unified);
}

// Every mount that it sees, with the attributes that confine.
void read_mounts(const std::string& base, Facts& facts) {
  const auto text = read_small_file(base + "/mountinfo");
  facts["mounts"] = std::string(unreadable_fact);
  if (!text) return;
  std::set<std::string> points;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string skipped;
    std::string point;
    std::string options;
    fields >> skipped >> skipped >> skipped >> skipped >> point >> options;
    points.insert(point);
    std::set<std::string> kept;
    std::istringstream words(options);
    for (std::string word; std::getline(words, word, ',');) {
      if (!word.ends_with("atime")) kept.insert(word);
    }
    facts["mount " + point] = joined(kept);
  }
  facts["mounts"] = joined(points);
}

// What a program of ours may hold: anything else came from outside or was opened where it must not.
bool is_own_descriptor(const std::string& number, const std::string& target) {
  if (number == "0") return target == "/dev/null";
  if (number == "1" || number == "2") return target.starts_with("pipe:");
  if (number == "3") return target.starts_with("socket:");
  for (const char* kind : {"socket:", "pipe:", "anon_inode:[eventfd]", "anon_inode:[eventpoll]",
                           "/memfd:", "/data/", "/tmp/"}) {
    if (target.starts_with(kind)) return true;
  }
  return false;
}

void read_descriptors(const std::string& base, Facts& facts) {
  facts["descriptors"] = std::string(unreadable_fact);
  facts["foreign_descriptors"] = std::string(unreadable_fact);
  const auto numbers = entries_of(base + "/fd");
  if (!numbers) return;
  std::set<std::string> foreign;
  for (const std::string& number : *numbers) {
    const std::string target = link_target(base + "/fd/" + number);
    // Empty: closed since.
    if (!target.empty() && !is_own_descriptor(number, target)) {
      foreign.insert(std::string(number).append("->").append(target));
    }
  }
  facts["descriptors"] = std::to_string(numbers->size());
  facts["foreign_descriptors"] = foreign.empty() ? "none" : joined(foreign);
}

// Fields 6 and 7 of stat: the session, and the terminal that it belongs to.
void read_session(pid_t pid, const std::string& base, Facts& facts) {
  const std::string text = read_small_file(base + "/stat").value_or("");
  const std::size_t end_of_name = text.rfind(')');
  if (end_of_name == std::string::npos) return;
  std::istringstream fields(text.substr(end_of_name + 1));
  std::string state;
  long parent = 0;
  long group = 0;
  long session = 0;
  long terminal = 0;
  fields >> state >> parent >> group >> session >> terminal;
  facts["session"] = session == pid ? "own" : "of process " + std::to_string(session);
  facts["terminal"] = terminal == 0 ? "none" : "device " + std::to_string(terminal);
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
  read_cgroups(base, facts);
  read_mounts(base, facts);
  read_descriptors(base, facts);
  read_session(pid, base, facts);
  const auto root = entries_of(base + "/root");
  facts["root"] = root ? joined(*root) : std::string(unreadable_fact);
  for (const char* map : {"uid_map", "gid_map", "setgroups"}) {
    facts[map] = squeezed_file(base + "/" + map);
  }
  switch (look_as(pid)) {
    case Dumpable::yes:
      facts["dumpable"] = "yes";
      break;
    case Dumpable::no:
      facts["dumpable"] = "no";
      break;
    case Dumpable::unknown:
      facts["dumpable"] = std::string(unreadable_fact);
      break;
  }
  return posture;
}

std::vector<std::string> shared_cpus(const CpuSet& dedicated, pid_t other, std::string_view name) {
  const std::string base = "/proc/" + std::to_string(other) + "/task";
  const auto threads = entries_of(base);
  std::map<std::string, std::set<std::string>> seen;
  for (const std::string& thread : threads ? *threads : std::set<std::string>{}) {
    read_thread(base + "/" + thread, seen);
  }
  for (const std::string& list : seen["cpus_allowed"]) {
    const auto cpus = CpuSet::parse(list);
    if (cpus && !cpus->meets(dedicated)) continue;
    return {"cpus_allowed: expected to be nobody else's, " + std::string(name) + " may run on " +
            list};
  }
  return {};
}

std::vector<std::string> shared_namespaces(const Posture& posture, pid_t other,
                                           std::string_view name) {
  std::vector<std::string> lines;
  const std::string base = "/proc/" + std::to_string(other) + "/ns/";
  for (const auto& one : posture_facts::namespaces) {
    const std::string fact = std::string("ns_") + one.name;
    const auto found = posture.facts.find(fact);
    if (found == posture.facts.end() || !found->second.starts_with("own ")) continue;
    if (found->second.substr(4) != link_target(base + one.name)) continue;
    lines.push_back(fact + ": expected to be nobody else's, is shared with " + std::string(name));
  }
  return lines;
}

}  // namespace tenantd
