#include "supervisor/config/uid_range.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <optional>

#include "shared/os/fd.h"

namespace tenantd {
namespace {

struct ReservedRange {
  UidRange range;
  std::string_view name;
};

// https://systemd.io/UIDS-GIDS
constexpr std::array<ReservedRange, 5> reserved_ranges = {{
    {{0, 999}, "system users"},
    {{60'001, 60'513}, "systemd-homed's users"},
    {{61'184, 65'519}, "systemd's dynamic users"},
    {{65'534, 65'535}, "nobody and the 16-bit \"no user\""},
    {{524'288, 1'879'048'191}, "systemd's containers"},
}};
// The highest usable uid: some file systems and tools keep uids in 32 bits with a sign.
constexpr std::uint32_t max_uid = 2'147'483'646;

bool overlap(UidRange a, UidRange b) { return a.first <= b.last && b.first <= a.last; }

std::string text_of(UidRange range) {
  return std::to_string(range.first) + '-' + std::to_string(range.last);
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The nth field of "a:b:c", counted from 0; empty when there is none.
std::string_view colon_field(std::string_view line, unsigned index) {
  for (; index > 0; --index) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return {};
    line.remove_prefix(colon + 1);
  }
  return line.substr(0, line.find(':'));
}

template <class EachLine>
void for_each_line(std::string_view text, EachLine each_line) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    each_line(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

std::vector<std::string> clashes_with_users(UidRange range, const std::string& passwd) {
  std::vector<std::string> problems;
  for_each_line(passwd, [&](std::string_view line) {
    const auto uid = number(colon_field(line, 2));
    if (!uid || *uid > UINT32_MAX || !range.contains(static_cast<std::uint32_t>(*uid))) return;
    problems.push_back("holds the uid " + std::to_string(*uid) + " of user " +
                       std::string(colon_field(line, 0)) + " in /etc/passwd");
  });
  return problems;
}

std::vector<std::string> clashes_with_subids(UidRange range, const std::string& text,
                                             std::string_view file) {
  std::vector<std::string> problems;
  for_each_line(text, [&](std::string_view line) {
    const auto first = number(colon_field(line, 1));
    const auto count = number(colon_field(line, 2));
    if (!first || !count || *count == 0 || *first > UINT32_MAX) return;
    const std::uint64_t last = *first + std::min<std::uint64_t>(*count - 1, UINT32_MAX - *first);
    const UidRange taken{static_cast<std::uint32_t>(*first), static_cast<std::uint32_t>(last)};
    if (!overlap(range, taken)) return;
    problems.push_back("overlaps " + text_of(taken) + ", given to " +
                       std::string(colon_field(line, 0)) + " in " + std::string(file));
  });
  return problems;
}

Result<std::string> read_whole_file(const char* path) {
  constexpr std::size_t max_bytes = std::size_t{16} << 20U;
  const UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) {
    if (errno == ENOENT) return std::string();
    return fail_errno(path, errno);
  }
  std::string text;
  std::array<char, 16'384> buffer{};
  while (true) {
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(path, errno);
    if (got == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(got));
    if (text.size() > max_bytes) {
      return fail(ErrorCode::resource_exhausted, std::string(path) + " is larger than 16 MiB");
    }
  }
}

}  // namespace

Result<UidFiles> read_uid_files() {
  Result<std::string> passwd = read_whole_file("/etc/passwd");
  if (!passwd) return fail(std::move(passwd).error());
  Result<std::string> subuid = read_whole_file("/etc/subuid");
  if (!subuid) return fail(std::move(subuid).error());
  Result<std::string> subgid = read_whole_file("/etc/subgid");
  if (!subgid) return fail(std::move(subgid).error());
  return UidFiles{*std::move(passwd), *std::move(subuid), *std::move(subgid)};
}

std::vector<std::string> uid_range_problems(UidRange range, const UidFiles& files) {
  if (range.first > range.last) return {"first is greater than last"};
  std::vector<std::string> problems;
  if (range.last > max_uid) problems.push_back("ends above " + std::to_string(max_uid));
  for (const ReservedRange& reserved : reserved_ranges) {
    if (!overlap(range, reserved.range)) continue;
    problems.push_back("overlaps " + text_of(reserved.range) + ", used by " +
                       std::string(reserved.name));
  }
  const auto append = [&problems](std::vector<std::string> more) {
    problems.insert(problems.end(), more.begin(), more.end());
  };
  append(clashes_with_users(range, files.passwd));
  append(clashes_with_subids(range, files.subuid, "/etc/subuid"));
  append(clashes_with_subids(range, files.subgid, "/etc/subgid"));
  return problems;
}

}  // namespace tenantd
