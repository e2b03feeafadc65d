// The tenant on whose behalf a call runs: the only place from which router, store and cache take
// it.
//
// Runs in: worker. No request carries a tenant that anyone believes. The process main makes one
// TenantBinding per tenant of its launch spec; whoever owns an attachment keeps the binding and
// lends its context to each call. A context cannot be copied, stored by value or made from a
// string, so a handler can act for no other tenant than the one its attachment was bound to.
#pragma once

#include <utility>

#include "shared/base/tenant_id.h"

namespace tenantd {

class ExecutionContext {
 public:
  ExecutionContext(const ExecutionContext&) = delete;
  ExecutionContext& operator=(const ExecutionContext&) = delete;

  [[nodiscard]] const TenantId& tenant() const noexcept { return tenant_; }

 private:
  friend class TenantBinding;
  explicit ExecutionContext(TenantId tenant) noexcept : tenant_(tenant) {}
  TenantId tenant_;
};

// The key with which contexts are made. Only process mains and the code that accepts attachments
// may make one: `TenantBinding` outside worker/main*, worker/runtime and tests is a defect.
class TenantBinding {
 public:
  // `tenant` comes from the launch spec or from the supervisor's attachment, never from a peer.
  explicit TenantBinding(TenantId tenant) noexcept : context_(tenant) {}

  // Valid as long as the binding; readable from any thread, as it never changes.
  [[nodiscard]] const ExecutionContext& context() const noexcept { return context_; }

 private:
  ExecutionContext context_;
};

}  // namespace tenantd
