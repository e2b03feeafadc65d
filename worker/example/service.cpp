#include "worker/example/service.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "shared/base/clock.h"
#include "shared/os/socket.h"

namespace tenantd::example {
namespace {

constexpr std::uint64_t first_retry_ms = 50;
constexpr std::uint64_t last_retry_ms = 1000;
constexpr int look_around_ms = 1000;  // for clients that let it wait

template <class T>
bool tell(const UniqueFd& link, const T& message) {
  if (!link) return false;
  const auto sent = send_message(link.get(), std::as_bytes(std::span(&message, 1)));
  return sent && *sent == IoOutcome::done;
}

GoawayReason reason_for_clients(DrainReason reason) noexcept {
  switch (reason) {
    case DrainReason::restarting:
      return GoawayReason::restarting;
    case DrainReason::replaced:
      return GoawayReason::replaced;
    case DrainReason::removed:
      return GoawayReason::removed;
    case DrainReason::stopping:
      break;
  }
  return GoawayReason::stopping;
}

}  // namespace

Service::Service(const LaunchSpec& spec, UniqueFd link) : spec_(spec), link_(std::move(link)) {
  shared_.generation = spec.generation;
  shared_.settings = spec.tenant;
}

ExitCode Service::run() {
  (void)tell(link_, make_link_message<Ready>(spec_.generation));
  while (!done()) wait();
  if (drain_ends_ns_) (void)tell(link_, make_link_message<Drained>(spec_.generation));
  return exit_code_;
}

bool Service::done() const {
  return drain_ends_ns_ && (clients_.empty() || monotonic_ns() >= *drain_ends_ns_);
}

void Service::wait() {
  std::vector<pollfd> polled = {{link_.get(), POLLIN, 0}};  // without a link -1: left out
  for (const auto& client : clients_) polled.push_back({client->fd(), client->wanted_events(), 0});
  if (::poll(polled.data(), polled.size(), wait_ms()) > 0) {
    const std::size_t known = clients_.size();  // an attach adds some at the end
    for (std::size_t i = 0; i < known; ++i) {
      const short events = polled[i + 1].revents;
      if (events != 0 && !clients_[i]->on_events(events)) clients_[i].reset();
    }
    std::erase(clients_, nullptr);
    if (polled[0].revents != 0) on_link();
  }
  drop_overdue();
  if (!link_ && monotonic_ns() >= retry_at_ns_) register_again();
  if (!adopted_ && monotonic_ns() >= orphaned_at_ns_) {
    drain(DrainReason::stopping, spec_.drain_timeout_ms, ExitCode::orphaned);
  }
}

int Service::wait_ms() const {
  std::uint64_t until = monotonic_ns() + look_around_ms * ns_per_ms;
  if (!link_) until = std::min(until, retry_at_ns_);
  if (!adopted_ && !drain_ends_ns_) until = std::min(until, orphaned_at_ns_);
  if (drain_ends_ns_) until = std::min(until, *drain_ends_ns_);
  const std::uint64_t now = monotonic_ns();
  return until <= now ? 0 : static_cast<int>((until - now) / ns_per_ms + 1);
}

void Service::drop_overdue() {
  const std::uint64_t now = monotonic_ns();
  std::erase_if(clients_, [now](const auto& client) { return client->is_overdue(now); });
}

// ---- the supervisor

void Service::on_link() {
  alignas(LinkHeader) std::array<std::byte, 6144> packet{};
  auto got = receive_message(link_.get(), packet, true);
  if (!got || got->outcome == IoOutcome::closed) return lose_link();
  if (got->outcome == IoOutcome::would_block || got->truncated) return;
  on_message(std::span(packet).first(got->size), std::move(got->descriptor));
}

void Service::on_message(std::span<const std::byte> packet, UniqueFd descriptor) {
  Attach attach_request;
  if (parse_link_message(packet, attach_request)) {
    return attach(attach_request, std::move(descriptor));
  }
  Settings settings;
  if (parse_link_message(packet, settings)) {
    if (settings.settings.tenant_id == spec_.tenant.tenant_id) shared_.settings = settings.settings;
    return;
  }
  Drain order;
  if (parse_link_message(packet, order)) {
    return drain(order.reason, order.timeout_ms, ExitCode::clean);
  }
  StatusRequest status;
  if (parse_link_message(packet, status)) return send_status();
  LogPipe log_pipe;
  if (parse_link_message(packet, log_pipe) && descriptor) {
    (void)::dup2(descriptor.get(), log_out_fd);
    (void)::dup2(descriptor.get(), log_err_fd);
  }
  Adopted adopted;
  if (parse_link_message(packet, adopted)) adopted_ = true;
}

void Service::attach(const Attach& attach, UniqueFd socket) {
  if (!socket) return;
  auto client = std::make_unique<Connection>(std::move(socket), shared_);
  if (attach.tenant_id.view() != spec_.tenant.tenant_id.view()) return;  // closes it
  if (clients_.size() >= shared_.settings.max_attachments) {
    ++refused_;
    return client->refuse(
        fail(ErrorCode::resource_exhausted, "as many connections as may be").value());
  }
  if (!client->start()) return;
  if (drain_ends_ns_ && !client->drain(goaway_)) return;
  clients_.push_back(std::move(client));
}

void Service::drain(DrainReason reason, std::uint64_t timeout_ms, ExitCode exit_code) {
  if (drain_ends_ns_) return;
  std::fprintf(stderr, "draining, %zu clients\n", clients_.size());
  drain_ends_ns_ = monotonic_ns() + timeout_ms * ns_per_ms;
  exit_code_ = exit_code;
  goaway_ = reason_for_clients(reason);
  std::erase_if(clients_, [this](const auto& client) { return !client->drain(goaway_); });
}

void Service::send_status() {
  auto status = make_link_message<WorkerStatus>(spec_.generation);
  status.requests = shared_.answered;
  status.errors = shared_.errors;
  status.attachments = clients_.size();
  status.attachments_refused = refused_;
  status.peer_faults = shared_.faults;
  status.snapshot_version = 1;
  (void)tell(link_, status);
}

void Service::lose_link() {
  link_.reset();
  const std::uint64_t now = monotonic_ns();
  if (std::exchange(adopted_, false)) {
    std::fprintf(stderr, "supervisor gone, serving on\n");
    orphaned_at_ns_ = now + spec_.orphan_grace_ms * ns_per_ms;
    retry_ms_ = first_retry_ms;
  }
  retry_at_ns_ = now + retry_ms_ * ns_per_ms;
  retry_ms_ = std::min(2 * retry_ms_, last_retry_ms);
}

void Service::register_again() {
  auto link = connect_unix(std::string(link_socket_path), SocketKind::seqpacket);
  if (!link) return lose_link();
  link_ = std::move(*link);
  auto hello = make_link_message<WorkerHello>(spec_.generation);
  hello.tenant_id = spec_.tenant.tenant_id;
  hello.applied_layers = spec_.supervisor_layers;
  if (!tell(link_, hello)) lose_link();
}

}  // namespace tenantd::example
