// What needs root runs in network namespaces of the test's own: the host's is never touched.
#include "supervisor/network/set_up.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>

#include "shared/os/fd.h"
#include "supervisor/network/links.h"
#include "tests/unit/supervisor/network/plans.h"

using namespace tenantd;
using namespace tenantd::test;

namespace {

bool accepted(const std::function<void(NetworkPlan&)>& change) {
  NetworkPlan plan = pair_plan();
  add_rule(plan, EgressProtocol::tcp, v4(203, 0, 113, 0, 24), 443, 443);
  change(plan);
  return check_network_plan(plan).has_value();
}

// Runs `body` in a child with a "host" namespace of its own: 0, or what it returned.
int in_other_host(const std::function<int()>& body) {
  std::cout.flush();
  const pid_t child = ::fork();
  if (child == 0) ::_exit(::unshare(CLONE_NEWNET) == 0 ? body() : 100);
  int status = 0;
  (void)::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 101;
}

// A process that waits in a namespace of its own, as a worker at its barrier does.
class Waiting {
 public:
  explicit Waiting(bool own_namespace) {
    int ends[2];
    if (::pipe(ends) != 0) return;
    pid_ = ::fork();
    if (pid_ == 0) {
      if (own_namespace) (void)!::unshare(CLONE_NEWNET);
      (void)!::write(ends[1], "r", 1);
      for (;;) ::pause();
    }
    char ready = 0;
    (void)!::read(ends[0], &ready, 1);
    (void)::close(ends[0]);
    (void)::close(ends[1]);
    pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  ~Waiting() {
    (void)::kill(pid_, SIGKILL);
    (void)::waitpid(pid_, nullptr, 0);
  }
  [[nodiscard]] int pidfd() const { return pidfd_.get(); }

 private:
  pid_t pid_ = 0;
  UniqueFd pidfd_;
};

bool output_has(const char* command, const std::string& wanted) {
  std::string text;
  FILE* const pipe = ::popen(command, "r");
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) text += static_cast<char>(c);
  (void)::pclose(pipe);
  return text.find(wanted) != std::string::npos;
}

bool skipped_for_want_of_root() {
  if (::geteuid() == 0 && in_other_host([] { return 0; }) == 0) return false;
  std::cout << "skipped: needs root: network namespaces\n";
  return true;
}

NetworkPlan interface_plan() {
  NetworkPlan plan = pair_plan();
  plan.host_link = {};
  (void)plan.interface.assign("tst0");
  return plan;
}

bool make_interface() {
  auto links = Links::open();
  const UniqueFd here(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  return links && links->make_pair("tst0", "tst1", here.get());
}

}  // namespace

TEST_CASE("a plan with anything wrong in it is refused") {
  CHECK(accepted([](NetworkPlan&) {}));
  CHECK_FALSE(accepted([](NetworkPlan& plan) { plan.magic = 0; }));
  CHECK_FALSE(accepted([](NetworkPlan& plan) { plan.version = 9; }));
  CHECK_FALSE(accepted([](NetworkPlan& plan) { plan.host_link.bytes.fill('x'); }));
  CHECK_FALSE(accepted([](NetworkPlan& plan) { plan.owner = {}; }));
  CHECK_FALSE(accepted([](NetworkPlan& plan) { plan.host_link = {}; }));
  CHECK_FALSE(accepted([](NetworkPlan& plan) { (void)plan.interface.assign("eth1"); }));
  CHECK_FALSE(accepted([](NetworkPlan& plan) { (void)plan.host_link.assign("a\" accept"); }));
  CHECK_FALSE(accepted([](NetworkPlan& plan) { (void)plan.host_link.assign("../x"); }));
  CHECK_FALSE(accepted([](NetworkPlan& plan) { plan.address.version = 5; }));
  CHECK_FALSE(accepted([](NetworkPlan& plan) { plan.address.prefix = 33; }));
  CHECK_FALSE(accepted([](NetworkPlan& plan) { plan.gateway = v4(10, 77, 0, 5, 30); }));
  CHECK_FALSE(accepted([](NetworkPlan& plan) { plan.gateway.prefix = 24; }));
  CHECK_FALSE(accepted([](NetworkPlan& plan) { plan.rule_count = 65; }));
  CHECK_FALSE(accepted([](NetworkPlan& plan) { plan.rules[0].first_port = 0; }));
  CHECK_FALSE(accepted([](NetworkPlan& plan) { plan.rules[0].last_port = 1; }));
  CHECK_FALSE(accepted([](NetworkPlan& plan) { plan.rules[0].destination = v6(1, 128); }));
  CHECK_FALSE(
      accepted([](NetworkPlan& plan) { plan.rules[0].protocol = static_cast<EgressProtocol>(1); }));
}

TEST_CASE("an interface of a driver comes back, a virtual one does not") {
  CHECK(check_returns("eth1", ""));
  const Status refused = check_returns("vlan7", "vlan");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::unsupported);
  CHECK(refused.error().message.find("vlan7 is a virtual one (vlan)") != std::string::npos);
}

