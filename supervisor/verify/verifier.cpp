#include "supervisor/verify/verifier.h"

#include <utility>

#include "shared/base/clock.h"

namespace tenantd {

// Generations of probes begin at the time of the start: those of an earlier supervisor, whose
// groups may still be on their way out, are never met again.
Verifier::Verifier(VerificationServices services, const DaemonConfig& config, OnReport on_report)
    : services_(std::move(services)),
      on_report_(std::move(on_report)),
      generation_(static_cast<std::uint64_t>(wall_clock_ms())),
      later_(services_.probes.loop),
      round_(services_.probes.loop) {
  remove_probe_directories(services_.paths.state_dir);
  configure(config);
}

void Verifier::configure(const DaemonConfig& config) {
  const bool same = config_.interval_ms == config.verify.interval_ms;
  config_ = config.verify;
  tolerated_ = config.tolerated_layers();
  if (!same) arm_round();
}

void Verifier::arm_round() {
  if (config_.interval_ms == 0 || stopped_) return round_.stop();
  round_.start(
      config_.interval_ms,
      [this] {
        if (std::exchange(round_runs_, true)) return;  // the last one is not through yet
        start_next();
      },
      config_.interval_ms);
}

void Verifier::verify(const TenantId& tenant, CheckMask checks, OnVerified on_verified) {
  const Tenant* const found = services_.tenants.find(tenant);
  if (found == nullptr) return on_verified(fail(ErrorCode::not_found, "no such tenant"));
  if (found->config == nullptr) {
    return on_verified(fail(ErrorCode::invalid_config, "its file has never been valid"));
  }
  if (waiting_.size() >= max_waiting || stopped_) {
    return on_verified(fail(ErrorCode::resource_exhausted, "too many verifications wait"));
  }
  waiting_.push_back({tenant, checks, "on request", std::move(on_verified)});
  start_next();
}

void Verifier::onboard(const TenantId& tenant) {
  if (!config_.on_start || stopped_) return;
  new_tenants_.insert(tenant);
  later_.start(look_again_ms, [this] { start_next(); });
}

void Verifier::stop() {
  stopped_ = true;
  later_.stop();
  round_.stop();
  waiting_.clear();
  new_tenants_.clear();
  verification_.reset();
  current_.reset();
}

std::optional<TenantId> Verifier::next_of_round() {
  const auto& all = services_.tenants.all();
  const auto next = last_of_round_ ? all.upper_bound(*last_of_round_) : all.begin();
  if (next == all.end()) {
    round_runs_ = false;
    last_of_round_.reset();
    return std::nullopt;
  }
  last_of_round_ = next->first;
  return next->first;
}

std::optional<Verifier::Request> Verifier::next_request() {
  if (!waiting_.empty()) {
    Request request = std::move(waiting_.front());
    waiting_.pop_front();
    return request;
  }
  if (new_tenants_.empty() && !round_runs_) return std::nullopt;
  if (services_.tenants.starting() > 0) {  // what serves goes first
    later_.start(look_again_ms, [this] { start_next(); });
    return std::nullopt;
  }
  if (!new_tenants_.empty()) {
    return Request{
        new_tenants_.extract(new_tenants_.begin()).value(), all_checks, "onboarding", {}};
  }
  const auto tenant = next_of_round();
  if (!tenant) return std::nullopt;
  return Request{*tenant, all_checks, "timer", {}};
}

void Verifier::start_next() {
  if (stopped_ || verification_) return;
  if (auto request = next_request()) start(std::move(*request));
}

void Verifier::start(Request request) {
  current_ = std::move(request);
  verification_ = std::make_unique<Verification>(
      services_, current_->tenant, current_->checks, tolerated_, generation_,
      [this](const Result<VerifyReport>& report) { finish(report); });
}

void Verifier::finish(const Result<VerifyReport>& report) {
  generation_ = verification_->next_generation();
  verification_.reset();
  const Request request = std::move(*current_);
  current_.reset();
  if (report) on_report_(*report, request.why);
  if (request.on_verified) request.on_verified(report);
  later_.start(0, [this] { start_next(); });
}

}  // namespace tenantd
