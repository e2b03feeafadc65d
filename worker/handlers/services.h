// What the handlers work with, and the seam where usage will be metered.
//
// Runs in: worker, loop thread. Owned by the worker's runtime; handlers only borrow it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "shared/contract/tenant_settings.h"
#include "shared/protocol/messages.h"
#include "shared/protocol/routing_messages.h"

namespace tenantd {

class TenantRouter;
class ReencodingProgress;
class IndexReport;
class ExecutionRecorder;
struct TenantCaches;

struct WorkerCounters {
  std::uint64_t requests = 0;  // answered since start, errors included
  std::uint64_t errors = 0;
  std::uint64_t attachments = 0;  // now
  std::uint64_t attachments_refused = 0;
  std::uint64_t peer_faults = 0;  // attachments dropped for what the peer did
};

struct StoreHealth {
  bool degraded = false;
  std::string reason;
};

// One request that ran, as showback will count it. The texts are the client's claims: bounded and
// printable, never trusted for access. Views live as long as the call.
struct UsageSample {
  MessageType operation{};
  std::string_view user;
  std::string_view department;
  std::span<const Label> labels;
  std::uint32_t text_bytes = 0;
  std::uint32_t request_bytes = 0;
  std::uint32_t reply_bytes = 0;
  bool failed = false;
};
// Called once per answered request on the loop thread; must not block or throw.
using UsageSink = std::function<void(const UsageSample&)>;

struct HandlerServices {
  TenantRouter* router = nullptr;         // null: no snapshot could be loaded, see `store`
  TenantCaches* caches = nullptr;         // with or without a router: nothing of it is stored
  ExecutionRecorder* recorder = nullptr;  // null: no request is recorded
  StoreHealth store;
  std::shared_ptr<const ReencodingProgress> reencoding;  // null with `router`
  std::shared_ptr<const IndexReport> index;              // likewise
  WorkerCounters counters;
  TenantSettings settings{};
  std::uint64_t generation = 0;
};

// store_degraded with the reason, for a request that needs what the store could not give.
[[nodiscard]] Error store_degraded_error(const StoreHealth& health);

}  // namespace tenantd
