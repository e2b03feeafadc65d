#include "supervisor/config/tenant_file_name.h"

#include <algorithm>
#include <array>

namespace tenantd {
namespace {

constexpr std::string_view suffix = ".toml";

constexpr std::array<std::string_view, 11> temporary_suffixes = {
    ".swp", ".swo", ".swx", ".tmp", ".temp", ".bak", ".orig", ".rej", ".new", ".part", ".lock"};
constexpr std::array<std::string_view, 3> package_marks = {".dpkg-", ".rpm", ".ucf-"};

bool is_temporary(std::string_view name) {
  if (name.empty() || name.front() == '.' || name.back() == '~' || name == "4913") return true;
  if (name.size() > 1 && name.front() == '#' && name.back() == '#') return true;
  const auto ends = [name](std::string_view end) { return name.ends_with(end); };
  const auto holds = [name](std::string_view mark) {
    return name.find(mark) != std::string_view::npos;
  };
  return std::any_of(temporary_suffixes.begin(), temporary_suffixes.end(), ends) ||
         std::any_of(package_marks.begin(), package_marks.end(), holds);
}

}  // namespace

FileNameKind classify_file_name(std::string_view name) {
  if (is_temporary(name)) return FileNameKind::ignored;
  return tenant_id_of_file(name) ? FileNameKind::tenant : FileNameKind::other;
}

bool is_tenant_file_name(std::string_view name) {
  return classify_file_name(name) == FileNameKind::tenant;
}

Result<TenantId> tenant_id_of_file(std::string_view name) {
  if (!name.ends_with(suffix)) {
    return fail(ErrorCode::invalid_argument, "not named <id>.toml", "end the name in .toml");
  }
  return TenantId::parse(name.substr(0, name.size() - suffix.size()));
}

}  // namespace tenantd
