#include "supervisor/verify/probe_run.h"

#include <sys/wait.h>

#include <csignal>
#include <utility>

namespace tenantd {
namespace {

// Its report, the two of its attempt, one of each row, and few to spare for a flood.
constexpr ProgramBounds probe_bounds{
    .messages_per_second = 8 + static_cast<std::uint32_t>(RowProbe::count),
    .log_lines_per_second = 1};

// Our child, not reaped: the pid is still its own.
void end_child(pid_t pid) noexcept {
  (void)::kill(pid, SIGKILL);
  (void)::waitpid(pid, nullptr, 0);
}

}  // namespace

ProbeRun::ProbeRun(const ProbeServices& services, const LaunchRequest& request, OnEnd on_end)
    : services_(services),
      cgroup_(request.cgroup),
      required_(required_layers(request.limits, true)),
      tolerated_(request.tolerated),
      on_end_(std::move(on_end)),
      timeout_(services.loop) {}

Result<std::unique_ptr<ProbeRun>> ProbeRun::start(const ProbeServices& services,
                                                  LaunchRequest request, ProbeOrder order,
                                                  OnEnd on_end, RowConnections rows) {
  auto launched = services.launcher.launch(request);
  if (!launched) return tl::unexpected(launched.error());
  services.network_helpers.watch(std::move(launched->network.pidfd));
  std::unique_ptr<ProbeRun> run(new ProbeRun(services, request, std::move(on_end)));
  auto* const self = run.get();
  self->end_.cpu_quota_us = request.limits.cpu_quota_us();
  self->end_.missing = self->required_.without(launched->provided);
  const pid_t pid = launched->pid;
  ProgramCallbacks callbacks;
  callbacks.on_message = [self](std::span<const std::byte> packet) { self->on_message(packet); };
  callbacks.on_link_ended = [self](bool) { self->misbehaved(); };
  callbacks.on_line = [](std::string_view, std::uint64_t) {};
  callbacks.on_died = [self](const DeathCause& cause) { self->conclude(cause); };
  auto process = ProgramProcess::watch(services.loop, pid, std::move(launched->pidfd),
                                       std::move(launched->link), std::move(launched->log),
                                       probe_bounds, std::move(callbacks));
  if (!process) {
    end_child(pid);
    services.reaper.reap(self->cgroup_);
    return tl::unexpected(process.error());
  }
  self->process_ = std::move(*process);
  self->give(order, std::move(rows));
  self->timeout_.start(timeout_ms, [self] {
    self->end_.late = true;
    self->process_->kill();
  });
  return run;
}

// Fails only where it has died already, which is told.
void ProbeRun::give(ProbeOrder order, RowConnections rows) {
  order.header.generation = cgroup_.generation;
  (void)process_->send(order);
  if (order.attempt != ProbeAttempt::rows) return;
  for (std::size_t side = 0; side < rows.sockets.size(); ++side) {
    auto one = make_link_message<RowTenant>(cgroup_.generation);
    one.side = static_cast<RowSide>(side);
    one.phase = rows.phase;
    if (rows.ids[side]) (void)one.tenant_id.assign(rows.ids[side]->view());
    (void)process_->send(one, std::move(rows.sockets[side]));
  }
}

ProbeRun::~ProbeRun() {
  if (!process_ || !on_end_) return;
  end_child(process_->pid());
  process_.reset();
  services_.reaper.reap(cgroup_);
}

void ProbeRun::misbehaved() {
  end_.faulty = true;
  process_->kill();
}

void ProbeRun::on_message(std::span<const std::byte> packet) {
  if (!take_probe_message(packet, cgroup_.generation, end_)) misbehaved();
}

void ProbeRun::conclude(const DeathCause& cause) {
  timeout_.stop();
  end_.cause = cause;
  if (const auto usage = services_.cgroups.usage(cgroup_)) end_.usage = *usage;
  services_.reaper.reap(cgroup_);
  end_.missing = end_.missing.without(end_.missing.without(tolerated_));
  const OnEnd on_end = std::exchange(on_end_, nullptr);
  const ProbeEnd end = end_;
  on_end(end);  // may destroy this
}

}  // namespace tenantd
