#include "supervisor/attach/broker.h"

#include <fcntl.h>

#include <algorithm>
#include <utility>

#include "shared/base/clock.h"
#include "supervisor/attach/error_frame.h"

namespace tenantd {
namespace {

// To answer on, should the hand-over fail. Empty when descriptors run out: then there is no answer.
UniqueFd copy_of(const UniqueFd& socket) {
  return UniqueFd(::fcntl(socket.get(), F_DUPFD_CLOEXEC, 0));
}

Error try_again(const TenantId& tenant, std::string message) {
  Error error;
  error.code = ErrorCode::unavailable;
  error.message = std::move(message);
  error.tenant = tenant.str();
  error.retry_after_ms = Broker::retry_after_ms;
  return error;
}

}  // namespace

Broker::Broker(Loop& loop, AttachTargets& targets, OperatorRules rules, HelloCounters& counters)
    : targets_(targets), rules_(rules), counters_(counters), timer_(loop) {}

void Broker::on_hello(UniqueFd connection, const CheckedHello& hello, const PeerIdentity& peer) {
  auto attach = make_link_message<Attach>(0);
  attach.attachment_id = next_attachment_id_++;
  attach.peer_uid = peer.uid;
  attach.peer_gid = peer.gid;
  attach.peer_pid = peer.pid;
  attach.protocol_version = hello.protocol_version;
  if (hello.target == HelloTarget::control) {
    // Only the kernel's word makes an operator; a token names a tenant.
    if (hello.credential != CredentialKind::peer || !is_operator(peer, rules_)) {
      return deny(connection.get(), hello, peer, true);
    }
    return to_control(std::move(connection), attach);
  }
  const AccessConfig* const access = targets_.access_of(*hello.tenant);
  const AccessDecision decision = authorise(hello, peer, rules_, access);
  if (!decision.granted) return deny(connection.get(), hello, peer, access != nullptr);
  attach.is_operator = decision.as_operator ? 1 : 0;
  attach.token_tag = decision.token_tag;
  (void)attach.tenant_id.assign(hello.tenant->view());  // a TenantId fits
  to_tenant(*hello.tenant, std::move(connection), attach);
}

// Whether a tenant exists is told to operators only.
void Broker::deny(int socket, const CheckedHello& hello, const PeerIdentity& peer, bool exists) {
  ++(exists ? counters_.denied : counters_.unknown_tenant);
  Error error;
  error.tenant = hello.tenant ? hello.tenant->str() : std::string();
  if (!exists && hello.credential == CredentialKind::peer && is_operator(peer, rules_)) {
    error.code = ErrorCode::not_found;
    error.message = "no such tenant";
    error.hint = "tenantctl tenant list";
  } else {
    error.code = ErrorCode::permission_denied;
    error.message = "the credential does not grant this";
  }
  send_error_frame(socket, error);
}

void Broker::to_control(UniqueFd connection, Attach attach) {
  attach.is_operator = 1;
  const UniqueFd copy = copy_of(connection);
  const Status handed = targets_.hand_to_control(attach, std::move(connection));
  if (handed) {
    ++counters_.accepted;
    return;
  }
  ++counters_.overload;
  Error error = handed.error();
  error.retry_after_ms = retry_after_ms;
  send_error_frame(copy.get(), error);
}

void Broker::to_tenant(const TenantId& tenant, UniqueFd connection, Attach attach) {
  const auto readiness = targets_.request_worker(tenant);
  if (!readiness) {
    ++counters_.overload;
    return send_error_frame(connection.get(), readiness.error());
  }
  if (*readiness == AttachTargets::Readiness::wait)
    return wait(tenant, std::move(connection), attach);
  hand_over(tenant, std::move(connection), attach);
}

void Broker::hand_over(const TenantId& tenant, UniqueFd connection, const Attach& attach) {
  const UniqueFd copy = copy_of(connection);
  const Status handed = targets_.hand_to_worker(tenant, attach, std::move(connection));
  if (handed) {
    ++counters_.accepted;
    return;
  }
  ++counters_.overload;
  send_error_frame(copy.get(), try_again(tenant, "the worker takes no attachment now"));
}

void Broker::wait(const TenantId& tenant, UniqueFd connection, Attach attach) {
  auto& queue = waiting_[tenant];
  if (queue.size() >= max_waiting_per_tenant || waiting_count_ >= max_waiting) {
    ++counters_.overload;
    send_error_frame(connection.get(), try_again(tenant, "too many clients wait for the worker"));
    if (queue.empty()) waiting_.erase(tenant);
    return;
  }
  queue.push_back({attach, std::move(connection), monotonic_ms() + max_wait_ms});
  ++waiting_count_;
  if (!timer_.active()) arm_timer();
}

void Broker::flush(const TenantId& tenant) {
  auto node = waiting_.extract(tenant);
  if (node.empty()) return;
  waiting_count_ -= node.mapped().size();
  for (Waiting& one : node.mapped()) hand_over(tenant, std::move(one.socket), one.attach);
}

void Broker::refuse_waiting(const TenantId& tenant, const Error& error) {
  auto node = waiting_.extract(tenant);
  if (node.empty()) return;
  waiting_count_ -= node.mapped().size();
  for (const Waiting& one : node.mapped()) {
    ++counters_.overload;
    send_error_frame(one.socket.get(), error);
  }
}

std::vector<TenantId> Broker::waiting_tenants() const {
  std::vector<TenantId> tenants;
  tenants.reserve(waiting_.size());
  for (const auto& [tenant, queue] : waiting_) tenants.push_back(tenant);
  return tenants;
}

void Broker::arm_timer() {
  if (waiting_.empty()) return;
  std::uint64_t earliest = UINT64_MAX;
  for (const auto& [tenant, queue] : waiting_) {
    earliest = std::min(earliest, queue.front().deadline_ms);
  }
  const std::uint64_t now = monotonic_ms();
  timer_.start(earliest > now ? earliest - now : 0, [this] { expire(); });
}

void Broker::expire() {
  const std::uint64_t now = monotonic_ms();
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    auto& queue = it->second;
    while (!queue.empty() && queue.front().deadline_ms <= now) {
      ++counters_.overload;
      send_error_frame(queue.front().socket.get(),
                       try_again(it->first, "the worker did not start in time"));
      queue.pop_front();
      --waiting_count_;
    }
    it = queue.empty() ? waiting_.erase(it) : std::next(it);
  }
  arm_timer();
}

}  // namespace tenantd
