#include "supervisor/verify/attempt_verdict.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

using namespace tenantd;

namespace {

const ProbeRow& row_of(ProbeAttempt attempt) {
  const auto rows = probe_rows();
  const auto found = std::find_if(rows.begin(), rows.end(), [attempt](const auto& row) {
    return row.source == ProbeSource::attempt && row.attempt == attempt;
  });
  REQUIRE(found != rows.end());
  return *found;
}

ProbeEnd ended_with(int error) {
  ProbeEnd end;
  end.tried = true;
  end.error = error;
  end.cause.kind = DeathCause::Kind::exited;
  return end;
}

ProbeEnd killed_by(int signal) {
  ProbeEnd end;
  end.tried = true;
  end.cause.kind = DeathCause::Kind::signalled;
  end.cause.value = signal;
  return end;
}

ProbeOutcome outcome(ProbeAttempt attempt, const ProbeEnd& end) {
  return judge_attempt(row_of(attempt), end).outcome;
}

}  // namespace

TEST_CASE("two messages in their order, and no other") {
  ProbeEnd end;
  auto result = make_link_message<ProbeResult>(7);
  const auto take = [&](ProbeStep step, int error, std::uint64_t generation) {
    result.step = step;
    result.error = error;
    result.header.generation = generation;
    return take_probe_message(std::as_bytes(std::span(&result, 1)), 7, end);
  };
  CHECK_FALSE(take(ProbeStep::done, EPERM, 7));
  CHECK_FALSE(take(ProbeStep::trying, 0, 8));
  CHECK(take(ProbeStep::trying, 0, 7));
  CHECK_FALSE(take(ProbeStep::trying, 0, 7));
  CHECK(take(ProbeStep::done, EPERM, 7));
  CHECK_FALSE(take(ProbeStep::done, 0, 7));
  CHECK(end.error == EPERM);
  // The jail speaks first or not at all.
  const auto report = make_link_message<ConfinementReport>(7);
  CHECK_FALSE(take_probe_message(std::as_bytes(std::span(&report, 1)), 7, end));
  ProbeEnd fresh;
  CHECK(take_probe_message(std::as_bytes(std::span(&report, 1)), 7, fresh));
  CHECK_FALSE(fresh.tried);
}

TEST_CASE("an attempt that succeeds is a failure of every promise") {
  for (const ProbeRow& row : probe_rows()) {
    if (row.source != ProbeSource::attempt) continue;
    INFO(row.name);
    CHECK(judge_attempt(row, ended_with(0)).outcome == ProbeOutcome::failed);
  }
}

TEST_CASE("an end that nobody can explain is a failure of every promise") {
  ProbeEnd late = killed_by(SIGKILL);
  late.late = true;
  ProbeEnd faulty = killed_by(SIGKILL);
  faulty.faulty = true;
  ProbeEnd never = killed_by(SIGSYS);
  never.tried = false;
  ProbeEnd unconfined = ended_with(EPERM);
  unconfined.jail_reason = "seccomp: no";
  for (const ProbeRow& row : probe_rows()) {
    if (row.source != ProbeSource::attempt) continue;
    INFO(row.name);
    for (const ProbeEnd& end : {late, faulty, never, unconfined, killed_by(SIGSEGV),
                                killed_by(SIGKILL), ended_with(EINVAL), ended_with(ENFILE)}) {
      CHECK(judge_attempt(row, end).outcome == ProbeOutcome::failed);
    }
  }
}

TEST_CASE("what stops an attempt") {
  CHECK(outcome(ProbeAttempt::tcp, killed_by(SIGSYS)) == ProbeOutcome::passed);
  CHECK(outcome(ProbeAttempt::tcp, ended_with(ENETUNREACH)) == ProbeOutcome::passed);
  // Somebody's network was there, nobody listened.
  CHECK(outcome(ProbeAttempt::tcp, ended_with(ECONNREFUSED)) == ProbeOutcome::failed);
  // The packet filter's word; that there is no network at all is not what was promised.
  CHECK(outcome(ProbeAttempt::egress, ended_with(EPERM)) == ProbeOutcome::passed);
  CHECK(outcome(ProbeAttempt::egress, ended_with(ENETUNREACH)) == ProbeOutcome::failed);
  CHECK(outcome(ProbeAttempt::abstract_socket, ended_with(ECONNREFUSED)) == ProbeOutcome::passed);
  // The memory was there, not that page of it.
  CHECK(outcome(ProbeAttempt::other_memory, ended_with(EFAULT)) == ProbeOutcome::failed);
  CHECK(outcome(ProbeAttempt::execute, ended_with(ENOEXEC)) == ProbeOutcome::failed);
  CHECK(outcome(ProbeAttempt::file_size, ended_with(EFBIG)) == ProbeOutcome::passed);
}

