// What is recorded of `route` and `route_batch`, and `executions_request` and `retention_request`,
// the part on the loop thread: who may ask.
//
// Runs in: worker, loop thread.
#pragma once

#include "worker/handlers/dispatcher.h"

namespace tenantd {

// A history names other users: only operators may read it or delete of it, by the supervisor's
// word. Error: permission_denied.
[[nodiscard]] Status check_history_request(const Caller& caller);

// Appends the answer or its error. True: an answer.
[[nodiscard]] bool append_history_answer(std::vector<std::byte>& out, std::uint64_t request_id,
                                         const Result<HistoryAnswer>& answer);

// One frame's requests on their way into the history, if they are chosen for it. Where nothing is
// recorded it costs one branch.
class RecordedExecution {
 public:
  // Borrows everything. Reads the clock if something may be recorded. `is_batch`: which of its
  // items are is not known yet.
  RecordedExecution(HandlerServices& services, const ExecutionContext& context,
                    const Caller& caller, std::uint64_t request_id, bool is_batch) noexcept
      : recorder_(services.recorder), context_(context), caller_(caller), request_id_(request_id) {
    if (recorder_ != nullptr) begin(is_batch);
  }
  void note(const Result<RouteReply>& reply) {
    if (recorder_ != nullptr) note_one(reply);
  }
  // One record an item.
  void note(const Result<RouteBatchReply>& reply) {
    if (recorder_ != nullptr) note_all(reply);
  }

 private:
  void begin(bool is_batch) noexcept;
  void note_one(const Result<RouteReply>& reply);
  void note_all(const Result<RouteBatchReply>& reply);
  // Null: an error.
  void record(const RouteReply* reply, std::int64_t now_us, std::uint32_t latency_us);
  [[nodiscard]] std::uint32_t latency_us() const noexcept;

  ExecutionRecorder* recorder_;
  const ExecutionContext& context_;
  const Caller& caller_;
  std::uint64_t request_id_;
  std::uint64_t began_ns_ = 0;
  bool chosen_ = false;  // the frame's first request
};

}  // namespace tenantd
