#include "supervisor/verify/attempt_verdict.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <initializer_list>
#include <span>

namespace tenantd {
namespace {

// The errors by which each attempt is known to be stopped. Any other means that the attempt came
// further than it may (ECONNREFUSED by TCP: a network was there), or did not take place.
struct Stops {
  ProbeAttempt attempt;
  std::array<int, 5> errors;
};
constexpr std::array stops = {
    Stops{ProbeAttempt::other_tenant_file, {ENOENT, EACCES, EPERM}},
    Stops{ProbeAttempt::other_shard_file, {ENOENT, EACCES, EPERM}},
    Stops{ProbeAttempt::host_file, {ENOENT, EACCES, EPERM}},
    Stops{ProbeAttempt::other_memory, {ESRCH, EPERM, ENOSYS}},
    Stops{ProbeAttempt::shared_memory, {ENOENT, EACCES, EPERM}},
    Stops{ProbeAttempt::tcp, {ENETUNREACH, EACCES, EPERM, EAFNOSUPPORT}},
    Stops{ProbeAttempt::udp, {ENETUNREACH, EACCES, EPERM, EAFNOSUPPORT}},
    // Only the packet filter says so; an unreachable network would say that there is none.
    Stops{ProbeAttempt::egress, {EPERM}},
    Stops{ProbeAttempt::abstract_socket, {ECONNREFUSED, EACCES, EPERM}},
    Stops{ProbeAttempt::path_socket, {ENOENT, EACCES, EPERM}},
    Stops{ProbeAttempt::signal, {ESRCH, EPERM}},
    Stops{ProbeAttempt::trace, {ESRCH, EPERM, ENOSYS}},
    Stops{ProbeAttempt::proc, {ENOENT, EACCES, EPERM}},
    Stops{ProbeAttempt::fork, {EPERM, ENOSYS, EAGAIN}},
    Stops{ProbeAttempt::new_namespace, {EPERM, ENOSYS}},
    Stops{ProbeAttempt::execute, {EPERM, EACCES, ENOSYS}},
    Stops{ProbeAttempt::system_call, {EPERM, ENOSYS}},
    Stops{ProbeAttempt::memory, {ENOMEM}},
    Stops{ProbeAttempt::threads, {EAGAIN}},
    Stops{ProbeAttempt::descriptors, {EMFILE}},
    Stops{ProbeAttempt::file_size, {EFBIG}},
    Stops{ProbeAttempt::new_file, {EACCES, EPERM, EROFS}},
};

bool stopped_by(ProbeAttempt attempt, int error) noexcept {
  return std::any_of(stops.begin(), stops.end(), [attempt, error](const Stops& row) {
    return row.attempt == attempt && error != 0 &&
           std::find(row.errors.begin(), row.errors.end(), error) != row.errors.end();
  });
}

std::string error_name(int error) {
  const char* const name = ::strerrorname_np(error);
  return name == nullptr ? std::to_string(error) : std::string(name);
}

// It succeeded, or came too far: excused only where a layer that would stop it is tolerated as
// missing.
Finding breach(const ProbeRow& row, std::string how, LayerSet missing) {
  const LayerSet lacking = row.layers.without(row.layers.without(missing));
  if (lacking.empty()) return failed(std::move(how));
  PromiseBounds bounds;
  bounds.applied = LayerSet::all().without(lacking);
  bounds.tolerated = lacking;
  Finding finding = promise_of(row, bounds);
  finding.evidence += " (" + how + ")";
  return finding;
}

Finding judge_memory(const ProbeRow& row, const ProbeEnd& end) {
  const bool killed = end.cause.kind == DeathCause::Kind::signalled && end.cause.value == SIGKILL;
  if (killed && !end.error && end.usage.oom_kills > 0) {
    return passed("killed alone at " + std::to_string(end.usage.memory_max_bytes >> 20U) +
                  " MiB by the kernel's lack of memory");
  }
  if (end.error == 0) return breach(row, "it got more than its maximum", end.missing);
  return failed("inconclusive: " + end.cause.describe());
}

// What a CPU was given of earlier periods stays its own: a slice of 5 ms each, of the CPU that it
// ran on before and of the one that it runs on (Documentation/scheduler/sched-bwc.rst).
constexpr std::uint64_t unspent_us = 10'000;

// The word of the control group's counters, not the probe's. Periods are counted only where there
// is a quota. On a host that is too busy to give it as much, nothing is shown.
Finding judge_cpu(const ProbeRow& row, const ProbeEnd& end) {
  if (end.error != 0) return failed("inconclusive: " + end.cause.describe());
  if (end.usage.throttled_us > 0 || end.usage.throttled_periods > 0) {
    return passed("held back in " + std::to_string(end.usage.throttled_periods) + " periods of " +
                  std::to_string(end.usage.periods));
  }
  const std::uint64_t allowed_us = (end.usage.periods + 1) * end.cpu_quota_us + unspent_us;
  if (end.usage.periods > 0 && end.usage.cpu_us <= allowed_us) {
    return {ProbeOutcome::not_applicable, "the host is too busy to let it reach its quota"};
  }
  return breach(row,
                "it was not held back: " + std::to_string(end.usage.cpu_us) + " us in " +
                    std::to_string(end.usage.periods) + " periods of " +
                    std::to_string(end.cpu_quota_us) + " us",
                end.missing);
}

bool take_row(const RowResult& row, std::uint64_t generation, ProbeEnd& end) {
  const auto at = static_cast<std::size_t>(row.probe);
  const bool known = at < end.rows.size() && row.verdict <= RowVerdict::refused;
  if (!known || row.header.generation != generation || !row.text.valid()) return false;
  if (!end.tried || end.error || end.rows[at]) return false;
  end.rows[at] = row;
  return true;
}

}  // namespace

bool take_probe_message(std::span<const std::byte> packet, std::uint64_t generation,
                        ProbeEnd& end) {
  ConfinementReport report;
  if (parse_link_message(packet, report)) {
    const bool first = !end.tried && end.jail_reason.empty();
    if (!first || report.header.generation != generation || !report.reason.valid()) return false;
    end.missing = LayerSet(end.missing.bits() | report.missing_layers);
    end.jail_reason = report.reason.view();
    return true;
  }
  RowResult row;
  if (parse_link_message(packet, row)) return take_row(row, generation, end);
  ProbeResult result;
  if (!parse_link_message(packet, result) || result.header.generation != generation) return false;
  if (result.step == ProbeStep::trying && !end.tried) {
    end.tried = true;
    return true;
  }
  if (result.step != ProbeStep::done || !end.tried || end.error) return false;
  end.error = result.error;
  return true;
}

Finding judge_row(const ProbeRow& row, const ProbeEnd& end) {
  if (end.faulty) return failed("the probe sent what it may not");
  if (!end.jail_reason.empty()) return failed("could not be confined: " + end.jail_reason);
  if (!end.tried) return failed("the probe never began: " + end.cause.describe());
  const auto& said = end.rows.at(static_cast<std::size_t>(row.row));
  if (!said && end.late) return failed("inconclusive: it took too long");
  if (!said) return failed("inconclusive: " + end.cause.describe());
  std::string text = printable(said->text.view(), said->text.bytes.size());
  switch (said->verdict) {
    case RowVerdict::held:
      return passed(std::move(text));
    case RowVerdict::refused:
      return {ProbeOutcome::not_applicable, "the worker takes nobody more: " + text};
    case RowVerdict::broken:
      return failed(std::move(text));
    case RowVerdict::untold:
      break;
  }
  return failed("inconclusive: " + text);
}

Finding judge_attempt(const ProbeRow& row, const ProbeEnd& end) {
  if (end.faulty) return failed("the probe sent what it may not");
  if (!end.jail_reason.empty()) return failed("could not be confined: " + end.jail_reason);
  if (!end.tried) return failed("the probe never began: " + end.cause.describe());
  if (row.attempt == ProbeAttempt::memory && !end.late) return judge_memory(row, end);
  if (end.late) return failed("inconclusive: it took too long");
  if (row.attempt == ProbeAttempt::cpu) return judge_cpu(row, end);
  if (!end.error) {
    const bool filtered =
        end.cause.kind == DeathCause::Kind::signalled && end.cause.value == SIGSYS;
    if (filtered) return passed("killed by the system call filter (SIGSYS)");
    return failed("inconclusive: " + end.cause.describe());
  }
  if (*end.error == 0) return breach(row, "it succeeded", end.missing);
  if (stopped_by(row.attempt, *end.error)) return passed(error_name(*end.error));
  return breach(row, "ended with " + error_name(*end.error) + ", which no protection answers",
                end.missing);
}

}  // namespace tenantd
