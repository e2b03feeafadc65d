#include "worker/runtime/launch.h"

#include <utility>

#include "shared/os/sealed_memfd.h"
#include "worker/router/validate.h"

namespace tenantd {

Result<Launch> read_launch(int fd) {
  LaunchSpec spec;
  if (const Status read = read_sealed_record(fd, spec); !read) return tl::unexpected(read.error());
  if (spec.magic != LaunchSpec::magic_value || spec.version != LaunchSpec::version_value ||
      spec.kind != ProgramKind::worker || spec.generation == 0) {
    return fail(ErrorCode::protocol_error, "not a worker's launch spec of this build");
  }
  if (spec.shard_count > max_shards) return fail(ErrorCode::invalid_argument, "too many shards");
  const std::uint32_t limit = spec.shard_count == 0 ? 0 : shard_limit(spec.shard_count);
  for (std::uint32_t shard = limit; shard < max_shards; ++shard) {
    if (spec.shards.has(shard)) {
      return fail(ErrorCode::invalid_argument, "a shard that there is not");
    }
  }
  if (!spec.tenant.tenant_id.valid()) return fail(ErrorCode::invalid_argument, "no tenant id");
  auto tenant = TenantId::parse(spec.tenant.tenant_id.view());
  if (!tenant) return tl::unexpected(std::move(tenant.error()));
  if (const Status settings = validate_settings(spec.tenant); !settings) {
    return tl::unexpected(settings.error());
  }
  return Launch{spec, *tenant};
}

}  // namespace tenantd
