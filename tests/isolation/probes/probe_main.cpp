// Runs the one attempt of its launch spec and says "<attempt>=<verdict>" on its log.
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

#include <string>

#include "shared/os/lockdown.h"
#include "shared/os/sealed_memfd.h"
#include "tests/isolation/probes/probe.h"
#include "tests/isolation/probes/surroundings.h"

namespace tenantd {
namespace {

std::string verdict_name(int outcome) {
  if (outcome == 0) return "allowed";
  if (outcome == probe::no_effect) return "no effect";
  const char* name = ::strerrorname_np(outcome);
  return name == nullptr ? std::to_string(outcome) : name;
}

void tell(std::string_view attempt, std::string_view verdict) {
  const std::string line = std::string(attempt).append("=").append(verdict).append("\n");
  (void)!::write(log_out_fd, line.data(), line.size());
}

// The name after the rule's.
std::string_view short_name(std::string_view attempt) {
  return attempt.substr(attempt.find('.') + 1);
}

// Until the driver's end of the link goes.
int hold(std::string_view attempt) {
  tell(attempt, "holding");
  pollfd end{link_fd, 0, 0};
  while (::poll(&end, 1, -1) >= 0 && (end.revents & POLLHUP) == 0) {
  }
  return 0;
}

int run() {
  LaunchSpec spec;
  if (!read_sealed_record(launch_spec_fd, spec)) return 70;
  const AttemptOrder order = read_order(spec);
  const bool own_root = LayerSet(spec.supervisor_layers).has(Layer::mount_namespace);
  const std::string attempt(order.attempt);
  const std::string source(spec.mounts[0].source.view());
  const std::string host = source.substr(0, source.rfind("/tenants/"));
  const std::string hostname(spec.hostname.view());
  probe::Surroundings around{};
  around.attempt = attempt.c_str();
  around.data = own_root ? data_path.data() : source.c_str();
  around.scratch = scratch_path.data();
  around.host = host.c_str();
  around.victim = static_cast<int>(order.victim);
  around.neighbour = static_cast<int>(order.neighbour);
  around.secret_address = order.secret_address;
  around.tcp_port = order.tcp_port;
  around.udp_port = order.udp_port;
  around.victim_uid = order.victim_uid;
  around.terminal = static_cast<int>(order.terminal);
  around.hostname = hostname.c_str();
  tell("started", "1");
  if (order.second_stage && !lock_down_self(true)) return 72;
  if (short_name(attempt) == "hold") return hold(attempt);
  for (unsigned i = 0; i < probe::attempt_count; ++i) {
    if (short_name(attempt) != probe::attempts[i].name) continue;
    tell(attempt, verdict_name(probe::attempts[i].run(around)));
    return 0;
  }
  return 71;
}

}  // namespace

int probe::read_file(const char* path, const char* expected) {
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  char text[4096] = {};
  const ssize_t size = ::read(fd, text, sizeof text - 1);
  const int failed = errno;
  (void)::close(fd);
  if (size < 0) return failed;
  return ::strncmp(text, expected, ::strlen(expected)) == 0 ? 0 : no_effect;
}

}  // namespace tenantd

int main() { return tenantd::run(); }
