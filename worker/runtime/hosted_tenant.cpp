#include "worker/runtime/hosted_tenant.h"

#include <utility>

#include "shared/base/clock.h"

namespace tenantd {
namespace {

// Whose work the editor thread does, as long as this lives.
class Editing {
 public:
  Editing(RunningMark* mark, const TenantId& tenant) : mark_(mark) {
    if (mark_ != nullptr) mark_->editing(tenant);
  }
  Editing(const Editing&) = delete;
  Editing& operator=(const Editing&) = delete;
  ~Editing() {
    if (mark_ != nullptr) mark_->done_editing();
  }

 private:
  RunningMark* mark_;
};

}  // namespace

HostedTenant::HostedTenant(TenantId id, const TenantSettings& settings, std::uint64_t generation,
                           const HostedServices& shared)
    : shared_(shared),
      binding_(id),
      caches_(id, settings),
      history_(binding_.context(), history_setup()),
      dispatcher_(
          services_, [this](EditJob job) { return submit_edit(std::move(job)); }, UsageSink()),
      seat_{binding_.context(), services_, dispatcher_} {
  services_.settings = settings;
  services_.generation = generation;
  services_.caches = &caches_;
}

HostedTenant::~HostedTenant() = default;

HistoryKeeper::Setup HostedTenant::history_setup() {
  const std::size_t records =
      shared_.mark == nullptr ? HistoryKeeper::own_worker_records : HistoryKeeper::pooled_records;
  return {shared_.loop, shared_.edits, records,
          [this](EditThread::Job job) -> EditThread::Job {
            return [self = shared_from_this(), job = std::move(job)]() -> EditThread::Completion {
              const Editing editing(self->shared_.mark, self->context().tenant());
              // The completion's owner too, as it is the history's own.
              return [self, completion = job()] { completion(); };
            };
          },
          [this] { shared_.on_job_done(*this); }};
}

void HostedTenant::open(Result<TenantData> data) {
  if (data) {
    data_ = std::move(*data);
    data_.editor->limit_memory(shared_.room_for_routes(services_.settings));
    services_.router = data_.router.get();
    services_.reencoding = data_.editor->progress();
    services_.index = data_.editor->index_report();
    history_.open(*data_.store, data_.executions);
    history_.apply(services_.settings);
    services_.recorder = history_.recorder();
  } else {
    services_.store = {true, data.error().message};
    shared_.log.write(LogLevel::error, "store degraded",
                      {{"tenant", context().tenant().view()}, {"reason", data.error().message}});
  }
}

void HostedTenant::begin_background_work() {
  if (!data_.editor) return;
  const ReencodingState state = services_.reencoding->get();
  if (state.total > 0) {
    shared_.log.write(LogLevel::info, "encoding all utterances again",
                      {{"done", state.done}, {"total", state.total}});
  }
  if (!data_.editor->has_idle_work()) return;
  const Status begun = submit([] { return EditThread::Completion([] {}); });
  if (!begun) {
    shared_.log.write(LogLevel::error, "no work in the background",
                      {{"reason", begun.error().message}});
  }
}

// A change of encoder comes first: it calibrates anew itself. An index is of what is settled.
EditThread::Idle HostedTenant::work_while_idle() {
  if (!data_.editor) return EditThread::Idle::nothing;
  const Editing editing(shared_.mark, context().tenant());
  RouteEditor& editor = *data_.editor;
  const auto reencoded = editor.reencode(context());
  if (reencoded && *reencoded) return EditThread::Idle::more;
  const auto settled = editor.settle(context());
  if (settled && *settled) return EditThread::Idle::more;
  const auto verified = editor.verify_start(context());
  if (verified && *verified) return EditThread::Idle::more_gently;
  // An image before an index: the next start may be soon.
  const auto kept = editor.keep_image(context());
  if (kept && *kept) return EditThread::Idle::more_gently;
  if (!verified) {
    shared_.edits.report([self = shared_from_this()] { self->check_store_health(); });
  }
  const auto improved = editor.improve_index(context());
  return improved && *improved ? EditThread::Idle::more_gently : EditThread::Idle::nothing;
}

Status HostedTenant::submit(EditThread::Job job, std::size_t most_jobs) {
  return shared_.edits.submit(
      this,
      [self = shared_from_this(), job = std::move(job)]() -> EditThread::Completion {
        const Editing editing(self->shared_.mark, self->context().tenant());
        return job();
      },
      most_jobs);
}

// One job an edit, answered in its own turn, so that all are counted; the first of those that wait
// does the work of all.
Status HostedTenant::submit_edit(EditJob job) {
  if (!data_.editor) return fail(store_degraded_error(services_.store));
  if (job.trial) return submit_trial(std::move(job));
  if (job.history) return submit_question(std::move(job));
  auto edit = std::make_shared<WaitingEdit>(WaitingEdit{std::move(job), std::nullopt});
  // Nobody takes it before it is known to have a job.
  const std::lock_guard lock(mutex_);
  waiting_.push_back(edit);
  Status submitted = submit(
      [self = shared_from_this(), edit]() -> EditThread::Completion {
        if (!edit->result) self->apply_waiting_edits();
        return [self, edit] { self->on_edit_done(*edit->result); };
      },
      services_.settings.max_concurrent_requests);
  if (!submitted) waiting_.pop_back();
  return submitted;
}

Status HostedTenant::submit_trial(EditJob job) {
  auto shared = std::make_shared<EditJob>(std::move(job));
  return submit(
      [self = shared_from_this(), shared]() -> EditThread::Completion {
        EditResult result{shared->attachment_id, shared->request_id, RoutesEdited{}};
        if (shared->deadline_ns != 0 && shared->deadline_ns <= monotonic_ns()) {
          result.tried = fail(ErrorCode::deadline_exceeded, "the deadline passed in the queue");
        } else {
          result.tried = self->trials_.run(*self->data_.router, *shared->context, *shared->trial);
        }
        return [self, result = std::move(result)] { self->on_edit_done(result); };
      },
      services_.settings.max_concurrent_requests);
}

Status HostedTenant::submit_question(EditJob job) {
  EditResult result{job.attachment_id, job.request_id, RoutesEdited{}};
  return submit([self = shared_from_this(), result, deadline_ns = job.deadline_ns,
                 question = history_.question(
                     *job.history, wall_clock_us())]() mutable -> EditThread::Completion {
    if (deadline_ns != 0 && deadline_ns <= monotonic_ns()) {
      result.told = fail(ErrorCode::deadline_exceeded, "the deadline passed in the queue");
    } else {
      result.told = question();
    }
    return [self, result = std::move(result)]() mutable {
      if (*result.told) self->history_.complete(**result.told, self->shared_.sweep_times);
      self->on_edit_done(result);
    };
  });
}

// Editor thread. Leaves a result in each.
void HostedTenant::apply_waiting_edits() {
  std::deque<std::shared_ptr<WaitingEdit>> edits;
  {
    const std::lock_guard lock(mutex_);
    edits.swap(waiting_);
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
  const auto outcomes = data_.editor->apply_all(context(), batches);
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

void HostedTenant::on_edit_done(const EditResult& result) {
  check_store_health();
  shared_.on_edit_done(*this, result);
}

void HostedTenant::check_store_health() {
  if (!data_.store) return;
  std::string reason = data_.store->degraded_reason();
  const bool degraded = !reason.empty();
  if (degraded == services_.store.degraded && reason == services_.store.reason) return;
  services_.store = {degraded, std::move(reason)};
  shared_.log.write(degraded ? LogLevel::error : LogLevel::info,
                    degraded ? "store degraded" : "store healthy again",
                    {{"tenant", context().tenant().view()}, {"reason", services_.store.reason}});
  shared_.on_health_changed();
}

void HostedTenant::apply_settings(const TenantSettings& settings) {
  if (settings == services_.settings) return;
  if (!data_.editor) return take_settings(settings);
  const Status queued = submit([self = shared_from_this(), settings]() -> EditThread::Completion {
    Status applied = self->data_.editor->apply_settings(self->context(), settings);
    if (applied) {
      applied = self->data_.store->set_max_storage(self->context(), settings.max_storage_bytes);
      (void)HistoryKeeper::make_room(self->context(), *self->data_.store, settings);
    }
    return [self, settings, applied] {
      self->check_store_health();
      if (applied) {
        self->take_settings(settings);
        self->shared_.log.write(LogLevel::info, "settings applied");
      } else {
        self->shared_.log.write(LogLevel::error, "settings refused",
                                {{"reason", applied.error().message}});
      }
      self->shared_.on_job_done(*self);
    };
  });
  if (!queued) {
    shared_.log.write(LogLevel::error, "settings refused", {{"reason", queued.error().message}});
  }
}

void HostedTenant::take_settings(const TenantSettings& settings) {
  services_.settings = settings;
  (void)caches_.apply(context(), settings, monotonic_ns());  // the tenant is its own
  history_.apply(settings);
  services_.recorder = history_.recorder();
}

std::uint64_t HostedTenant::held_bytes() const {
  constexpr std::uint64_t own_bytes = 24U << 10U;  // without any route
  std::uint64_t bytes = own_bytes + history_.bytes();
  if (const auto values = caches_.values.stats(context())) bytes += values->bytes;
  if (const auto answers = caches_.routing.stats(context())) bytes += answers->bytes;
  if (services_.router == nullptr) return bytes;
  const auto snapshot = services_.router->snapshot(context());
  return snapshot ? bytes + (*snapshot)->set->memory_bytes : bytes;
}

void HostedTenant::add_status(WorkerStatus& status) const {
  if (services_.router != nullptr) {
    if (const auto snapshot = services_.router->snapshot(context())) {
      status.routes += (*snapshot)->set->routes.size();
      status.utterances += (*snapshot)->set->utterance_count();
      status.snapshot_version = (*snapshot)->version;
    }
  }
  status.requests += services_.counters.requests;
  status.errors += services_.counters.errors;
  status.attachments += services_.counters.attachments;
  status.attachments_refused += services_.counters.attachments_refused;
  status.peer_faults += services_.counters.peer_faults;
  ++status.open_tenants;
  if (services_.store.degraded) {
    status.store_state = StoreState::degraded;
    status.store_reason.assign_truncated(services_.store.reason);
  }
}

}  // namespace tenantd
