// A caller's place at one target: attaches when there is work, sends a request, waits for its
// answer, and survives the server's death as far as the call's deadline and the request allow.
//
// Runs in: client library.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include "client/attachment.h"
#include "client/fork_guard.h"
#include "client/include/tenantd/client.h"

namespace tenantd::client {

class Session {
 public:
  static constexpr std::uint64_t backoff_min_ms = 10;
  static constexpr std::uint64_t backoff_max_ms = 1000;
  static constexpr std::uint64_t timeout_max_ms = 24ULL * 3600 * 1000;

  // Attaches within the timeout. `target.token` is checked for its length.
  [[nodiscard]] static Result<std::unique_ptr<Session>> open(Target target,
                                                             std::uint64_t timeout_ms);

  // One request and its answer. timeout_ms 0: the session's.
  template <class Reply, class Request>
  [[nodiscard]] Result<Reply> call(const Request& request, std::uint64_t timeout_ms = 0) {
    payload_.clear();
    if (auto encoded = encode(request, payload_); !encoded) {
      return tl::unexpected(with_tenant(encoded.error()));
    }
    const auto answer = exchange(Request::type, Reply::type, timeout_ms);
    if (!answer) return tl::unexpected(with_tenant(answer.error()));
    auto reply = decode<Reply>(*answer);
    if (reply) return reply;
    attachment_.reset();
    return tl::unexpected(with_tenant(reply.error()));
  }

  // Many requests, sent together; an answer or an error for each, in their order. One timeout for
  // all. Error: of the whole, only what would be every single one's.
  template <class Reply, class Request>
  [[nodiscard]] Result<std::vector<Result<Reply>>> call_many(std::span<const Request> requests,
                                                             std::uint64_t timeout_ms) {
    std::vector<Result<Reply>> replies(requests.size());
    Batch batch;
    batch.type = Request::type;
    batch.answer = Reply::type;
    batch.size = requests.size();
    batch.encode = [&](std::size_t i, std::vector<std::byte>& out) {
      return encode(requests[i], out);
    };
    batch.done = [&](std::size_t i, Result<std::span<const std::byte>> answer) {
      replies[i] = answer ? decode<Reply>(*answer) : tl::unexpected(std::move(answer.error()));
    };
    if (auto done = exchange_many(batch, timeout_ms); !done) {
      return tl::unexpected(with_tenant(done.error()));
    }
    return replies;
  }

  [[nodiscard]] const Welcome& welcome() const noexcept { return welcome_; }
  [[nodiscard]] Transport transport() const noexcept { return transport_; }
  [[nodiscard]] const ClientStatistics& statistics() const noexcept { return statistics_; }

 private:
  // What became of one sending of a request.
  enum class Fate {
    answered,
    never_ran,  // to be sent again, whatever it is
    unknown,    // the server went away: to be sent again if that is harmless
  };
  struct Outcome {
    Fate fate = Fate::unknown;
    std::span<const std::byte> payload;
  };

  struct Batch {
    MessageType type = MessageType::ping;
    MessageType answer = MessageType::pong;
    std::size_t size = 0;
    std::function<Status(std::size_t, std::vector<std::byte>&)> encode;
    std::function<void(std::size_t, Result<std::span<const std::byte>>)> done;  // once each
  };

  Session(Target target, std::uint64_t timeout_ms, ForkGuard guard);
  [[nodiscard]] Status exchange_many(const Batch& batch, std::uint64_t timeout_ms);
  [[nodiscard]] Result<std::span<const std::byte>> exchange(MessageType type, MessageType answer,
                                                            std::uint64_t timeout_ms);
  [[nodiscard]] Status attach(std::uint64_t until_ns);
  [[nodiscard]] bool is_stale(bool idempotent, std::uint64_t now_ns);
  [[nodiscard]] Result<Outcome> try_once(MessageType type, MessageType answer,
                                         std::uint16_t attempts, std::uint64_t until_ns);
  [[nodiscard]] Result<Outcome> await(std::uint64_t id, MessageType answer, std::uint64_t until_ns);
  [[nodiscard]] Result<Outcome> take_error(const FrameView& frame);
  [[nodiscard]] Status take_goaway(const FrameView& frame);
  // Sleeps before another attempt; false when the deadline leaves no room for one.
  [[nodiscard]] bool back_off(std::uint64_t least_ms, std::uint64_t until_ns);
  [[nodiscard]] Error with_tenant(Error error) const;

  Target target_;
  ForkGuard guard_;
  std::uint64_t timeout_ms_;
  std::unique_ptr<Attachment> attachment_;
  Welcome welcome_;
  Transport transport_ = Transport::stream;
  ClientStatistics statistics_;
  std::vector<std::byte> payload_;
  std::uint64_t last_id_ = 0;         // ids grow over all attachments
  std::uint64_t last_active_ns_ = 0;  // when the server was last known to be there
  std::uint64_t last_taken_id_ = 0;   // as GOAWAY says
  bool going_away_ = false;
  std::uint64_t backoff_ms_ = backoff_min_ms;
  std::minstd_rand jitter_;
};

}  // namespace tenantd::client
