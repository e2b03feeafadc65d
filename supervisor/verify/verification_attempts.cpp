// The part of a verification that launches probe processes, one after another.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <random>
#include <utility>

#include "shared/base/clock.h"
#include "supervisor/process/tenant_network.h"
#include "supervisor/verify/verification.h"

namespace tenantd {
namespace {

// None: of a worker of one tenant.
std::optional<SharedPlace> shared_place(const Tenant& process) {
  if (!process.config->pool) return std::nullopt;
  return SharedPlace{process.id.str(), process.worker ? process.generation : 0};
}

}  // namespace
Verification::Stage Verification::prepare_attempts(const Tenant& process) {
  const auto rows = probe_rows();
  recall_attempts(process);
  bool any = false;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    any = any || (rows[i].source == ProbeSource::attempt && wanted(rows[i]) && !findings_[i]);
  }
  if (!any) return Stage::plant;
  if (Status ready = prepare_probes(process); !ready) {
    find_all(ProbeSource::attempt, failed("could not be tried: " + ready.error().message));
    return Stage::plant;
  }
  return Stage::attempts;
}

Status Verification::prepare_probes(const Tenant& process) {
  if (prepared_) return {};
  const std::string& state = services_.paths.state_dir;
  const auto uid = uid_of(state, process, services_.uids);
  if (!uid) return tl::unexpected(uid.error());
  if (!services_.uids.may_own(*uid)) {
    return fail(ErrorCode::permission_denied, "its uid is none that a tenant may have");
  }
  Status ready = make_probe_directory(state, process_id_, *uid, services_.uids.privileged());
  if (ready) ready = listen_on_abstract_socket();
  if (!ready) return ready;
  uid_ = *uid;
  targets_.other_tenant_file = foreign_database(services_.known, process, state);
  targets_.other_shard_file = foreign_shard(services_.known, process, state);
  targets_.host_file = services_.paths.jail_program;
  targets_.client_socket = services_.paths.run_dir + "/tenantd.sock";
  prepared_ = true;
  return {};
}

// Nobody accepts: that a connection waits in its queue is what a probe must not bring about.
Status Verification::listen_on_abstract_socket() {
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return fail_errno("socket", errno);
  std::random_device random;
  targets_.abstract_socket =
      "tenantd-verify-" + std::to_string(::getpid()) + "-" + std::to_string(random());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, targets_.abstract_socket.data(),
              targets_.abstract_socket.size());
  const auto length =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + targets_.abstract_socket.size());
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0 ||
      ::listen(socket.get(), 1) != 0) {
    return fail_errno("listen on an abstract socket", errno);
  }
  abstract_listener_ = std::move(socket);
  return {};
}

bool Verification::try_next(const Tenant& process) {
  const auto rows = probe_rows();
  for (; next_row_ < rows.size(); ++next_row_) {
    const std::size_t at = next_row_;
    const ProbeRow& row = rows[at];
    if (row.source != ProbeSource::attempt || !wanted(row) || findings_[at]) continue;
    targets_.victim_pid = foreign_process(services_.known, process);
    ProbeLaunch launch =
        make_probe_launch(row, services_.workforce.request_for(process_id_, *process.config, uid_),
                          services_.paths, generation_, targets_);
    if (row.attempt == ProbeAttempt::egress) {
      rehearse_network(make_rehearsal_plan(process_id_, *process.config, services_.paths.run_dir),
                       services_.paths, launch);
    }
    if (!launch.not_promised.empty()) {
      find(at, {ProbeOutcome::not_promised, launch.not_promised});
      continue;
    }
    if (!launch.not_applicable.empty()) {
      find(at, {ProbeOutcome::not_applicable, launch.not_applicable});
      continue;
    }
    ++generation_;
    ++next_row_;
    auto run = ProbeRun::start(services_.probes, std::move(launch.request), launch.order,
                               [this, at, place = shared_place(process)](const ProbeEnd& end) {
                                 on_probe_end(at, place, end);
                               });
    if (!run) {
      find(at, failed("could not be tried: " + run.error().message));
      return true;
    }
    run_ = std::move(*run);
    return false;
  }
  return true;
}

void Verification::on_probe_end(std::size_t row, const std::optional<SharedPlace>& place,
                                const ProbeEnd& end) {
  Finding finding = judge_attempt(probe_rows()[row], end);
  if (place) {
    shared_.keep(*place, row, finding, monotonic_ms());
    finding = SharedFindings::said_of(*place, std::move(finding));
  }
  find(row, std::move(finding));
  run_.reset();
  turn_soon();
}

void Verification::recall_attempts(const Tenant& process) {
  const auto place = shared_place(process);
  if (!place) return;
  for (std::size_t i = 0; i < findings_.size(); ++i) {
    if (probe_rows()[i].source != ProbeSource::attempt || !wanted(probe_rows()[i])) continue;
    if (auto known = shared_.recall(*place, i, monotonic_ms(), fresh_)) find(i, std::move(*known));
  }
}

}  // namespace tenantd
