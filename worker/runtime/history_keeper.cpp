#include "worker/runtime/history_keeper.h"

#include <algorithm>
#include <limits>
#include <type_traits>
#include <utility>
#include <variant>

#include "shared/base/clock.h"

namespace tenantd {
namespace {

Execution to_wire(StoredExecution&& stored) {
  Execution execution;
  execution.time_us = stored.place.time_us;
  execution.serial = stored.place.serial;
  execution.request_id = stored.request_id;
  execution.route = std::move(stored.route);
  execution.confidence = static_cast<float>(stored.confidence);
  execution.latency_us = stored.latency_us;
  execution.user = std::move(stored.user);
  const auto outcome = static_cast<ExecutionOutcome>(stored.outcome);
  execution.outcome = is_valid(outcome) ? outcome : ExecutionOutcome::error;
  return execution;
}

}  // namespace

HistoryBounds history_bounds(const TenantSettings& settings) noexcept {
  return {settings.retention_days, settings.max_executions};
}

HistoryKeeper::HistoryKeeper(const ExecutionContext& context, Setup setup)
    : context_(context), setup_(std::move(setup)) {}

HistoryKeeper::~HistoryKeeper() = default;

std::uint64_t HistoryKeeper::make_room(const ExecutionContext& context, TenantStore& store,
                                       const TenantSettings& settings) {
  auto history = store.history(context);
  if (!history) return 0;
  (void)history->keep_bounds(context, history_bounds(settings));  // the next flush does it again
  const auto held = history->summary(context, 0);
  const std::uint64_t executions = held ? held->executions : 0;
  std::uint64_t rows = executions;
  if (settings.executions_sample_e6 != 0) {
    rows = std::max<std::uint64_t>(rows, settings.max_executions);
  }
  (void)store.set_room_beside(context, rows * HistoryStore::row_bytes);
  return executions;
}

void HistoryKeeper::open(const TenantStore& store, std::uint64_t executions) {
  has_rows_ = executions > 0;
  auto history = store.history(context_);
  if (history) store_.emplace(std::move(*history));
}

void HistoryKeeper::apply(const TenantSettings& settings) {
  settings_ = settings;
  if (settings.executions_sample_e6 == 0 || !store_) {
    flush();  // its job keeps the recorder
    recorder_.reset();
    if (timer_) timer_->stop();
    return;
  }
  has_rows_ = true;
  if (recorder_ == nullptr) {
    const std::uint64_t seed = monotonic_ns();
    recorder_ = std::make_shared<ExecutionRecorder>(
        context_.tenant(), setup_.records, seed,
        [this](ExecutionRecorder::Urgency urgency) { on_buffered(urgency); });
  }
  recorder_->set_sample(context_, settings.executions_sample_e6);
}

ExecutionRecorder* HistoryKeeper::recorder() const noexcept { return recorder_.get(); }

std::size_t HistoryKeeper::bytes() const noexcept {
  return recorder_ == nullptr ? 0 : recorder_->bytes(context_);
}

bool HistoryKeeper::submit(EditThread::Job job) {
  return setup_.edits.submit(this, setup_.wrap(std::move(job))).has_value();
}

void HistoryKeeper::on_buffered(ExecutionRecorder::Urgency urgency) {
  if (flushing_) return;  // after_flush looks again
  start_timer(urgency == ExecutionRecorder::Urgency::now ? 0 : flush_delay_ms);
}

void HistoryKeeper::start_timer(std::uint64_t delay_ms) {
  if (!timer_) timer_.emplace(setup_.loop);
  timer_->start(delay_ms, [this] { flush(); });
}

bool HistoryKeeper::flush() {
  if (recorder_ == nullptr || flushing_ || recorder_->buffered(context_) == 0) return false;
  flushing_ = submit(
      [this, recorder = recorder_, bounds = history_bounds(settings_)]() -> EditThread::Completion {
        write_buffered(recorder, bounds);
        return [this, recorder] { after_flush(recorder); };
      });
  if (!flushing_) start_timer(flush_delay_ms);
  return flushing_;
}

void HistoryKeeper::after_flush(const Recorder& recorder) {
  flushing_ = false;
  recorder->say_again(context_);
  if (recorder == recorder_ && recorder->buffered(context_) > 0) {
    const bool half = recorder->buffered(context_) >= recorder->capacity(context_) / 2;
    start_timer(half ? 0 : flush_delay_ms);
  }
  setup_.on_job_done();
}

// Editor thread. What cannot be written is gone: it would be in the way of what comes.
void HistoryKeeper::write_buffered(const Recorder& recorder, HistoryBounds bounds) {
  if (recorder == nullptr) return;
  recorder->take(context_, [&](std::span<const ExecutionRecord> first,
                               std::span<const ExecutionRecord> second) {
    const Status written = store_->append(context_, first, second, bounds);
    if (!written) recorder->count_dropped(context_, first.size() + second.size());
  });
}

void HistoryKeeper::sweep(std::int64_t now_us) {
  // Nothing to look for wakes no thread.
  if (!store_ || !has_rows_ || std::exchange(sweeping_, true)) return;
  sweep_step(now_us, now_us);
}

void HistoryKeeper::sweep_step(std::int64_t now_us, std::int64_t run_us) {
  sweeping_ = submit(
      [this, bounds = history_bounds(settings_), now_us, run_us]() -> EditThread::Completion {
        const auto more = store_->delete_some(context_, bounds, now_us, run_us);
        const bool again = more && *more;
        return [this, again, now_us, run_us] {
          if (again && !stopping_) {
            sweep_step(now_us, run_us);
          } else {
            sweeping_ = false;
          }
          setup_.on_job_done();
        };
      });
}

std::function<Result<HistoryAnswer>()> HistoryKeeper::question(const HistoryAsk& ask,
                                                               std::int64_t now_us) {
  return [this, ask, recorder = recorder_, bounds = history_bounds(settings_),
          now_us]() -> Result<HistoryAnswer> {
    if (!store_) return fail(ErrorCode::store_degraded, "the tenant's store is degraded");
    write_buffered(recorder, bounds);  // so that an answer knows what was asked before it
    if (const auto* page = std::get_if<ExecutionsRequest>(&ask)) return read(*page);
    return report(std::get<RetentionRequest>(ask), bounds, now_us);
  };
}

Result<HistoryAnswer> HistoryKeeper::read(const ExecutionsRequest& request) {
  const std::uint32_t limit = std::clamp<std::uint32_t>(request.limit, 1, max_executions_per_page);
  ExecutionPlace before{request.until_us, 0};
  if (before.time_us == 0) before.time_us = std::numeric_limits<std::int64_t>::max();
  if (request.after_us != 0 || request.after_serial != 0) {
    const ExecutionPlace after{request.after_us, request.after_serial};
    if (after.time_us < before.time_us) before = after;
  }
  auto found = store_->read(context_, request.since_us, before, limit + 1);
  if (!found) return fail(found.error());
  Executions page;
  page.more = found->size() > limit;
  if (page.more) found->pop_back();
  for (StoredExecution& execution : *found) {
    page.executions.push_back(to_wire(std::move(execution)));
  }
  return page;
}

Result<HistoryAnswer> HistoryKeeper::report(const RetentionRequest& request, HistoryBounds bounds,
                                            std::int64_t now_us) {
  Retention report;
  if (request.run) {
    if (request_run_us_ == 0) request_run_us_ = now_us;
    report.more = true;
    for (int step = 0; step < steps_per_request && report.more; ++step) {
      const auto more = store_->delete_some(context_, bounds, now_us, request_run_us_);
      if (!more) return fail(more.error());
      report.more = *more;
    }
    if (!report.more) request_run_us_ = 0;
  }
  const auto summary = store_->summary(context_, max_deletions_per_report);
  if (!summary) return fail(summary.error());
  report.retention_days = bounds.retention_days;
  report.max_executions = bounds.max_executions;
  report.executions = summary->executions;
  report.oldest_us = summary->oldest_us;
  report.newest_us = summary->newest_us;
  for (const Deletion& run : summary->deletions) {
    report.deletions.push_back(
        {run.time_us, run.what.substr(0, 32), run.count, run.oldest_us, run.newest_us});
  }
  return report;
}

void HistoryKeeper::complete(HistoryAnswer& answer, const SweepTimes& times) const {
  const std::uint64_t dropped = recorder_ == nullptr ? 0 : recorder_->dropped(context_);
  if (auto* page = std::get_if<Executions>(&answer)) {
    page->dropped = dropped;
    return;
  }
  auto& report = std::get<Retention>(answer);
  report.dropped = dropped;
  report.sample = settings_.executions_sample_e6 / 1e6;
  report.last_run_us = times.last_us;
  report.next_run_us = times.next_us;
}

}  // namespace tenantd
