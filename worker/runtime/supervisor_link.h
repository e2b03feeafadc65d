// The worker's end of the link: messages in and out, and finding the next supervisor when this one
// is gone.
//
// Runs in: worker, loop thread. The supervisor is trusted; still, only well-formed messages of the
// contract are acted on. EOF is no reason to exit: the worker connects again, with backoff and
// jitter, and waits to be adopted for at most orphan_grace. While linked no timer runs.
#pragma once

#include <functional>
#include <memory>
#include <random>
#include <string>

#include "shared/channel/link_channel.h"
#include "shared/contract/launch_spec.h"
#include "shared/loop/loop.h"

namespace tenantd {

struct LinkIdentity {
  std::string socket_path;  // where a supervisor listens for workers that register again
  FixedText<64> tenant_id{};
  std::uint64_t generation = 0;
  std::uint32_t applied_layers = 0;
  std::uint64_t orphan_grace_ms = 0;
};

struct LinkEvents {
  std::function<void(const Attach&, UniqueFd)> on_attach;
  std::function<void(const Settings&)> on_settings;
  std::function<void(const ReleaseTenant&)> on_release;
  std::function<void(const MoveRows&)> on_move_rows;
  std::function<void(const Drain&)> on_drain;
  std::function<void(UniqueFd)> on_log_pipe;
  std::function<void()> on_status_request;
  std::function<void()> on_lost;  // EOF: registering again begins
  std::function<void()> on_adopted;
  std::function<void()> on_orphaned;  // nobody adopted within the grace; called once
};

class SupervisorLink {
 public:
  static constexpr std::uint64_t first_retry_ms = 50;
  static constexpr std::uint64_t last_retry_ms = 1000;

  SupervisorLink(Loop& loop, LinkIdentity identity, LinkEvents events);

  // `socket` comes from the launch; when it is unusable, registering again begins.
  void start(UniqueFd socket);
  // Says goodbye: no reconnecting from now on. What was sent stays sent.
  void stop();

  template <class T>
  [[nodiscard]] Status send(const T& message) {
    if (!channel_) return fail(ErrorCode::unavailable, "no supervisor");
    return channel_->send(message);
  }
  [[nodiscard]] bool adopted() const noexcept { return adopted_; }

 private:
  void open(UniqueFd socket);
  void lose();
  void retry_later();
  void connect_again();
  void receive(std::span<const std::byte> packet, UniqueFd descriptor);

  Loop& loop_;
  LinkIdentity identity_;
  LinkEvents events_;
  std::unique_ptr<LinkChannel> channel_;
  bool adopted_ = false;
  bool stopped_ = false;
  std::uint64_t retry_ms_ = first_retry_ms;
  std::minstd_rand jitter_;
  Timer retry_timer_;
  Timer orphan_timer_;
};

}  // namespace tenantd
