// The part of TenantStore that a start from an image needs: what the images are of, and whether the
// rows that were not read then are sound.
#include "worker/store/rows.h"
#include "worker/store/tenant_store.h"

namespace tenantd {

Result<ImageNonces> TenantStore::image_nonces(const ExecutionContext& context) {
  if (Status status = check(context); !status) return fail(status.error());
  ImageNonces nonces{};
  Statement& rows = file_->statements().select_images;
  rows.bind(1, context.tenant().view());
  for (;;) {
    const Result<bool> row = rows.step();
    if (!row) {
      file_->statements().end_all();
      return fail(row.error());
    }
    if (!*row) return nonces;
    const std::int64_t slot = rows.integer(0);
    if (slot < 0 || slot >= static_cast<std::int64_t>(nonces.size())) continue;
    nonces[static_cast<std::size_t>(slot)] = static_cast<std::uint64_t>(rows.integer(1));
  }
}

Status TenantStore::set_image_nonce(const ExecutionContext& context, std::size_t slot,
                                    std::uint64_t nonce) {
  if (Status status = check(context); !status) return status;
  if (corrupt_) return fail(ErrorCode::store_degraded, degraded_reason());
  Statement& replace = file_->statements().replace_image;
  replace.bind(1, context.tenant().view());
  replace.bind(2, static_cast<std::int64_t>(slot));
  replace.bind(3, static_cast<std::int64_t>(nonce));
  return replace.run();
}

Result<std::string> TenantStore::verify(const ExecutionContext& context, std::string_view id) {
  if (Status status = check(context); !status) return fail(status.error());
  Result<std::string> last = verify_some(context.tenant().view(), id);
  file_->statements().end_all();
  if (!last) remember(&last.error());
  return last;
}

// At most 64 routes, and no more once so many utterances were read.
Result<std::string> TenantStore::verify_some(std::string_view tenant, std::string_view id) {
  constexpr std::int64_t enough_utterances = 2048;
  Statement& routes = file_->statements().select_some_routes;
  routes.bind(1, tenant);
  routes.bind(2, id);
  std::string last;
  for (std::int64_t read = 0; read < enough_utterances;) {
    const Result<bool> row = routes.step();
    if (!row) return fail(row.error());
    if (!*row) break;
    RouteDefinition route;
    route.id = routes.text(0);
    if (Status sound = load_utterances(tenant, routes.integer(1), route); !sound) {
      return fail(sound.error());
    }
    read += routes.integer(1) + 1;
    last = std::move(route.id);
  }
  return last;
}

}  // namespace tenantd
