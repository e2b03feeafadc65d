#include "shared/base/tenant_id.h"

#include <algorithm>

namespace tenantd {
namespace {

bool is_alphanumeric(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

}  // namespace

Result<TenantId> TenantId::parse(std::string_view text) {
  const bool valid =
      !text.empty() && text.size() <= max_length && is_alphanumeric(text.front()) &&
      is_alphanumeric(text.back()) &&
      std::all_of(text.begin(), text.end(), [](char c) { return is_alphanumeric(c) || c == '-'; });
  if (!valid) {
    return fail(ErrorCode::invalid_argument, "not a tenant id",
                "1 to 63 of a-z, 0-9 and '-', not starting or ending with '-'");
  }
  TenantId id;
  std::copy(text.begin(), text.end(), id.text_.begin());
  id.length_ = static_cast<std::uint8_t>(text.size());
  return id;
}

}  // namespace tenantd
