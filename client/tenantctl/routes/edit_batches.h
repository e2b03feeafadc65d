// Splits routes into edits that each fit one message.
//
// Runs in: tenantctl. A route that is too long for one edit is put with its first utterances and
// continued with add_utterances; a message is all or nothing, an import of several is not.
#pragma once

#include <cstdint>
#include <vector>

#include "shared/base/error.h"
#include "shared/protocol/routing_messages.h"

namespace tenantd {

struct BatchLimits {
  std::size_t max_bytes = 0;  // of a message's payload
  std::size_t max_edits = 0;
};

// What the worker that sent `max_batch_size` takes; 0 means one edit a message.
[[nodiscard]] BatchLimits batch_limits(std::uint32_t max_batch_size) noexcept;
// An upper bound of the encoded size.
[[nodiscard]] std::size_t utterance_bytes(const UtteranceMessage& utterance) noexcept;
[[nodiscard]] std::size_t edit_bytes(const RouteEditMessage& edit) noexcept;
// Errors: invalid_argument when one utterance, or what a route has beside them, fits no message.
[[nodiscard]] Result<std::vector<RouteEditMessage>> split_route(RouteMessage route, EditKind kind,
                                                                const BatchLimits& limits);

// Collects edits until the next one would not fit.
class EditBatcher {
 public:
  explicit EditBatcher(BatchLimits limits) : limits_(limits) {}
  [[nodiscard]] bool fits(const RouteEditMessage& edit) const noexcept;
  void add(RouteEditMessage edit);
  [[nodiscard]] bool empty() const noexcept { return batch_.edits.empty(); }
  // What was collected; the batcher is empty then.
  [[nodiscard]] RoutesEdit take();

 private:
  BatchLimits limits_;
  RoutesEdit batch_;
  std::size_t bytes_ = 0;
};

}  // namespace tenantd
