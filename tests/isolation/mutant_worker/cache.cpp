// A worker whose tenants share one cache, without a namespace of their own.
//
// Runs in: the sandbox, in place of a pooled worker. Test only.
#include "worker/cache/tenant_cache.h"

using tenantd::CacheBounds;
using tenantd::ExecutionContext;
using tenantd::Result;
using tenantd::TenantBinding;
using tenantd::TenantCache;
using tenantd::TenantId;

namespace {

struct Shared {
  TenantId id = TenantId::parse("everybody").value();
  TenantBinding binding{id};
  TenantCache cache{id, CacheBounds{1U << 20U, 1000}};
};
Shared& shared() {
  static Shared one;
  return one;
}

}  // namespace

extern "C" {
#define GET \
  _ZN7tenantd11TenantCache3getERKNS_16ExecutionContextESt17basic_string_viewIcSt11char_traitsIcEEm
#define SET \
  _ZN7tenantd11TenantCache3setERKNS_16ExecutionContextESt17basic_string_viewIcSt11char_traitsIcEES7_hmm
#define REMOVE \
  _ZN7tenantd11TenantCache6removeERKNS_16ExecutionContextESt17basic_string_viewIcSt11char_traitsIcEEm
#define CLEAR _ZN7tenantd11TenantCache5clearERKNS_16ExecutionContextE
#define STATS _ZNK7tenantd11TenantCache5statsERKNS_16ExecutionContextE
#define JOINED_(prefix, name) prefix##name
#define JOINED(prefix, name) JOINED_(prefix, name)
#define REAL(name) JOINED(__real_, name)
#define WRAP(name) JOINED(__wrap_, name)

Result<std::optional<TenantCache::Value>> REAL(GET)(TenantCache*, const ExecutionContext&,
                                                    std::string_view, std::uint64_t);
Result<std::uint64_t> REAL(SET)(TenantCache*, const ExecutionContext&, std::string_view,
                                std::string_view, std::uint8_t, std::uint64_t, std::uint64_t);
Result<bool> REAL(REMOVE)(TenantCache*, const ExecutionContext&, std::string_view, std::uint64_t);
Result<std::uint64_t> REAL(CLEAR)(TenantCache*, const ExecutionContext&);
Result<TenantCache::Stats> REAL(STATS)(const TenantCache*, const ExecutionContext&);

Result<std::optional<TenantCache::Value>> WRAP(GET)(TenantCache*, const ExecutionContext&,
                                                    std::string_view key, std::uint64_t now_ns) {
  return REAL(GET)(&shared().cache, shared().binding.context(), key, now_ns);
}
Result<std::uint64_t> WRAP(SET)(TenantCache*, const ExecutionContext&, std::string_view key,
                                std::string_view value, std::uint8_t kind, std::uint64_t ttl_ns,
                                std::uint64_t now_ns) {
  return REAL(SET)(&shared().cache, shared().binding.context(), key, value, kind, ttl_ns, now_ns);
}
Result<bool> WRAP(REMOVE)(TenantCache*, const ExecutionContext&, std::string_view key,
                          std::uint64_t now_ns) {
  return REAL(REMOVE)(&shared().cache, shared().binding.context(), key, now_ns);
}
Result<std::uint64_t> WRAP(CLEAR)(TenantCache*, const ExecutionContext&) {
  return REAL(CLEAR)(&shared().cache, shared().binding.context());
}
Result<TenantCache::Stats> WRAP(STATS)(const TenantCache*, const ExecutionContext&) {
  return REAL(STATS)(&shared().cache, shared().binding.context());
}
}