TEST_CASE("a pair has an end in each namespace, and each end its address") {
  if (skipped_for_want_of_root()) return;
  CHECK(in_other_host([] {
          const Waiting worker(true);
          NetworkPlan plan = pair_plan();
          add_rule(plan, EgressProtocol::tcp, v4(10, 77, 0, 1, 32), 443, 443);
          const UniqueFd host(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
          if (!set_up_network(plan, worker.pidfd(), VirtualInterface::refuse)) return 1;
          if (!output_has("ip -o address", "inet 10.77.0.2/30")) return 2;
          if (!output_has("ip route", "default via 10.77.0.1 dev net0")) return 3;
          if (output_has("ip -o link show lo", ",UP")) return 4;
          if (output_has("ip -o address", "inet6")) return 5;
          if (::setns(host.get(), CLONE_NEWNET) != 0) return 6;
          if (!output_has("ip -o address", "inet 10.77.0.1/30")) return 7;
          return output_has("ip link", "alias tenantd 0011223344556677 acme") ? 0 : 8;
        }) == 0);
}

TEST_CASE("what an earlier run has left is replaced, what is somebody else's is not") {
  if (skipped_for_want_of_root()) return;
  CHECK(in_other_host([] {
          const UniqueFd host(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
          const Waiting first(true);
          if (!set_up_network(pair_plan(), first.pidfd(), VirtualInterface::refuse)) return 1;
          if (::setns(host.get(), CLONE_NEWNET) != 0) return 2;
          const Waiting second(true);
          if (!set_up_network(pair_plan(), second.pidfd(), VirtualInterface::refuse)) return 3;
          if (::setns(host.get(), CLONE_NEWNET) != 0) return 4;
          NetworkPlan other = pair_plan();
          (void)other.owner.assign("tenantd 0011223344556677 globex");
          const Waiting third(true);
          const Status refused = set_up_network(other, third.pidfd(), VirtualInterface::refuse);
          if (refused) return 5;
          return refused.error().message.find("is not this tenant's") == std::string::npos ? 6 : 0;
        }) == 0);
}

TEST_CASE("nothing is done to the host's own namespace") {
  if (skipped_for_want_of_root()) return;
  CHECK(in_other_host([] {
          const Waiting worker(false);
          const Status refused =
              set_up_network(pair_plan(), worker.pidfd(), VirtualInterface::refuse);
          if (refused) return 1;
          if (refused.error().code != ErrorCode::unsupported) return 2;
          return output_has("ip -o link", "tnd") ? 3 : 0;
        }) == 0);
}

TEST_CASE("an interface of the host's is moved, unless it would not come back") {
  if (skipped_for_want_of_root()) return;
  CHECK(in_other_host([] {
          const UniqueFd host(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
          const Waiting worker(true);
          const Status absent =
              set_up_network(interface_plan(), worker.pidfd(), VirtualInterface::refuse);
          if (absent || absent.error().code != ErrorCode::not_found) return 1;
          if (::setns(host.get(), CLONE_NEWNET) != 0 || !make_interface()) return 2;
          const Status refused =
              set_up_network(interface_plan(), worker.pidfd(), VirtualInterface::refuse);
          if (refused || refused.error().code != ErrorCode::unsupported) return 3;
          if (::setns(host.get(), CLONE_NEWNET) != 0) return 4;
          if (!output_has("ip -o link", "tst0")) return 5;
          if (!set_up_network(interface_plan(), worker.pidfd(), VirtualInterface::take)) return 6;
          if (!output_has("ip -o address", "inet 10.77.0.2/30")) return 7;
          if (::setns(host.get(), CLONE_NEWNET) != 0) return 8;
          return output_has("ip -o link", " tst0") ? 9 : 0;
        }) == 0);
}

TEST_CASE("a network that the host is in already is not given away") {
  if (skipped_for_want_of_root()) return;
  CHECK(in_other_host([] {
          const UniqueFd host(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
          auto links = Links::open();
          if (!links || !make_interface()) return 1;
          const auto own = links->find("tst0");
          if (!own || !links->add_address(own->index, v4(10, 77, 0, 9, 16))) return 2;
          const Waiting worker(true);
          const Status refused =
              set_up_network(pair_plan(), worker.pidfd(), VirtualInterface::refuse);
          if (refused || refused.error().code != ErrorCode::unsupported) return 3;
          return refused.error().message ==
                         "the host has 10.77.0.9/16 itself, which overlaps 10.77.0.2/30"
                     ? 0
                     : 4;
        }) == 0);
}
