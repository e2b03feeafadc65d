#include "worker/runtime/worker.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "shared/base/clock.h"

namespace tenantd {
namespace {

// Of what is too old. Not at once: a worker that starts has to answer first, and a pooled one has
// many tenants to open.
constexpr std::uint64_t first_sweep_ms = 2'000;
constexpr std::uint64_t first_pool_sweep_ms = 15'000;
constexpr std::uint64_t sweep_every_ms = 24ULL * 60 * 60 * 1000;

GoawayReason goaway_reason(DrainReason reason) noexcept {
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

LinkIdentity identity_of(const WorkerOptions& options) {
  LinkIdentity identity;
  identity.socket_path = options.link_socket_path;
  identity.tenant_id = options.spec.tenant.tenant_id;
  identity.generation = options.spec.generation;
  identity.applied_layers = options.spec.supervisor_layers;
  identity.orphan_grace_ms = options.spec.orphan_grace_ms;
  return identity;
}

}  // namespace

Worker::Worker(Loop& loop, TenantId tenant, WorkerOptions options, LockDown lock_down)
    : loop_(loop),
      options_(std::move(options)),
      lock_down_(std::move(lock_down)),
      id_(tenant),
      log_(log_err_fd),
      edits_(std::in_place, loop,
             [this] { return tenant_ ? tenant_->work_while_idle() : tenants_->work_while_idle(); }),
      hosted_{loop,
              *edits_,
              log_,
              nullptr,
              [this](HostedTenant& hosted, const EditResult& result) {
                attachments_->deliver(result, hosted.seat().dispatcher);
                on_job_done(hosted);
              },
              [this](HostedTenant& hosted) { on_job_done(hosted); },
              [this] { send_status(); },
              [this](const TenantSettings& settings) { return room_for_routes(settings); }},
      link_(loop, identity_of(options_), link_events()),
      open_timer_(loop),
      drain_timer_(loop),
      sweep_timer_(loop) {}

// Attachments use seats, and the editor thread uses tenants.
Worker::~Worker() {
  attachments_.reset();
  edits_.reset();
}

LinkEvents Worker::link_events() {
  LinkEvents events;
  events.on_attach = [this](const Attach& request, UniqueFd socket) {
    // Before Ready nobody is owed an answer: the socket closes.
    if (phase_ != Phase::opening) attach(request, std::move(socket));
  };
  events.on_settings = [this](const Settings& message) { apply_settings(message.settings); };
  events.on_release = [this](const ReleaseTenant& message) { release(message); };
  events.on_move_rows = [this](const MoveRows& order) {
    if (tenants_ && phase_ == Phase::serving) tenants_->move_rows(order);
  };
  events.on_drain = [this](const Drain& message) { drain(message.reason, message.timeout_ms); };
  events.on_log_pipe = [this](const UniqueFd& pipe) { take_log_pipe(pipe); };
  events.on_status_request = [this] { send_status(); };
  events.on_lost = [this] { log_.write(LogLevel::warning, "supervisor gone, serving on"); };
  events.on_adopted = [this] {
    log_.write(LogLevel::info, "adopted by a new supervisor");
    send_status();
  };
  events.on_orphaned = [this] {
    log_.write(LogLevel::warning, "nobody adopted this worker, draining");
    drain(DrainReason::stopping, 0, ExitCode::orphaned);
  };
  return events;
}

Status Worker::make_attachments() {
  AttachmentLimits limits{options_.spec.memory_max_bytes, options_.handshake_timeout_ms,
                          options_.stall_timeout_ms};
  AttachmentSet::SeatEvents seat_events;
  if (pooled()) {
    auto mark = RunningMark::open(options_.data_directory + '/' + std::string(running_file_name));
    if (!mark) return tl::unexpected(mark.error());
    mark_.emplace(std::move(*mark));
    hosted_.mark = &*mark_;
    limits.most = options_.spec.tenant.max_attachments;
    seat_events = {[this](TenantSeat& seat) { tenants_->on_left(seat); },
                   [this](TenantSeat& seat) { tenants_->on_turn(seat); }};
  }
  auto attachments =
      AttachmentSet::create(loop_, log_, limits, hosted_.mark, std::move(seat_events));
  if (!attachments) return tl::unexpected(attachments.error());
  attachments_ = std::move(*attachments);
  if (pooled()) {
    tenants_ = std::make_unique<HostedTenants>(
        options_.spec, options_.data_directory,
        EncoderShelf(options_.encoder_directory, EncoderShelf::Layout::by_name), hosted_,
        *attachments_, [this] { finish_when_idle(); },
        [this](const MoveRows& order, const Status& status) { tell_moved(order, status); });
  } else {
    tenant_ = std::make_shared<HostedTenant>(id_, options_.spec.tenant, options_.spec.generation,
                                             hosted_);
  }
  return {};
}

void Worker::start(UniqueFd link) {
  if (const Status made = make_attachments(); !made) {
    log_.write(LogLevel::error, "cannot start", {{"reason", made.error().message}});
    return stop(ExitCode::failed);
  }
  link_.start(std::move(link));
  // Before the data, too: an earlier run of this worker may have been somebody else's.
  if (const Status locked = lock_down_(); !locked) {
    log_.write(LogLevel::error, "cannot lock down", {{"reason", locked.error().message}});
    return stop(ExitCode::confinement);
  }
  if (pooled()) return serve();
  open_deadline_ns_ = monotonic_ns() + options_.store_lock_timeout_ms * ns_per_ms;
  try_open();
}

void Worker::try_open() {
  if (phase_ != Phase::opening) return;
  auto data =
      TenantData::open(tenant_->context(), options_.data_directory, tenant_->services().settings,
                       EncoderShelf(options_.encoder_directory));
  if (!data && data.error().code == ErrorCode::unavailable) {
    // In a rolling restart the generation before us may hold the lease for a moment.
    constexpr std::uint64_t retry_ms = 50;
    if (monotonic_ns() < open_deadline_ns_) {
      return open_timer_.start(retry_ms, [this] { try_open(); });
    }
    log_.write(LogLevel::error, "another process writes this tenant's data");
    return stop(ExitCode::store_locked);
  }
  tenant_->open(std::move(data));
  serve();
}

void Worker::serve() {
  if (tenant_) tenant_->begin_background_work();
  phase_ = Phase::serving;
  const std::uint64_t first_ms = pooled() ? first_pool_sweep_ms : first_sweep_ms;
  hosted_.sweep_times.next_us = wall_clock_us() + static_cast<std::int64_t>(first_ms) * 1000;
  sweep_timer_.start(
      first_ms, [this] { sweep(); }, sweep_every_ms);
  (void)link_.send(make_link_message<Ready>(options_.spec.generation));
  WorkerStatus now;
  if (tenant_) tenant_->add_status(now);
  if (now.store_state == StoreState::degraded) send_status();
  log_.write(LogLevel::info, "ready",
             {{"generation", options_.spec.generation},
              {"routes", now.routes},
              {"shards", options_.spec.shards.count()}});
}

void Worker::attach(const Attach& request, UniqueFd socket) {
  if (tenants_) return tenants_->attach(request, std::move(socket));
  if (request.tenant_id.view() == id_.view()) {
    return attachments_->attach(request, std::move(socket), tenant_->seat());
  }
  Error error;
  error.code = ErrorCode::permission_denied;
  error.message = "this worker serves another tenant";
  ++tenant_->services().counters.attachments_refused;
  attachments_->refuse(request, socket, error);
}

void Worker::apply_settings(const TenantSettings& settings) {
  if (tenants_) return tenants_->take_settings(settings);
  if (settings.tenant_id != options_.spec.tenant.tenant_id) {
    return log_.write(LogLevel::error, "settings of another tenant ignored");
  }
  if (phase_ == Phase::serving) {
    tenant_->apply_settings(settings);
  } else {
    tenant_->take_settings(settings);  // try_open will read them
  }
}

void Worker::sweep() {
  const std::int64_t now_us = wall_clock_us();
  hosted_.sweep_times = {now_us, now_us + static_cast<std::int64_t>(sweep_every_ms) * 1000};
  if (tenant_) tenant_->history().sweep(now_us);
  if (tenants_) tenants_->sweep(now_us);
}

// Any thread. What the caches may take is not there for routes.
std::uint64_t Worker::room_for_routes(const TenantSettings& settings) const {
  const std::uint64_t all = options_.spec.memory_max_bytes;
  if (pooled()) return tenant_share_of_routes(all);
  // The supervisor lets caches have half of it at most; 0 is unknown.
  return memory_for_routes(all - std::min(settings.max_cache_bytes, all / 2));
}

void Worker::release(const ReleaseTenant& message) {
  const auto id = TenantId::parse(message.tenant_id.valid() ? message.tenant_id.view() : "");
  if (tenants_ && id) tenants_->release(*id, goaway_reason(message.reason));
}

void Worker::tell_moved(const MoveRows& order, const Status& status) {
  auto moved = make_link_message<RowsMoved>(options_.spec.generation);
  moved.tenant_id = order.tenant_id;
  moved.to = order.to;
  moved.done = status ? 1 : 0;
  if (!status) moved.reason.assign_truncated(status.error().message);
  (void)link_.send(moved);  // the next supervisor asks again
}

void Worker::on_job_done(HostedTenant& tenant) {
  if (tenants_) tenants_->on_job_done(tenant);
  finish_when_idle();
}

void Worker::send_status() {
  auto status = make_link_message<WorkerStatus>(options_.spec.generation);
  if (tenant_) tenant_->add_status(status);
  if (tenants_) tenants_->add_status(status);
  const bool sweeping =
      (tenants_ && tenants_->sweeping()) || (tenant_ && tenant_->history().sweeping());
  status.swept = hosted_.sweep_times.last_us != 0 && !sweeping ? 1 : 0;
  (void)link_.send(status);  // without a supervisor there is nobody to tell
}

void Worker::take_log_pipe(const UniqueFd& pipe) {
  if (!pipe) return;
  if (::dup2(pipe.get(), log_out_fd) < 0 || ::dup2(pipe.get(), log_err_fd) < 0) {
    log_.write(LogLevel::error, "cannot take the new log pipe");
  }
}

void Worker::drain(DrainReason reason, std::uint64_t timeout_ms, ExitCode exit_code) {
  if (phase_ == Phase::draining || phase_ == Phase::stopped) return;
  phase_ = Phase::draining;
  drained_code_ = exit_code;
  open_timer_.stop();
  sweep_timer_.stop();
  if (timeout_ms == 0) timeout_ms = options_.spec.drain_timeout_ms;
  log_.write(LogLevel::info, "draining",
             {{"attachments", attachments_->size()}, {"timeout_ms", timeout_ms}});
  drain_timer_.start(timeout_ms, [this] {
    log_.write(LogLevel::warning, "drain timed out", {{"attachments", attachments_->size()}});
    stop(drained_code_);
  });
  if (tenants_) tenants_->refuse_waiting();
  attachments_->drain(goaway_reason(reason), [this] {
    attachments_gone_ = true;
    end_histories();
    finish_when_idle();
  });
}

// Nobody asks any more: what was recorded last goes to the disk, if it can.
void Worker::end_histories() {
  if (tenant_) {
    tenant_->history().stop_sweeping();
    tenant_->history().flush();
  }
  if (tenants_) tenants_->end_histories();
}

void Worker::finish_when_idle() {
  if (phase_ == Phase::draining && attachments_gone_ && edits_->in_flight() == 0)
    stop(drained_code_);
}

void Worker::stop(ExitCode exit_code) {
  if (phase_ == Phase::stopped) return;
  const bool drained = std::exchange(phase_, Phase::stopped) == Phase::draining;
  exit_code_ = exit_code;
  drain_timer_.stop();
  sweep_timer_.stop();
  if (attachments_) attachments_->end_all();
  if (drained) (void)link_.send(make_link_message<Drained>(options_.spec.generation));
  link_.stop();
  log_.write(LogLevel::info, "stopped", {{"code", static_cast<std::uint64_t>(exit_code)}});
}

void Worker::run() {
  loop_.run_once();
  while (phase_ != Phase::stopped) {
    const bool loop_waits =
        attachments_->wait_and_serve(loop_.has_changed() ? 0 : loop_.timeout_ms());
    if (loop_waits || loop_.has_changed() || loop_.timeout_ms() == 0) loop_.run_once();
  }
}

}  // namespace tenantd
