// What the attachments of one tenant have in common: whom they act for, and their place in the
// queue for this process's time.
//
// Runs in: worker, loop thread. Outlives its attachments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "worker/handlers/dispatcher.h"

namespace tenantd {

struct TenantSeat {
  const ExecutionContext& context;
  HandlerServices& services;
  Dispatcher& dispatcher;

  std::size_t attachments = 0;
  std::uint64_t last_used_ns = 0;  // CLOCK_MONOTONIC; of a shared worker only

  // AttachmentSet's, where tenants share the worker.
  std::deque<std::uint64_t> busy{};  // attachments with work, next first; may name ended ones
  std::int64_t credit_ns = 0;        // of this round; below 0: it took more than its share
  bool queued = false;
};

}  // namespace tenantd