TEST_CASE("memory and CPU are judged by the control group's counters") {
  ProbeEnd end = killed_by(SIGKILL);
  CHECK(outcome(ProbeAttempt::memory, end) == ProbeOutcome::failed);
  end.usage.oom_kills = 1;
  CHECK(outcome(ProbeAttempt::memory, end) == ProbeOutcome::passed);
  end = ended_with(0);
  CHECK(outcome(ProbeAttempt::cpu, end) == ProbeOutcome::failed);
  end.cpu_quota_us = 5'000;
  end.usage.periods = 3;
  end.usage.cpu_us = 30'001;
  CHECK(outcome(ProbeAttempt::cpu, end) == ProbeOutcome::failed);
  // Four periods' worth and what two CPUs had left of earlier ones: others have had the CPU.
  end.usage.cpu_us = 30'000;
  CHECK(outcome(ProbeAttempt::cpu, end) == ProbeOutcome::not_applicable);
  end.usage.throttled_periods = 1;
  CHECK(outcome(ProbeAttempt::cpu, end) == ProbeOutcome::passed);
}

TEST_CASE("a breach is excused by a tolerated layer that would have stopped it, and by no other") {
  ProbeEnd end = ended_with(0);
  end.missing.add(Layer::landlock);
  const Finding finding = judge_attempt(row_of(ProbeAttempt::new_file), end);
  CHECK(finding.outcome == ProbeOutcome::not_promised);
  CHECK(finding.evidence == "not promised here: landlock is tolerated as missing (it succeeded)");
  CHECK(outcome(ProbeAttempt::fork, end) == ProbeOutcome::failed);
  // Missing, and stopped all the same.
  ProbeEnd stopped = ended_with(EACCES);
  stopped.missing.add(Layer::mount_namespace);
  CHECK(outcome(ProbeAttempt::host_file, stopped) == ProbeOutcome::passed);
}

namespace {

const ProbeRow& planted_row(RowProbe probe) {
  const auto rows = probe_rows();
  const auto found = std::find_if(rows.begin(), rows.end(), [probe](const auto& row) {
    return row.source == ProbeSource::rows && row.row == probe;
  });
  REQUIRE(found != rows.end());
  return *found;
}

bool take_row(ProbeEnd& end, RowProbe probe, RowVerdict verdict, std::uint64_t generation = 7) {
  auto result = make_link_message<RowResult>(generation);
  result.probe = probe;
  result.verdict = verdict;
  result.text.assign_truncated("so\x1b[1m");
  return take_probe_message(std::as_bytes(std::span(&result, 1)), 7, end);
}

}  // namespace

TEST_CASE("a word on each row, between the two of the attempt, and no other") {
  ProbeEnd end;
  CHECK_FALSE(take_row(end, RowProbe::rows_read, RowVerdict::held));
  end.tried = true;
  CHECK_FALSE(take_row(end, RowProbe::rows_read, RowVerdict::held, 8));
  CHECK_FALSE(take_row(end, RowProbe::count, RowVerdict::held));
  CHECK_FALSE(take_row(end, RowProbe::rows_read, static_cast<RowVerdict>(17)));
  CHECK(take_row(end, RowProbe::rows_read, RowVerdict::held));
  CHECK_FALSE(take_row(end, RowProbe::rows_read, RowVerdict::held));
  end.error = 0;
  CHECK_FALSE(take_row(end, RowProbe::rows_listed, RowVerdict::held));
}

TEST_CASE("only what was held has passed, and what nobody told has failed") {
  const auto judged = [](RowVerdict verdict) {
    ProbeEnd end;
    end.tried = true;
    REQUIRE(take_row(end, RowProbe::other_entry, verdict));
    const Finding finding = judge_row(planted_row(RowProbe::other_entry), end);
    CHECK(finding.evidence.find('\x1b') == std::string::npos);
    return finding.outcome;
  };
  CHECK(judged(RowVerdict::held) == ProbeOutcome::passed);
  CHECK(judged(RowVerdict::broken) == ProbeOutcome::failed);
  CHECK(judged(RowVerdict::untold) == ProbeOutcome::failed);
  CHECK(judged(RowVerdict::refused) == ProbeOutcome::not_applicable);
  ProbeEnd end;
  CHECK(judge_row(planted_row(RowProbe::rows_read), end).outcome == ProbeOutcome::failed);
  end.tried = true;
  CHECK(judge_row(planted_row(RowProbe::rows_read), end).outcome == ProbeOutcome::failed);
  REQUIRE(take_row(end, RowProbe::rows_read, RowVerdict::held));
  end.faulty = true;
  CHECK(judge_row(planted_row(RowProbe::rows_read), end).outcome == ProbeOutcome::failed);
}
