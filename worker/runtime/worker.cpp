#include "worker/runtime/worker.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "shared/base/clock.h"

namespace tenantd {
namespace {

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
      binding_(tenant),
      log_(log_err_fd),
      caches_(tenant, options_.spec.tenant),
      dispatcher_(
          services_, [this](EditJob job) { return submit_edit(std::move(job)); },
          [this](const UsageSample&) { ++metered_requests_; }),
      link_(loop, identity_of(options_), link_events()),
      open_timer_(loop),
      drain_timer_(loop) {
  services_.settings = options_.spec.tenant;
  services_.generation = options_.spec.generation;
  services_.caches = &caches_;
}

Worker::~Worker() {
  attachments_.reset();
  edits_.thread.reset();
}

LinkEvents Worker::link_events() {
  LinkEvents events;
  events.on_attach = [this](const Attach& attach, UniqueFd socket) {
    // Before Ready nobody is owed an answer: the socket closes.
    if (phase_ != Phase::opening) attachments_->attach(attach, std::move(socket));
  };
  events.on_settings = [this](const Settings& message) { apply_settings(message.settings); };
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

void Worker::start(UniqueFd link) {
  auto attachments = AttachmentSet::create(
      loop_, binding_.context(), services_, dispatcher_, log_,
      {options_.spec.memory_max_bytes, options_.handshake_timeout_ms, options_.stall_timeout_ms});
  if (!attachments) {
    log_.write(LogLevel::error, "cannot start", {{"reason", attachments.error().message}});
    return stop(ExitCode::failed);
  }
  attachments_ = std::move(*attachments);
  link_.start(std::move(link));
  // Before the data, too: an earlier run of this worker may have been somebody else's.
  if (const Status locked = lock_down_(); !locked) {
    log_.write(LogLevel::error, "cannot lock down", {{"reason", locked.error().message}});
    return stop(ExitCode::confinement);
  }
  open_deadline_ns_ = monotonic_ns() + options_.store_lock_timeout_ms * ns_per_ms;
  try_open();
}

void Worker::try_open() {
  if (phase_ != Phase::opening) return;
  auto data = TenantData::open(binding_.context(), options_.data_directory, services_.settings,
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
  if (data) {
    edits_.data = std::move(*data);
    limit_route_memory(services_.settings);
    services_.router = edits_.data.router.get();
  } else {
    services_.store = {true, data.error().message};
    log_.write(LogLevel::error, "store degraded", {{"reason", data.error().message}});
  }
  serve();
}

void Worker::serve() {
  edits_.thread.emplace(loop_, [this] { return work_while_idle(); });
  if (edits_.data.editor) begin_background_work();
  phase_ = Phase::serving;
  (void)link_.send(make_link_message<Ready>(options_.spec.generation));
  if (services_.store.degraded) send_status();
  const auto routes = services_.router == nullptr ? Result<SnapshotPtr>(SnapshotPtr())
                                                  : services_.router->snapshot(binding_.context());
  log_.write(LogLevel::info, "ready",
             {{"generation", options_.spec.generation},
              {"routes", routes && *routes ? (*routes)->set->routes.size() : 0}});
}

// Editor thread. A change of encoder comes first: it calibrates anew itself. An index is of what is
// settled.
EditThread::Idle Worker::work_while_idle() {
  RouteEditor& editor = *edits_.data.editor;
  const auto reencoded = editor.reencode(binding_.context());
  if (reencoded && *reencoded) return EditThread::Idle::more;
  const auto settled = editor.settle(binding_.context());
  if (settled && *settled) return EditThread::Idle::more;
  const auto verified = editor.verify_start(binding_.context());
  if (verified && *verified) return EditThread::Idle::more_gently;
  // An image before an index: the next start may be soon.
  const auto kept = editor.keep_image(binding_.context());
  if (kept && *kept) return EditThread::Idle::more_gently;
  if (!verified) edits_.thread->report([this] { check_store_health(); });
  const auto improved = editor.improve_index(binding_.context());
  return improved && *improved ? EditThread::Idle::more_gently : EditThread::Idle::nothing;
}

// Nobody need edit anything for it to begin.
void Worker::begin_background_work() {
  services_.reencoding = edits_.data.editor->progress();
  services_.index = edits_.data.editor->index_report();
  const ReencodingState state = services_.reencoding->get();
  if (state.total > 0) {
    log_.write(LogLevel::info, "encoding all utterances again",
               {{"done", state.done}, {"total", state.total}});
  }
  if (!edits_.data.editor->has_idle_work()) return;
  const Status begun = edits_.thread->submit([] { return EditThread::Completion([] {}); });
  if (!begun) {
    log_.write(LogLevel::error, "no work in the background", {{"reason", begun.error().message}});
  }
}

// One job an edit, answered in its own turn, so that all are counted; the first of those that wait
// does the work of all.
Status Worker::submit_edit(EditJob job) {
  if (!edits_.data.editor) return fail(store_degraded_error(services_.store));
  if (job.trial) return submit_trial(std::move(job));
  auto edit = std::make_shared<WaitingEdit>(WaitingEdit{std::move(job), std::nullopt});
  // Nobody takes it before it is known to have a job.
  const std::lock_guard lock(edits_.mutex);
  edits_.waiting.push_back(edit);
  Status submitted = edits_.thread->submit(
      [this, edit]() -> EditThread::Completion {
        if (!edit->result) apply_waiting_edits();
        return [this, edit] { on_edit_done(*edit->result); };
      },
      services_.settings.max_concurrent_requests);
  if (!submitted) edits_.waiting.pop_back();
  return submitted;
}

Status Worker::submit_trial(EditJob job) {
  auto shared = std::make_shared<EditJob>(std::move(job));
  return edits_.thread->submit(
      [this, shared]() -> EditThread::Completion {
        EditResult result{shared->attachment_id, shared->request_id, RoutesEdited{}};
        if (shared->deadline_ns != 0 && shared->deadline_ns <= monotonic_ns()) {
          result.tried = fail(ErrorCode::deadline_exceeded, "the deadline passed in the queue");
        } else {
          result.tried = trials_.run(*edits_.data.router, *shared->context, *shared->trial);
        }
        return [this, result = std::move(result)] { on_edit_done(result); };
      },
      services_.settings.max_concurrent_requests);
}

// Editor thread. Leaves a result in each.
void Worker::apply_waiting_edits() {
  std::deque<std::shared_ptr<WaitingEdit>> edits;
  {
    const std::lock_guard lock(edits_.mutex);
    edits.swap(edits_.waiting);
  }
  std::vector<std::vector<RouteEdit>> batches;
  std::vector<EditResult*> asked;  // the result of each batch
  for (const auto& edit : edits) {
    EditJob& job = edit->job;
    edit->result = EditResult{job.attachment_id, job.request_id, RoutesEdited{}};
    if (job.deadline_ns != 0 && job.deadline_ns <= monotonic_ns()) {
      edit->result->edited = fail(ErrorCode::deadline_exceeded, "the deadline passed in the queue");
      continue;
    }
    asked.push_back(&*edit->result);
    batches.push_back(std::move(job.edits));
  }
  const auto outcomes = edits_.data.editor->apply_all(binding_.context(), batches);
  for (std::size_t b = 0; b < outcomes.size(); ++b) {
    const auto& outcome = outcomes[b];
    if (outcome) {
      asked[b]->edited =
          RoutesEdited{outcome->snapshot_version, outcome->routes, outcome->utterances};
    } else {
      asked[b]->edited = tl::unexpected(outcome.error());
    }
  }
}

void Worker::on_edit_done(const EditResult& result) {
  check_store_health();
  attachments_->deliver(result);
  finish_when_idle();
}

void Worker::check_store_health() {
  if (!edits_.data.store) return;
  std::string reason = edits_.data.store->degraded_reason();
  const bool degraded = !reason.empty();
  if (degraded == services_.store.degraded && reason == services_.store.reason) return;
  services_.store = {degraded, std::move(reason)};
  log_.write(degraded ? LogLevel::error : LogLevel::info,
             degraded ? "store degraded" : "store healthy again",
             {{"reason", services_.store.reason}});
  send_status();
}

void Worker::apply_settings(const TenantSettings& settings) {
  if (settings.tenant_id != options_.spec.tenant.tenant_id) {
    return log_.write(LogLevel::error, "settings of another tenant ignored");
  }
  if (phase_ != Phase::serving || !edits_.data.editor) {
    return take_settings(settings);  // what is open reads them, or try_open will
  }
  const Status queued = edits_.thread->submit([this, settings]() -> EditThread::Completion {
    const ExecutionContext& context = binding_.context();
    Status applied = edits_.data.editor->apply_settings(context, settings);
    if (applied) {
      applied = edits_.data.store->set_max_storage(context, settings.max_storage_bytes);
    }
    if (applied) limit_route_memory(settings);
    return [this, settings, applied] {
      check_store_health();
      if (applied) {
        take_settings(settings);
        log_.write(LogLevel::info, "settings applied");
      } else {
        log_.write(LogLevel::error, "settings refused", {{"reason", applied.error().message}});
      }
      finish_when_idle();
    };
  });
  if (!queued) {
    log_.write(LogLevel::error, "settings refused", {{"reason", queued.error().message}});
  }
}

void Worker::take_settings(const TenantSettings& settings) {
  services_.settings = settings;
  (void)caches_.apply(binding_.context(), settings, monotonic_ns());  // the tenant is its own
}

// Editor thread, or before it runs. What the caches may take is not there for routes.
void Worker::limit_route_memory(const TenantSettings& settings) {
  const std::uint64_t all = options_.spec.memory_max_bytes;
  // The supervisor lets caches have half of it at most; 0 is unknown.
  edits_.data.editor->limit_memory(all - std::min(settings.max_cache_bytes, all / 2));
}

void Worker::send_status() {
  auto status = make_link_message<WorkerStatus>(options_.spec.generation);
  if (services_.router != nullptr) {
    if (const auto snapshot = services_.router->snapshot(binding_.context())) {
      status.routes = (*snapshot)->set->routes.size();
      status.utterances = (*snapshot)->set->utterance_count();
      status.snapshot_version = (*snapshot)->version;
    }
  }
  status.requests = services_.counters.requests;
  status.errors = services_.counters.errors;
  status.attachments = services_.counters.attachments;
  status.attachments_refused = services_.counters.attachments_refused;
  status.peer_faults = services_.counters.peer_faults;
  status.store_state = services_.store.degraded ? StoreState::degraded : StoreState::healthy;
  status.store_reason.assign_truncated(services_.store.reason);
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
  if (timeout_ms == 0) timeout_ms = options_.spec.drain_timeout_ms;
  log_.write(LogLevel::info, "draining",
             {{"attachments", attachments_->size()}, {"timeout_ms", timeout_ms}});
  drain_timer_.start(timeout_ms, [this] {
    log_.write(LogLevel::warning, "drain timed out", {{"attachments", attachments_->size()}});
    stop(drained_code_);
  });
  attachments_->drain(goaway_reason(reason), [this] {
    attachments_gone_ = true;
    finish_when_idle();
  });
}

void Worker::finish_when_idle() {
  if (phase_ == Phase::draining && attachments_gone_ && edits_.idle()) stop(drained_code_);
}

void Worker::stop(ExitCode exit_code) {
  if (phase_ == Phase::stopped) return;
  const bool drained = std::exchange(phase_, Phase::stopped) == Phase::draining;
  exit_code_ = exit_code;
  drain_timer_.stop();
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
