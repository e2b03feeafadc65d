#include "control/link/supervisor_link.h"

#include <string>
#include <utility>

#include "shared/base/clock.h"

namespace tenantd {
namespace {

constexpr std::uint64_t expiry_tick_ms = 100;

tl::unexpected<Error> unavailable(std::string message) {
  auto error = fail(ErrorCode::unavailable, std::move(message));
  error.value().retry_after_ms = 500;
  return error;
}

Error error_of(const CommandDone& done) {
  Error error;
  const auto known = static_cast<ErrorCode>(done.error_code);
  error.code = error_code_name(known) == "unknown" ? ErrorCode::internal : known;
  error.message = done.message.view();
  return error;
}

std::uint64_t timeout_of(CommandVerb verb) noexcept {
  switch (verb) {
    case CommandVerb::reload:
    case CommandVerb::confirm_removal:
      return SupervisorLink::reload_timeout_ms;
    case CommandVerb::verify:
      return SupervisorLink::verify_timeout_ms;
    default:
      return SupervisorLink::command_timeout_ms;
  }
}

LinkKind kind_of(std::span<const std::byte> packet) noexcept {
  LinkHeader header;
  if (packet.size() < sizeof header) return LinkKind{};
  std::memcpy(static_cast<void*>(&header), packet.data(), sizeof header);
  return header.kind;
}

}  // namespace

SupervisorLink::SupervisorLink(Loop& loop, std::uint64_t generation, Handlers handlers)
    : generation_(generation), handlers_(std::move(handlers)), expiry_(loop) {}

Result<std::unique_ptr<SupervisorLink>> SupervisorLink::create(Loop& loop, UniqueFd socket,
                                                               std::uint64_t generation,
                                                               Handlers handlers) {
  std::unique_ptr<SupervisorLink> link(new SupervisorLink(loop, generation, std::move(handlers)));
  auto* const self = link.get();
  auto channel = LinkChannel::create(
      loop, std::move(socket), LinkChannel::Descriptors::accept,
      [self](std::span<const std::byte> packet, UniqueFd descriptor) {
        self->on_message(packet, std::move(descriptor));
      },
      [self] { self->handlers_.on_closed(); });
  if (!channel) return tl::unexpected(channel.error());
  self->channel_ = std::move(*channel);
  return link;
}

void SupervisorLink::ask(CommandVerb verb, std::string_view tenant, std::uint32_t requester_uid,
                         OnAnswer on_answer, CheckMask checks) {
  if (pending_.size() >= max_pending) {
    return on_answer(unavailable("control waits for too many answers of the supervisor"));
  }
  auto command = make_link_message<Command>(generation_);
  command.command_id = ++last_command_id_;
  command.verb = verb;
  command.page_size = page_size;
  command.requester_uid = requester_uid;
  command.checks = checks;
  if (!command.tenant_id.assign(tenant)) {
    return on_answer(fail(ErrorCode::invalid_argument, "not a tenant id"));
  }
  if (const Status sent = channel_->send(command); !sent) {
    return on_answer(unavailable("the supervisor takes no commands: " + sent.error().message));
  }
  Pending& pending = pending_[command.command_id];
  pending.on_answer = std::move(on_answer);
  pending.deadline_ns = monotonic_ns() + timeout_of(verb) * ns_per_ms;
  if (!expiry_.active())
    expiry_.start(
        expiry_tick_ms, [this] { expire(); }, expiry_tick_ms);
}

Status SupervisorLink::send_ready() {
  return channel_->send(make_link_message<Ready>(generation_));
}
Status SupervisorLink::send_drained() {
  return channel_->send(make_link_message<Drained>(generation_));
}

void SupervisorLink::on_message(std::span<const std::byte> packet, UniqueFd descriptor) {
  switch (kind_of(packet)) {
    case LinkKind::attach:
      if (Attach attach; descriptor && parse_link_message(packet, attach)) {
        handlers_.on_attach(attach, std::move(descriptor));
      }
      return;
    case LinkKind::event:
      if (Event event; parse_link_message(packet, event)) handlers_.on_event(event);
      return;
    case LinkKind::log_line:
      if (LogLine line; parse_link_message(packet, line)) handlers_.on_log_line(line);
      return;
    case LinkKind::drain:
      if (Drain drain; parse_link_message(packet, drain)) handlers_.on_drain(drain);
      return;
    case LinkKind::tenant_record: {
      TenantRecord record;
      if (!parse_link_message(packet, record)) return;
      const auto found = pending_.find(record.command_id);
      if (found == pending_.end() || found->second.answer.tenants.size() >= page_size) return;
      found->second.answer.tenants.push_back(record);
      return;
    }
    case LinkKind::posture_record: {
      PostureRecord record;
      if (!parse_link_message(packet, record)) return;
      const auto found = pending_.find(record.command_id);
      if (found != pending_.end()) found->second.answer.posture = record;
      return;
    }
    case LinkKind::verify_probe_record: {
      VerifyProbeRecord record;
      if (!parse_link_message(packet, record) || !record.name.valid() || !record.evidence.valid()) {
        return;
      }
      const auto found = pending_.find(record.command_id);
      if (found == pending_.end()) return;
      auto& probes = found->second.answer.probes;
      if (probes.size() < VerifyProbeRecord::max_records) probes.push_back(record);
      return;
    }
    case LinkKind::command_done:
      if (CommandDone done; parse_link_message(packet, done)) on_done(done);
      return;
    default:
      return;  // not for control, or of a later version
  }
}

void SupervisorLink::on_done(const CommandDone& done) {
  const auto found = pending_.find(done.command_id);
  if (found == pending_.end()) return;
  Pending pending = std::move(found->second);
  pending_.erase(found);
  if (pending_.empty()) expiry_.stop();
  if (done.error_code != 0) return pending.on_answer(fail(error_of(done)));
  pending.answer.done = done;
  pending.on_answer(std::move(pending.answer));
}

void SupervisorLink::expire() {
  const std::uint64_t now_ns = monotonic_ns();
  std::vector<OnAnswer> late;
  for (auto pending = pending_.begin(); pending != pending_.end();) {
    if (pending->second.deadline_ns > now_ns) {
      ++pending;
      continue;
    }
    late.push_back(std::move(pending->second.on_answer));
    pending = pending_.erase(pending);
  }
  if (pending_.empty()) expiry_.stop();
  for (const OnAnswer& on_answer : late) {
    on_answer(unavailable("the supervisor did not answer in time"));
  }
}

}  // namespace tenantd
