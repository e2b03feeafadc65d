#include "supervisor/config/account_resolver.h"

#include <grp.h>
#include <pwd.h>

#include <cerrno>
#include <vector>

namespace tenantd {
namespace {

// A group's record holds its members' names; past this it is not looked at.
constexpr std::size_t max_record_bytes = std::size_t{1} << 20U;

// Calls a get..._r function with a buffer that grows while it asks for more.
template <class Record, class LookUp>
bool look_up(Record& record, std::vector<char>& buffer, LookUp look_up_once) {
  for (buffer.resize(1024); buffer.size() <= max_record_bytes; buffer.resize(buffer.size() * 4)) {
    Record* found = nullptr;
    const int error = look_up_once(&record, buffer.data(), buffer.size(), &found);
    if (error != ERANGE) return error == 0 && found != nullptr;
  }
  return false;
}

}  // namespace

std::optional<std::uint32_t> SystemAccounts::user_id(const std::string& name) const {
  passwd record{};
  std::vector<char> buffer;
  const auto once = [&name](passwd* into, char* data, std::size_t size, passwd** found) {
    return ::getpwnam_r(name.c_str(), into, data, size, found);
  };
  if (!look_up(record, buffer, once)) return std::nullopt;
  return record.pw_uid;
}

std::optional<std::uint32_t> SystemAccounts::group_id(const std::string& name) const {
  group record{};
  std::vector<char> buffer;
  const auto once = [&name](group* into, char* data, std::size_t size, group** found) {
    return ::getgrnam_r(name.c_str(), into, data, size, found);
  };
  if (!look_up(record, buffer, once)) return std::nullopt;
  return record.gr_gid;
}

}  // namespace tenantd
