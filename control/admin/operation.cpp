#include "control/admin/operation.h"

#include <utility>

namespace tenantd {

Status check_tenant(std::string_view tenant, const char* field) {
  const auto id = TenantId::parse(tenant);
  if (id) return {};
  Error error = id.error();
  error.field = field;
  return fail(std::move(error));
}

tl::unexpected<Error> about_tenant(Error error, std::string_view tenant) {
  error.tenant = tenant;
  return fail(std::move(error));
}

}  // namespace tenantd
