// A pipeline with one descriptor to poll: an epoll set of its socket of the moment and a timer.
//
// Runs in: client library, behind AsyncClient. The set outlives attachments, so that a loop
// registers it once.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "client/fork_guard.h"
#include "client/pipeline.h"
#include "client/target.h"

namespace tenantd::client {

class AsyncSession final : private SocketWatcher {
 public:
  [[nodiscard]] static Result<std::unique_ptr<AsyncSession>> open(Target target,
                                                                  std::uint64_t timeout_ms,
                                                                  const Pipeline::Bounds& bounds);
  ~AsyncSession() override;
  AsyncSession(const AsyncSession&) = delete;
  AsyncSession& operator=(const AsyncSession&) = delete;

  template <class Reply, class Request>
  [[nodiscard]] Result<std::uint64_t> submit(const Request& request,
                                             std::function<void(Result<Reply>)> done,
                                             std::uint64_t timeout_ms) {
    std::vector<std::byte> payload = pipeline_.spare();
    if (auto encoded = encode(request, payload); !encoded) {
      return tl::unexpected(encoded.error());
    }
    return submit_payload(Request::type, Reply::type, std::move(payload), timeout_ms,
                          [done = std::move(done)](Result<std::span<const std::byte>> answer) {
                            if (!answer) return done(tl::unexpected(std::move(answer.error())));
                            done(decode<Reply>(*answer));
                          });
  }
  bool cancel(std::uint64_t id) { return pipeline_.cancel(id); }
  [[nodiscard]] Result<std::size_t> process();
  [[nodiscard]] Result<std::size_t> wait(std::uint64_t timeout_ms);

  [[nodiscard]] int fd() const noexcept { return epoll_.get(); }
  [[nodiscard]] std::size_t outstanding() const noexcept { return pipeline_.outstanding(); }
  [[nodiscard]] const ClientStatistics& statistics() const noexcept { return statistics_; }

 private:
  AsyncSession(Target target, std::uint64_t timeout_ms, const Pipeline::Bounds& bounds,
               ForkGuard guard, UniqueFd epoll, UniqueFd timer);
  [[nodiscard]] Result<std::uint64_t> submit_payload(MessageType type, MessageType answer,
                                                     std::vector<std::byte> payload,
                                                     std::uint64_t timeout_ms, Pipeline::Done done);
  void watch(int socket, bool for_room) override;
  void unwatch(int socket) override;
  void arm_timer();

  Target target_;
  std::uint64_t timeout_ms_;
  ForkGuard guard_;
  UniqueFd epoll_;
  UniqueFd timer_;
  std::uint64_t armed_ns_ = ~std::uint64_t{0};  // when the timer goes off; ~0: never
  int watched_ = -1;
  bool watched_for_room_ = false;
  ClientStatistics statistics_;
  Pipeline pipeline_;  // last: it calls unwatch() when it goes
};

}  // namespace tenantd::client
