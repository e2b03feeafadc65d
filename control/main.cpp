// tenantd-control: administration and the event ledger.
//
// A confined process with a uid of its own, started by the supervisor: the link at link_fd, the
// launch spec at launch_spec_fd, its data in /data. One thread, one loop. It ends with its link:
// the next supervisor starts a new one. Its log goes to stderr, a line a message, which the
// supervisor captures.
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "control/admin/retention_sweep.h"
#include "control/attach/admin_server.h"
#include "control/ledger/ledger.h"
#include "control/link/supervisor_link.h"
#include "control/logbook/logbook.h"
#include "control/options.h"
#include "shared/contract/launch_spec.h"
#include "shared/os/lockdown.h"
#include "shared/os/sealed_memfd.h"

using namespace tenantd;

namespace {

void log_line(std::string_view message) {
  const std::string line = "control: " + std::string(message) + "\n";
  (void)std::fwrite(line.data(), 1, line.size(), stderr);
}

int exit_with(ExitCode code, std::string_view message) {
  log_line(message);
  return static_cast<int>(code);
}

Result<LaunchSpec> read_launch_spec() {
  LaunchSpec spec;
  if (Status read = read_sealed_record(launch_spec_fd, spec); !read) return fail(read.error());
  if (spec.magic != LaunchSpec::magic_value || spec.version != LaunchSpec::version_value ||
      spec.kind != ProgramKind::control) {
    return fail(ErrorCode::protocol_error, "the launch spec is not one for control");
  }
  return spec;
}

// The second stage. Where the supervisor tolerates a host without seccomp, it is said and gone on.
Status lock_down(const LaunchSpec& spec) {
  Status locked = lock_down_self(false);
  if (locked || !LayerSet(spec.tolerated_layers).has(Layer::seccomp)) return locked;
  log_line("runs without the second seccomp filter: " + locked.error().message);
  return {};
}

int run(const LaunchSpec& spec, const ControlOptions& options) {
  // Before the ledger is read: an earlier run may have been somebody else's.
  if (const Status locked = lock_down(spec); !locked) {
    return exit_with(ExitCode::confinement, "second stage: " + locked.error().describe());
  }
  Loop loop;
  LogBook logbook;
  Ledger ledger(loop, options.data_directory + "/ledger.db", options.ledger, log_line);
  AdminServer server(loop, options.connection, log_line);
  std::unique_ptr<SupervisorLink> link;
  const auto stop = [&ledger, &server, &loop](GoawayReason reason) {
    server.say_goaway(reason);
    ledger.flush();
    loop.stop();
  };
  SupervisorLink::Handlers handlers;
  handlers.on_attach = [&server, &spec](const Attach& attach, UniqueFd socket) {
    server.attach(attach, std::move(socket), spec.generation);
  };
  handlers.on_event = [&ledger](const Event& event) { ledger.append(event); };
  handlers.on_log_line = [&logbook](const LogLine& line) { logbook.append(line); };
  handlers.on_drain = [&stop, &link](const Drain&) {
    stop(GoawayReason::stopping);
    (void)link->send_drained();  // fails only if the supervisor has gone
  };
  handlers.on_closed = [&stop] { stop(GoawayReason::restarting); };
  auto created =
      SupervisorLink::create(loop, UniqueFd(link_fd), spec.generation, std::move(handlers));
  if (!created) return exit_with(ExitCode::failed, "link: " + created.error().describe());
  link = std::move(*created);
  server.use(AdminContext{*link, ledger, logbook});
  RetentionSweep sweep(loop, *link, ledger, options.first_sweep_ms);
  const Signal terminate(loop, SIGTERM, [&stop](int) { stop(GoawayReason::stopping); });
  if (const Status sent = link->send_ready(); !sent) {
    return exit_with(ExitCode::failed, "ready: " + sent.error().describe());
  }
  loop.run();
  return static_cast<int>(ExitCode::clean);
}

}  // namespace

int main(int count, char** arguments) {
  (void)std::signal(SIGPIPE, SIG_IGN);
  const auto options = parse_control_options(count, arguments);
  if (!options) return exit_with(ExitCode::failed, options.error().describe());
  const auto spec = read_launch_spec();
  if (!spec) return exit_with(ExitCode::bad_launch_spec, spec.error().describe());
  return run(*spec, *options);
}
