#include "supervisor/control/command_queue.h"

#include <algorithm>
#include <utility>

#include "shared/base/clock.h"
#include "supervisor/control/tenant_record.h"

namespace tenantd {
namespace {

bool about_tenants(CommandVerb verb) noexcept {
  return verb == CommandVerb::list_tenants || verb == CommandVerb::show_tenant;
}

}  // namespace

CommandQueue::CommandQueue(Loop& loop, CommandTargets targets, Answers answers)
    : targets_(std::move(targets)), answers_(std::move(answers)), timer_(loop) {}

bool CommandQueue::take(const Command& command) {
  if (!command.tenant_id.valid() || (command.checks & ~all_checks) != 0) return false;
  if (commands_.size() >= max_commands) {
    finish(command, fail(ErrorCode::resource_exhausted, "too many commands at once"));
    return true;
  }
  commands_.push_back(command);
  if (!timer_.active()) work();
  return true;
}

void CommandQueue::clear() {
  commands_.clear();
  verified_.clear();
  ++control_process_;
  begun_ = false;
  timer_.stop();
}

// One answer a turn of the loop, however many packets came in it: it may read a page of control
// groups or a process's whole posture.
void CommandQueue::work() {
  if (commands_.empty() && verified_.empty()) return;
  // One answer is at most a page and its end.
  const bool room = answers_.queued() + max_page + 2 <= 256;
  if (room && !verified_.empty()) {
    answer_verified();
    timer_.start(0, [this] { work(); });
    return;
  }
  if (!room || !begin(commands_.front())) {
    timer_.start(look_again_ms, [this] { work(); });
    return;
  }
  const Command command = commands_.front();
  commands_.pop_front();
  begun_ = false;
  answer(command);
  timer_.start(0, [this] { work(); });
}

bool CommandQueue::begin(const Command& command) {
  if (!about_tenants(command.verb)) return true;
  if (!begun_) {
    begun_ = true;
    asked_ms_ = monotonic_ms();
    bool more = false;
    // A pooled worker's numbers are shown as its own only: its tenants do not wait for them.
    for (const Listed& one : page_of(command, more)) {
      if (one.pooled == nullptr && one.runs()) one.tenant->worker->request_status();
    }
  }
  return statuses_fresh(command) || monotonic_ms() >= asked_ms_ + status_wait_ms;
}

bool CommandQueue::statuses_fresh(const Command& command) const {
  bool more = false;
  const auto page = page_of(command, more);
  return std::all_of(page.begin(), page.end(), [this](const Listed& one) {
    return one.pooled != nullptr || !one.runs() || one.tenant->status_ms >= asked_ms_;
  });
}

CommandQueue::Listed CommandQueue::listed(const TenantId& id, const PooledTenant& pooled) const {
  return {id, targets_.pool_workers.entry_of(id), &pooled};
}

std::vector<CommandQueue::Listed> CommandQueue::page_of(const Command& command, bool& more) const {
  std::vector<Listed> page;
  const auto& own = targets_.tenants.all();
  const auto& pooled = targets_.pooled.all();
  const auto id = TenantId::parse(command.tenant_id.view());
  if (command.verb == CommandVerb::show_tenant) {
    const PooledTenant* const standard = id ? targets_.pooled.find(*id) : nullptr;
    if (standard != nullptr) {
      page.push_back(listed(*id, *standard));
    } else if (id && own.contains(*id)) {
      page.push_back({*id, &own.at(*id), nullptr});
    }
    return page;
  }
  const std::size_t size = std::clamp<std::uint32_t>(command.page_size, 1, max_page);
  auto next_own = id ? own.upper_bound(*id) : own.begin();
  auto next_pooled = id ? pooled.upper_bound(*id) : pooled.begin();
  while (next_own != own.end() || next_pooled != pooled.end()) {
    if (page.size() == size) {
      more = true;
      break;
    }
    const bool take_own = next_pooled == pooled.end() ||
                          (next_own != own.end() && next_own->first < next_pooled->first);
    if (take_own) {
      page.push_back({next_own->first, &next_own->second, nullptr});
      ++next_own;
    } else {
      page.push_back(listed(next_pooled->first, next_pooled->second));
      ++next_pooled;
    }
  }
  return page;
}

TenantRecord CommandQueue::record_of(const Listed& one) const {
  if (one.pooled == nullptr) {
    return make_tenant_record(*one.tenant, monotonic_ms(), targets_.shared_uid());
  }
  return make_pooled_record(one.id, *one.pooled, targets_.pool_workers.worker_of(one.id),
                            one.tenant, monotonic_ms(), targets_.shared_uid());
}

void CommandQueue::answer(const Command& command) {
  switch (command.verb) {
    case CommandVerb::list_tenants:
    case CommandVerb::show_tenant:
      return answer_tenants(command);
    case CommandVerb::restart_tenant:
    case CommandVerb::posture:
      return answer_one(command);
    case CommandVerb::reload:
      targets_.reload();
      return finish(command, {}, "the tenants directory is being read again");
    case CommandVerb::confirm_removal: {
      const std::size_t removed = targets_.confirm_removal();
      return finish(command, {}, std::to_string(removed) + " tenants removed");
    }
    case CommandVerb::daemon_status:
      return finish(command, {});
    case CommandVerb::verify:
      return begin_verification(command);
  }
  finish(command, fail(ErrorCode::unsupported, "an unknown command"));
}

void CommandQueue::answer_tenants(const Command& command) {
  bool more = false;
  const auto page = page_of(command, more);
  if (command.verb == CommandVerb::show_tenant && page.empty()) {
    return finish(command, fail(ErrorCode::not_found, "no such tenant"));
  }
  for (const Listed& one : page) {
    auto record = make_link_message<TenantRecord>(0);
    const LinkHeader header = record.header;
    record = record_of(one);
    record.header = header;
    record.command_id = command.command_id;
    answers_.tenant(record);
  }
  auto done = make_link_message<CommandDone>(0);
  done.command_id = command.command_id;
  done.more = more ? 1 : 0;
  answers_.done(done);
}

void CommandQueue::answer_one(const Command& command) {
  const auto id = TenantId::parse(command.tenant_id.view());
  const bool pooled = id && targets_.pooled.find(*id) != nullptr;
  if (pooled && command.verb == CommandVerb::restart_tenant) {
    if (targets_.pooled.acquit(*id)) return finish(command, {}, "no longer suspected");
    return finish(command,
                  fail(ErrorCode::unsupported,
                       "a standard tenant has no worker of its own; the one that it shares is " +
                           targets_.pool_workers.worker_of(*id).str()));
  }
  const Tenant* const tenant = pooled ? targets_.pool_workers.entry_of(*id)
                               : id   ? targets_.tenants.find(*id)
                                      : nullptr;
  if (pooled && tenant == nullptr) {
    return finish(command, fail(ErrorCode::unavailable, "it has no worker now"));
  }
  if (tenant == nullptr) return finish(command, fail(ErrorCode::not_found, "no such tenant"));
  if (command.verb == CommandVerb::restart_tenant) {
    return finish(command, targets_.tenants.restart(*id), "restarting");
  }
  if (!tenant->worker) return finish(command, fail(ErrorCode::unavailable, "it has no worker now"));
  auto record = targets_.posture(*tenant);
  if (!record) return finish(command, tl::unexpected(record.error()));
  record->command_id = command.command_id;
  (void)record->tenant_id.assign(id->view());
  answers_.posture(*record);
  finish(command, {});
}

void CommandQueue::begin_verification(const Command& command) {
  const auto id = TenantId::parse(command.tenant_id.view());
  if (!id) return finish(command, fail(ErrorCode::not_found, "no such tenant"));
  if (command.checks == 0) {
    return finish(command, fail(ErrorCode::invalid_argument, "nothing to check"));
  }
  targets_.verify(
      *id, command.checks,
      [this, command, asked_by = control_process_](
          const Result<std::vector<VerifyProbeRecord>>& probes, const std::string& plan) {
        if (asked_by != control_process_) return;
        verified_.push_back({command, probes, plan});
        if (!timer_.active()) timer_.start(0, [this] { work(); });
      });
}

void CommandQueue::answer_verified() {
  const Verified done = std::move(verified_.front());
  verified_.pop_front();
  if (!done.probes) return finish(done.command, tl::unexpected(done.probes.error()));
  static_assert(VerifyProbeRecord::max_records <= max_page);
  for (VerifyProbeRecord record : *done.probes) {
    record.command_id = done.command.command_id;
    answers_.probe(record);
  }
  finish(done.command, {}, done.plan);
}

void CommandQueue::finish(const Command& command, const Status& status,
                          const std::string& message) {
  auto done = make_link_message<CommandDone>(0);
  done.command_id = command.command_id;
  done.error_code = status ? 0 : static_cast<std::uint32_t>(status.error().code);
  done.message.assign_truncated(status ? message : status.error().message);
  if (command.verb == CommandVerb::daemon_status) done.daemon = targets_.daemon_record();
  answers_.done(done);
}

}  // namespace tenantd
