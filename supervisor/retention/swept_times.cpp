#include "supervisor/retention/swept_times.h"

#include <charconv>
#include <fstream>
#include <utility>

#include "shared/os/process.h"

namespace tenantd {

SweptTimes::SweptTimes(std::string path) : path_(std::move(path)) {
  std::ifstream file(path_, std::ios::binary | std::ios::ate);
  if (!file || file.tellg() < 0 || static_cast<std::size_t>(file.tellg()) > max_file_bytes) return;
  file.seekg(0);
  std::string line;
  while (std::getline(file, line)) {
    const std::size_t space = line.find(' ');
    if (space == std::string::npos) continue;
    const auto id = TenantId::parse(line.substr(0, space));
    std::int64_t seconds = 0;
    const char* const end = line.data() + line.size();
    const auto read = std::from_chars(line.data() + space + 1, end, seconds);
    if (id && read.ec == std::errc() && read.ptr == end) last_s_[*id] = seconds;
  }
}

std::int64_t SweptTimes::last_s(const TenantId& tenant) const {
  const auto found = last_s_.find(tenant);
  return found == last_s_.end() ? 0 : found->second;
}

Status SweptTimes::set(const TenantId& tenant, std::int64_t now_s,
                       const std::function<bool(const TenantId&)>& gone) {
  last_s_[tenant] = now_s;
  std::erase_if(last_s_, [&gone](const auto& one) { return gone(one.first); });
  std::string text;
  for (const auto& [id, seconds] : last_s_) {
    text.append(id.view()).append(" ").append(std::to_string(seconds)).append("\n");
  }
  return write_file_atomically(path_, text, 0600, false);
}

}  // namespace tenantd
