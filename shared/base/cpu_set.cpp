#include "shared/base/cpu_set.h"

#include <charconv>
#include <utility>

namespace tenantd {
namespace {

bool parse_cpu(std::string_view text, std::uint32_t& cpu) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), cpu);
  return !text.empty() && parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size() &&
         cpu < CpuSet::max_cpus;
}

std::string_view trimmed(std::string_view text) {
  static constexpr std::string_view blanks = " \t\n";
  while (!text.empty() && blanks.find(text.front()) != blanks.npos) text.remove_prefix(1);
  while (!text.empty() && blanks.find(text.back()) != blanks.npos) text.remove_suffix(1);
  return text;
}

}  // namespace

Result<CpuSet> CpuSet::parse(std::string_view text) {
  CpuSet set;
  text = trimmed(text);
  bool more = !text.empty();
  while (more) {
    const std::size_t comma = text.find(',');
    more = comma != std::string_view::npos;
    const std::string_view part = text.substr(0, comma);
    text.remove_prefix(more ? comma + 1 : text.size());
    const std::size_t dash = part.find('-');
    std::uint32_t first = 0;
    std::uint32_t last = 0;
    const bool valid =
        parse_cpu(part.substr(0, dash), first) &&
        parse_cpu(dash == std::string_view::npos ? part : part.substr(dash + 1), last) &&
        first <= last;
    if (!valid) {
      std::string message = "'";
      message.append(part.substr(0, 40)).append("' is not a CPU or a range of CPUs");
      return fail(ErrorCode::invalid_argument, std::move(message),
                  "numbers from 0 to 1023 and ranges, \"2-5,8\" for example");
    }
    for (std::uint32_t cpu = first; cpu <= last; ++cpu) set.bits_.set(cpu);
  }
  return set;
}

CpuSet CpuSet::of(const std::vector<std::uint32_t>& cpus) {
  CpuSet set;
  for (const std::uint32_t cpu : cpus) set.add(cpu);
  return set;
}

CpuSet CpuSet::first(std::uint32_t count) const {
  CpuSet set;
  for (const std::uint32_t cpu : list()) {
    if (count-- == 0) break;
    set.add(cpu);
  }
  return set;
}

std::vector<std::uint32_t> CpuSet::list() const {
  std::vector<std::uint32_t> cpus;
  for (std::uint32_t cpu = 0; cpu < max_cpus; ++cpu) {
    if (bits_.test(cpu)) cpus.push_back(cpu);
  }
  return cpus;
}

std::string CpuSet::str() const {
  std::string text;
  const std::vector<std::uint32_t> cpus = list();
  for (std::size_t i = 0; i < cpus.size();) {
    std::size_t end = i;
    while (end + 1 < cpus.size() && cpus[end + 1] == cpus[end] + 1) ++end;
    if (!text.empty()) text += ',';
    text += std::to_string(cpus[i]);
    if (end > i) text.append("-").append(std::to_string(cpus[end]));
    i = end + 1;
  }
  return text;
}

}  // namespace tenantd
