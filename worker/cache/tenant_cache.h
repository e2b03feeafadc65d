// A tenant's own cache: values under keys, for a while or until there is no room.
//
// Runs in: worker, loop thread. In memory only: a new worker begins with nothing. Keys and values
// come from clients and are checked here. The tenant comes from the execution context only; what is
// kept is called `<tenant>:<key>`, as the specification's snippet says, which callers never see. An
// object is one tenant's, and so is its room: nobody's values make way for another's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "shared/base/error.h"
#include "shared/base/tenant_id.h"
#include "worker/cache/lru_store.h"
#include "worker/runtime/execution_context.h"

namespace tenantd {

class TenantCache {
 public:
  static constexpr std::size_t max_key_bytes = 256;
  static constexpr std::size_t max_value_bytes = 64U << 10U;

  struct Value {
    std::string_view bytes;           // until the next call
    std::uint8_t kind = 0;            // as it was set
    std::uint64_t expires_in_ns = 0;  // 0: never
  };
  struct Stats {
    CacheCounts counts;
    CacheBounds bounds;
    std::uint64_t entries = 0;  // expired ones that nobody has met included
    std::uint64_t bytes = 0;    // LruStore::bytes()
  };

  TenantCache(TenantId tenant, CacheBounds bounds);

  // `now_ns` is of one monotonic clock. Nothing blocks. Errors of every call: no_tenant (the
  // context is another tenant's); with a key: invalid_argument (empty, longer than 256 bytes, not
  // printable UTF-8).
  [[nodiscard]] Result<std::optional<Value>> get(const ExecutionContext& context,
                                                 std::string_view key, std::uint64_t now_ns);
  // ttl_ns 0: no end. How many entries had to make room. Errors besides: invalid_argument (a value
  // over 64 KiB), resource_exhausted (alone it is over the tenant's bounds); what was there stays.
  [[nodiscard]] Result<std::uint64_t> set(const ExecutionContext& context, std::string_view key,
                                          std::string_view value, std::uint8_t kind,
                                          std::uint64_t ttl_ns, std::uint64_t now_ns);
  // False: it was not there.
  [[nodiscard]] Result<bool> remove(const ExecutionContext& context, std::string_view key,
                                    std::uint64_t now_ns);
  // How many there were.
  [[nodiscard]] Result<std::uint64_t> clear(const ExecutionContext& context);
  [[nodiscard]] Result<Stats> stats(const ExecutionContext& context) const;
  // Lower bounds hold at once.
  [[nodiscard]] Status set_bounds(const ExecutionContext& context, CacheBounds bounds,
                                  std::uint64_t now_ns);

 private:
  // The key as it is kept, until the next call.
  [[nodiscard]] Result<std::string_view> name_of(const ExecutionContext& context,
                                                 std::string_view key);

  TenantId tenant_;
  LruStore store_;
  std::string name_;  // "<tenant>:" and the last key
  std::size_t prefix_bytes_ = 0;
};

}  // namespace tenantd
