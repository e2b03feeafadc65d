// The part of RouteEditor that says how much a tenant may keep.
#include <algorithm>
#include <limits>

#include "worker/store/route_editor.h"

namespace tenantd {
namespace {

std::uint64_t memory_bytes(const std::vector<std::shared_ptr<const RouteBlock>>& blocks) noexcept {
  std::uint64_t bytes = 0;
  for (const auto& block : blocks) bytes += block->memory_bytes();
  return bytes;
}

Error no_memory(std::uint64_t bytes, std::uint64_t most) {
  Error error;
  error.code = ErrorCode::resource_exhausted;
  error.field = "resources.memory_max";
  error.message = "the routes would take " + std::to_string(bytes >> 20U) +
                  " MiB; memory_max has room for " + std::to_string(most >> 20U) + " MiB of them";
  error.hint = "raise memory_max and restart the tenant, or remove routes";
  return error;
}

}  // namespace

std::uint64_t memory_for_routes(std::uint64_t memory_max_bytes) noexcept {
  // What a worker needs without routes, scratch of searches included, and a quarter for the
  // allocator, the next snapshot's new parts, a batch on its way and the database's cache.
  constexpr std::uint64_t own_bytes = 8ULL << 20U;
  const std::uint64_t usable = memory_max_bytes - std::min(own_bytes, memory_max_bytes);
  return memory_max_bytes == 0 ? 0 : std::max<std::uint64_t>(usable / 4 * 3, 1);
}

Status RouteEditor::check_limits(const Blocks& blocks) const {
  const TenantSettings& settings = current_->settings;
  const RouteSet& set = *current_->set;
  std::uint64_t utterances = 0;
  for (const auto& block : blocks) utterances += block->utterance_count;
  // A limit that was lowered below what exists does not forbid edits that don't grow.
  if (blocks.size() > settings.max_routes && blocks.size() > set.routes.size()) {
    return fail(ErrorCode::resource_exhausted,
                "max_routes is " + std::to_string(settings.max_routes));
  }
  const bool grows = utterances > set.utterance_count();
  if (utterances > settings.max_embeddings && grows) {
    return fail(ErrorCode::resource_exhausted,
                "max_embeddings is " + std::to_string(settings.max_embeddings));
  }
  const std::uint64_t bytes = memory_bytes(blocks);
  if (memory_for_routes_ > 0 && bytes > memory_for_routes_ && bytes > set.memory_bytes) {
    return fail(no_memory(bytes, memory_for_routes_));
  }
  if (utterances >= std::numeric_limits<std::uint32_t>::max()) {
    return fail(ErrorCode::resource_exhausted, "a router holds at most 2^32 - 2 utterances");
  }
  return {};
}

}  // namespace tenantd
