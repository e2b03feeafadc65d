#include "worker/runtime/supervisor_link.h"

#include <algorithm>
#include <utility>

#include "shared/base/clock.h"
#include "shared/os/socket.h"

namespace tenantd {

SupervisorLink::SupervisorLink(Loop& loop, LinkIdentity identity, LinkEvents events)
    : loop_(loop),
      identity_(std::move(identity)),
      events_(std::move(events)),
      jitter_(static_cast<std::minstd_rand::result_type>(monotonic_ns())),
      retry_timer_(loop),
      orphan_timer_(loop) {}

void SupervisorLink::start(UniqueFd socket) {
  adopted_ = true;  // the supervisor that launched us knows us
  open(std::move(socket));
  if (!channel_) lose();
}

void SupervisorLink::stop() {
  stopped_ = true;
  retry_timer_.stop();
  orphan_timer_.stop();
}

void SupervisorLink::open(UniqueFd socket) {
  auto channel = LinkChannel::create(
      loop_, std::move(socket), LinkChannel::Descriptors::accept,
      [this](std::span<const std::byte> packet, UniqueFd descriptor) {
        receive(packet, std::move(descriptor));
      },
      [this] { lose(); });
  if (channel) channel_ = std::move(*channel);
}

void SupervisorLink::lose() {
  channel_.reset();
  if (stopped_) return;
  if (std::exchange(adopted_, false)) {
    retry_ms_ = first_retry_ms;
    orphan_timer_.start(identity_.orphan_grace_ms, [this] {
      stop();
      channel_.reset();
      events_.on_orphaned();
    });
    events_.on_lost();
  }
  if (!stopped_) retry_later();
}

void SupervisorLink::retry_later() {
  // Full jitter over the upper half: a thousand workers of one host must not come in step.
  const std::uint64_t half = std::max<std::uint64_t>(retry_ms_ / 2, 1);
  const std::uint64_t wait_ms = half + jitter_() % half;
  retry_ms_ = std::min(retry_ms_ * 2, last_retry_ms);
  retry_timer_.start(wait_ms, [this] { connect_again(); });
}

void SupervisorLink::connect_again() {
  auto socket = connect_unix(identity_.socket_path, SocketKind::seqpacket);
  if (!socket) return retry_later();
  open(std::move(*socket));
  if (!channel_) return retry_later();
  auto hello = make_link_message<WorkerHello>(identity_.generation);
  hello.tenant_id = identity_.tenant_id;
  hello.applied_layers = identity_.applied_layers;
  if (!channel_->send(hello)) lose();
}

void SupervisorLink::receive(std::span<const std::byte> packet, UniqueFd descriptor) {
  Attach attach;
  if (parse_link_message(packet, attach)) return events_.on_attach(attach, std::move(descriptor));
  Settings settings;
  if (parse_link_message(packet, settings)) return events_.on_settings(settings);
  ReleaseTenant release;
  if (parse_link_message(packet, release)) return events_.on_release(release);
  MoveRows move;
  if (parse_link_message(packet, move)) return events_.on_move_rows(move);
  Drain drain;
  if (parse_link_message(packet, drain)) return events_.on_drain(drain);
  LogPipe log_pipe;
  if (parse_link_message(packet, log_pipe)) return events_.on_log_pipe(std::move(descriptor));
  StatusRequest status;
  if (parse_link_message(packet, status)) return events_.on_status_request();
  Adopted adopted;
  if (parse_link_message(packet, adopted) && !std::exchange(adopted_, true)) {
    orphan_timer_.stop();
    events_.on_adopted();
  }
}

}  // namespace tenantd
