// One frame from a client in, one answer out: the rules every request must pass, then its handler.
//
// Runs in: worker, loop thread. The frame is hostile; the tenant comes from the attachment's
// context only. Malformed bytes are the peer's fault and cost its attachment; a wrong value is an
// answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "shared/protocol/frame.h"
#include "shared/protocol/history_messages.h"
#include "shared/protocol/trial_messages.h"
#include "worker/handlers/services.h"
#include "worker/history/execution_record.h"
#include "worker/router/types.h"
#include "worker/runtime/execution_context.h"

namespace tenantd {

using HistoryAsk = std::variant<ExecutionsRequest, RetentionRequest>;
using HistoryAnswer = std::variant<Executions, Retention>;

// Edits, a trial, or a question about the history, on their way to the editor thread. `context`
// outlives every job: the worker's binding does.
struct EditJob {
  std::uint64_t attachment_id = 0;
  std::uint64_t request_id = 0;
  std::uint64_t deadline_ns = 0;  // CLOCK_MONOTONIC; 0: none. Checked again when its turn comes
  const ExecutionContext* context = nullptr;
  std::vector<RouteEdit> edits;
  std::optional<RoutesTrial> trial;   // then there are no edits
  std::optional<HistoryAsk> history;  // likewise
};
struct EditResult {
  std::uint64_t attachment_id = 0;
  std::uint64_t request_id = 0;
  Result<RoutesEdited> edited;
  std::optional<Result<RoutesTried>> tried = std::nullopt;   // of a trial; then `edited` is unset
  std::optional<Result<HistoryAnswer>> told = std::nullopt;  // of a question; likewise
};

enum class Dispatched {
  answered,    // one frame was appended
  deferred,    // the answer comes from the editor thread
  peer_fault,  // an error frame was appended; drop the attachment
};

class Dispatcher {
 public:
  // Takes the job or says resource_exhausted, unavailable.
  using SubmitEdit = std::function<Status(EditJob)>;

  Dispatcher(HandlerServices& services, SubmitEdit submit_edit, UsageSink usage)
      : services_(services), submit_edit_(std::move(submit_edit)), usage_(std::move(usage)) {}

  // `payload` is 4-byte aligned and header.size bytes long. `caller` is who sent it: without,
  // nobody in particular, who may not do what only operators may. Never blocks.
  [[nodiscard]] Dispatched dispatch(std::uint64_t attachment_id, const ExecutionContext& context,
                                    const FrameHeader& header, std::span<const std::byte> payload,
                                    std::vector<std::byte>& out, const Caller& caller = {});
  // Appends a deferred edit's answer and counts it.
  void finish_edit(const EditResult& result, std::vector<std::byte>& out);
  // Counts an edit whose attachment went away before its answer.
  void count_lost_answer(const EditResult& result) noexcept;

 private:
  struct Call {
    std::uint64_t attachment_id;
    const ExecutionContext& context;
    const FrameHeader& header;
    std::span<const std::byte> payload;
    std::vector<std::byte>& out;
    const Caller& caller;
  };
  // Without what is to be done.
  [[nodiscard]] static EditJob job_of(const Call& call);
  [[nodiscard]] Dispatched route(const Call& call);
  [[nodiscard]] Dispatched route_batch(const Call& call);
  [[nodiscard]] Dispatched edit(const Call& call);
  [[nodiscard]] Dispatched trial(const Call& call);
  [[nodiscard]] Dispatched page(const Call& call);
  [[nodiscard]] Dispatched stats(const Call& call);
  // A message of cache_messages.h.
  [[nodiscard]] Dispatched cache(const Call& call);
  // A message of history_messages.h.
  template <class Request, class Reply>
  [[nodiscard]] Dispatched history(const Call& call);
  [[nodiscard]] Dispatched fault(const Call& call, const Error& error);
  template <class T>
  [[nodiscard]] Dispatched answer(const Call& call, const Result<T>& reply, UsageSample sample);

  HandlerServices& services_;
  SubmitEdit submit_edit_;
  UsageSink usage_;
};

}  // namespace tenantd
