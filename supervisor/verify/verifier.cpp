#include "supervisor/verify/verifier.h"

#include <algorithm>
#include <utility>

#include "shared/base/clock.h"

namespace tenantd {
namespace {

template <class Map>
std::optional<TenantId> first_after(const Map& tenants, const std::optional<TenantId>& last) {
  const auto next = last ? tenants.upper_bound(*last) : tenants.begin();
  return next == tenants.end() ? std::nullopt : std::optional<TenantId>(next->first);
}

}  // namespace

// Generations of probes begin at the time of the start: those of an earlier supervisor, whose
// groups may still be on their way out, are never met again.
Verifier::Verifier(VerificationServices services, const DaemonConfig& config, OnReport on_report,
                   OnLeftOut on_left_out)
    : services_(std::move(services)),
      shared_(probe_rows().size()),
      on_report_(std::move(on_report)),
      on_left_out_(std::move(on_left_out)),
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
  const Tenant* const found = services_.known.own.find(tenant);
  if (services_.known.pooled.find(tenant) == nullptr) {
    if (found == nullptr) return on_verified(fail(ErrorCode::not_found, "no such tenant"));
    if (found->config == nullptr) {
      return on_verified(fail(ErrorCode::invalid_config, "its file has never been valid"));
    }
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

void Verifier::onboard_pooled(const TenantId& tenant) {
  if (!config_.on_start || stopped_) return;
  (void)newcomers_.add(tenant);  // who finds no room is told of with the next look
  look_after(look_again_ms);
}

void Verifier::on_worker_ready() {
  if (!newcomers_.empty()) look_after(look_again_ms);
}

// One timer for all: what runs looks again itself when it ends.
void Verifier::look_after(std::uint64_t wait_ms) {
  if (stopped_ || verification_ || later_.active()) return;
  later_.start(wait_ms, [this] { start_next(); });
}

void Verifier::stop() {
  stopped_ = true;
  later_.stop();
  round_.stop();
  waiting_.clear();
  new_tenants_.clear();
  newcomers_.clear();
  verification_.reset();
  current_.reset();
}

std::optional<TenantId> Verifier::next_of_round() {
  const auto own = first_after(services_.known.own.all(), last_of_round_);
  const auto pooled = first_after(services_.known.pooled.all(), last_of_round_);
  last_of_round_ = own && pooled ? std::min(*own, *pooled) : own ? own : pooled;
  if (!last_of_round_) round_runs_ = false;
  return last_of_round_;
}

std::optional<Verifier::Request> Verifier::next_request() {
  if (!waiting_.empty()) {
    Request request = std::move(waiting_.front());
    waiting_.pop_front();
    return request;
  }
  if (new_tenants_.empty() && newcomers_.empty() && !round_runs_) return std::nullopt;
  if (services_.known.own.starting() > 0) {  // what serves goes first
    later_.start(look_again_ms, [this] { start_next(); });
    return std::nullopt;
  }
  if (!new_tenants_.empty()) {
    return Request{
        new_tenants_.extract(new_tenants_.begin()).value(), all_checks, "onboarding", {}};
  }
  if (auto newcomer = next_newcomer()) return newcomer;
  const auto tenant = round_runs_ ? next_of_round() : std::nullopt;
  if (!tenant) return std::nullopt;
  return Request{*tenant, all_checks, "timer", {}};
}

// Who waits for a sleeping worker is looked at again when one is ready.
std::optional<Verifier::Request> Verifier::next_newcomer() {
  const std::uint64_t now_ms = monotonic_ms();
  const auto tenant = newcomers_.take(now_ms, [this](const TenantId& one) { return judge(one); });
  if (tenant) return Request{*tenant, all_checks, "onboarding", {}};
  const auto wait_ms = newcomers_.wait_ms(now_ms);
  if (wait_ms && *wait_ms > 0) look_after(*wait_ms);
  return std::nullopt;
}

Newcomers::Fitness Verifier::judge(const TenantId& tenant) const {
  if (services_.known.pooled.find(tenant) == nullptr) return Newcomers::Fitness::gone;
  const Tenant* const process = process_of(services_.known, tenant);
  const bool runs = process != nullptr && process->worker && process->phase == Phase::running;
  return runs ? Newcomers::Fitness::ready : Newcomers::Fitness::not_yet;
}

void Verifier::start_next() {
  if (stopped_ || verification_) return;
  if (const std::uint64_t left_out = newcomers_.take_left_out()) on_left_out_(left_out);
  if (auto request = next_request()) start(std::move(*request));
}

void Verifier::start(Request request) {
  current_ = std::move(request);
  const Freshness fresh = current_->on_verified ? answered_.wanted(current_->tenant) : Freshness{};
  verification_ = std::make_unique<Verification>(
      services_, shared_, current_->tenant, current_->checks, tolerated_, fresh, generation_,
      [this](const Result<VerifyReport>& report) { finish(report); });
}

void Verifier::finish(const Result<VerifyReport>& report) {
  generation_ = verification_->next_generation();
  verification_.reset();
  const Request request = std::move(*current_);
  current_.reset();
  if (report) on_report_(*report, request.why);
  if (request.on_verified) {
    answered_.answered(request.tenant, monotonic_ms());
    request.on_verified(report);
  }
  later_.start(0, [this] { start_next(); });
}

}  // namespace tenantd
