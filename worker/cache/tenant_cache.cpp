#include "worker/cache/tenant_cache.h"

#include <limits>

#include "worker/encoder/unicode.h"

namespace tenantd {
namespace {

tl::unexpected<Error> no_tenant() { return fail(ErrorCode::no_tenant, "no such tenant here"); }

}  // namespace

TenantCache::TenantCache(TenantId tenant, CacheBounds bounds) : tenant_(tenant), store_(bounds) {
  name_ = tenant.str() + ':';
  prefix_bytes_ = name_.size();
  name_.reserve(prefix_bytes_ + max_key_bytes);
}

Result<std::string_view> TenantCache::name_of(const ExecutionContext& context,
                                              std::string_view key) {
  if (context.tenant() != tenant_) return no_tenant();
  if (key.empty() || key.size() > max_key_bytes) {
    return fail_field("key", "a key has 1 to 256 bytes");
  }
  if (!is_printable(key)) return fail_field("key", "must be printable UTF-8");
  name_.resize(prefix_bytes_);
  name_ += key;
  return name_;
}

Result<std::optional<TenantCache::Value>> TenantCache::get(const ExecutionContext& context,
                                                           std::string_view key,
                                                           std::uint64_t now_ns) {
  const auto name = name_of(context, key);
  if (!name) return fail(name.error());
  const auto found = store_.find(*name, now_ns);
  if (!found) return std::optional<Value>();
  return std::optional<Value>(
      Value{found->value, found->tag, found->expires_ns == 0 ? 0 : found->expires_ns - now_ns});
}

Result<std::uint64_t> TenantCache::set(const ExecutionContext& context, std::string_view key,
                                       std::string_view value, std::uint8_t kind,
                                       std::uint64_t ttl_ns, std::uint64_t now_ns) {
  const auto name = name_of(context, key);
  if (!name) return fail(name.error());
  if (value.size() > max_value_bytes) return fail_field("value", "a value has at most 64 KiB");
  constexpr std::uint64_t never = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t expires_ns = 0;
  if (ttl_ns != 0) expires_ns = ttl_ns > never - now_ns ? never : now_ns + ttl_ns;
  const std::uint64_t evicted = store_.counts().evictions;
  if (!store_.put(*name, value, kind, expires_ns, now_ns)) {
    Error error;
    error.code = ErrorCode::resource_exhausted;
    error.field = "limits.max_cache_bytes";
    error.message = "the value does not fit the tenant's cache";
    error.hint = "raise max_cache_bytes or max_cache_entries of the tenant";
    return fail(std::move(error));
  }
  return store_.counts().evictions - evicted;
}

Result<bool> TenantCache::remove(const ExecutionContext& context, std::string_view key,
                                 std::uint64_t now_ns) {
  const auto name = name_of(context, key);
  if (!name) return fail(name.error());
  return store_.remove(*name, now_ns);
}

Result<std::uint64_t> TenantCache::clear(const ExecutionContext& context) {
  if (context.tenant() != tenant_) return no_tenant();
  return store_.clear();
}

Result<TenantCache::Stats> TenantCache::stats(const ExecutionContext& context) const {
  if (context.tenant() != tenant_) return no_tenant();
  return Stats{store_.counts(), store_.bounds(), store_.entries(), store_.bytes()};
}

Status TenantCache::set_bounds(const ExecutionContext& context, CacheBounds bounds,
                               std::uint64_t now_ns) {
  if (context.tenant() != tenant_) return no_tenant();
  store_.set_bounds(bounds, now_ns);
  return {};
}

}  // namespace tenantd
