#include "supervisor/verify/row_tenants.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <utility>

namespace tenantd {
namespace {

constexpr std::uint32_t dimension = 64;
constexpr std::uint32_t most_routes = 8;
constexpr std::uint64_t most_bytes = 1ULL << 20U;
// Beside those of clients, which count from 1.
constexpr std::uint64_t first_attachment = 1ULL << 63U;

}  // namespace

TenantId row_tenant_id(RowSide side, std::uint32_t shard, std::uint32_t shard_count) {
  static_assert(planted_id_prefix.starts_with(reserved_id_prefix));
  std::string name(planted_id_prefix);
  name += side == RowSide::intruder ? "a-" : "b-";
  if (shard >= shard_count) {  // some tenant's own: theirs, too, by the supervisor's word
    return TenantId::parse(name + "own-" + std::to_string(shard)).value();
  }
  for (std::uint32_t number = 0;; ++number) {  // one in `shard_count` is the shard's
    const std::string id = name + std::to_string(number);
    if (shard_of(id, shard_count) == shard) return TenantId::parse(id).value();  // well-formed
  }
}

TenantSettings row_tenant_settings(const TenantId& id) {
  TenantSettings settings;
  (void)settings.tenant_id.assign(id.view());
  settings.router.dimension = dimension;
  settings.router.threshold = 0;
  settings.router.cache_enabled = 1;
  (void)settings.router.encoder.assign("hash");
  (void)settings.router.fallback_route.assign("nobody");
  settings.max_routes = most_routes;
  settings.max_embeddings = std::uint64_t{8} * most_routes;
  settings.max_storage_bytes = most_bytes;
  settings.max_cache_bytes = most_bytes;
  settings.cache_similarity_e4 = 9000;
  settings.max_attachments = 2;
  return settings;
}

Result<UniqueFd> connect_row_tenant(Worker& worker, const TenantId& id, std::uint32_t own_shard) {
  static std::uint64_t next_attachment = first_attachment;
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
    return fail_errno("socketpair", errno);
  }
  UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  auto attach = make_link_message<Attach>(0);
  attach.attachment_id = next_attachment++;
  (void)attach.tenant_id.assign(id.view());
  attach.peer_uid = ::geteuid();
  attach.peer_gid = ::getegid();
  attach.peer_pid = ::getpid();
  attach.protocol_version = row_protocol_version;
  TenantSettings settings = row_tenant_settings(id);
  settings.own_shard = own_shard;
  const Status handed = worker.attach_tenant(settings, attach, std::move(theirs));
  if (!handed) return tl::unexpected(handed.error());
  return ours;
}

}  // namespace tenantd
