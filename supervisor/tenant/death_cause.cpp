// What people read about a death. Runs in: supervisor; trusts nothing but the kernel's status.
#include <csignal>
#include <cstring>

#include "shared/base/units.h"
#include "shared/contract/process_contract.h"
#include "supervisor/tenant/worker.h"

namespace tenantd {
namespace {

const char* meaning(int exit_code) noexcept {
  switch (static_cast<ExitCode>(exit_code)) {
    case ExitCode::clean:
      return " (in order)";
    case ExitCode::bad_launch_spec:
      return " (its launch spec did not validate)";
    case ExitCode::confinement:
      return " (a confinement layer could not be applied)";
    case ExitCode::exec_failed:
      return " (the program could not be executed)";
    case ExitCode::store_locked:
      return " (another process writes the tenant's data)";
    case ExitCode::orphaned:
      return " (no supervisor adopted it)";
    case ExitCode::barrier_closed:
      return " (it was not released)";
    case ExitCode::failed:
      break;
  }
  return "";
}

}  // namespace

std::string DeathCause::describe() const {
  switch (kind) {
    case Kind::exited:
      return "exit code " + std::to_string(value) + meaning(value);
    case Kind::signalled:
      return "signal " + std::to_string(value) + " (" + ::strsignal(value) + ")";
    case Kind::out_of_memory:
      return peak_bytes == 0 ? "out of memory" : "out of memory, peak " + format_size(peak_bytes);
    case Kind::unknown:
      break;
  }
  return "cause unknown";
}

}  // namespace tenantd
