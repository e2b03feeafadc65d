// Many requests at one target at once: sent as room allows, answered in any order, each with its
// deadline, and sent again after the server's death as far as the request allows.
//
// Runs in: client library; never blocks but in wait(). Behind AsyncClient, and behind a Client's
// batches. Bounded: requests and bytes that have no answer yet. What comes in is the server's:
// decoded with its bounds by whoever submitted.
//
//   detached → attaching → attached;   any → resting (until retry_at_ns_) → detached
// It attaches only with requests outstanding. A request's id grows with its place in the order, so
// that GOAWAY's last_request_id parts what was taken from what never ran.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include "client/attachment.h"
#include "client/include/tenantd/client.h"

namespace tenantd::client {

// Told which socket to look at. Called by the pipeline, never after its end.
class SocketWatcher {
 public:
  virtual ~SocketWatcher() = default;
  // for_room: also when the socket takes bytes again. Repeated when that changes.
  virtual void watch(int socket, bool for_room) = 0;
  virtual void unwatch(int socket) = 0;
};

class Pipeline {
 public:
  // The answer's payload, valid during the call. May submit and cancel.
  using Done = std::function<void(Result<std::span<const std::byte>>)>;

  struct Bounds {
    std::size_t requests = 1024;
    std::size_t bytes = 8U << 20U;  // of encoded requests
  };
  struct Request {
    MessageType type = MessageType::ping;
    MessageType answer = MessageType::pong;
    std::uint64_t until_ns = 0;
  };

  // Everything is borrowed and outlives the pipeline. Ids go on after last_id.
  Pipeline(const Target& target, ClientStatistics& statistics, const Bounds& bounds,
           std::uint64_t last_id = 0, SocketWatcher* watcher = nullptr);
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  // Goes on with an attachment that is there already, and gives it back (or none).
  void adopt(std::unique_ptr<Attachment> attachment);
  [[nodiscard]] std::unique_ptr<Attachment> release() noexcept;

  // Takes the request over; `done` is called once, from process(). A buffer for `payload` that
  // saves an allocation: spare(). Errors: resource_exhausted (a bound is reached: process, then
  // again), invalid_argument (larger than a frame).
  [[nodiscard]] Result<std::uint64_t> submit(const Request& request, std::vector<std::byte> payload,
                                             Done done);
  [[nodiscard]] std::vector<std::byte> spare();
  // True: its `done` will not be called. Its answer, should it come, is dropped.
  bool cancel(std::uint64_t id);

  // Sends what was submitted so far, if the server can work on it meanwhile; for use between
  // submit()s. Whatever else there is waits for process().
  void send_early();

  // Does all that can be done without waiting; returns how many requests ended.
  std::size_t process();
  // Sleeps until process() may have something to do, or until_ns.
  void wait(std::uint64_t until_ns) noexcept;
  // When process() must be called even if the socket stays silent; ~0: never.
  [[nodiscard]] std::uint64_t next_due_ns() const noexcept;

  [[nodiscard]] std::size_t outstanding() const noexcept { return outstanding_; }
  [[nodiscard]] bool has_room() const noexcept {
    return outstanding_ < bounds_.requests && bytes_ < bounds_.bytes;
  }
  [[nodiscard]] std::uint64_t last_id() const noexcept { return last_id_; }
  [[nodiscard]] bool is_going_away() const noexcept { return going_away_; }

 private:
  enum class Phase { detached, attaching, attached };
  enum class State : std::uint8_t { waiting, sent, ended };
  struct Entry {
    Request request;
    State state = State::waiting;
    bool idempotent = false;
    std::uint16_t attempts = 0;  // that may have run
    std::uint64_t start_ns = 0;
    std::vector<std::byte> payload;
    Done done;
  };
  static constexpr std::size_t slice_frames = 256;  // taken by one process()

  [[nodiscard]] Entry* find(std::uint64_t id) noexcept;
  void finish(Entry& entry, Result<std::span<const std::byte>> result);
  void drop(Entry& entry) noexcept;
  template <class Chosen>
  void fail_each(const Error& error, Chosen&& chosen);
  void expire(std::uint64_t now_ns);
  void go_on_attaching(std::uint64_t now_ns);
  void could_not_attach(const Error& error, std::uint64_t now_ns);
  void collect();
  [[nodiscard]] bool take(const FrameView& frame);  // false: the attachment is of no more use
  [[nodiscard]] bool take_error(const FrameView& frame);
  void send_waiting();
  // The attachment is gone: what may be sent again waits, the rest fails. With an error that the
  // server is to blame for, what was sent fails with it.
  void lose(const Error* fault = nullptr);
  void rest(std::uint64_t least_ms, std::uint64_t now_ns);
  void watch();

  const Target& target_;
  ClientStatistics& statistics_;
  Bounds bounds_;
  SocketWatcher* watcher_;
  std::unique_ptr<Attachment> attachment_;
  Phase phase_ = Phase::detached;
  std::deque<Entry> entries_;  // ids first_id_, first_id_ + 1, …
  std::uint64_t first_id_;
  std::uint64_t last_id_;
  std::uint64_t next_to_send_;
  std::uint64_t last_taken_id_ = 0;  // as GOAWAY says
  std::uint64_t earliest_ns_;        // no deadline is before it
  std::uint64_t retry_at_ns_ = 0;
  std::uint64_t backoff_ms_;
  std::size_t outstanding_ = 0;
  std::size_t bytes_ = 0;
  std::size_t ended_in_turn_ = 0;
  std::uint32_t quick_losses_ = 0;  // attachments lost since the last answer
  bool was_attached_ = false;
  bool going_away_ = false;
  bool blocked_ = false;  // no room for what waits
  bool more_ = false;     // the last slice ended before the frames did
  bool processing_ = false;
  Error last_attach_error_;  // while there is no attachment
  bool attach_failed_ = false;
  std::vector<std::vector<std::byte>> spares_;
  std::minstd_rand jitter_;
};

}  // namespace tenantd::client
