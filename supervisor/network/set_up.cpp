#include "supervisor/network/set_up.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <time.h>

#include <cerrno>
#include <string>

#include "shared/os/fd.h"
#include "supervisor/network/links.h"
#include "supervisor/network/nftables.h"
#include "supervisor/network/ruleset.h"

namespace tenantd {
namespace {

// What a namespace had that has just ended comes back a moment later: 50 times 20 ms.
constexpr int max_tries = 50;
constexpr long pause_ns = 20'000'000;

Status refuse(std::string message) {
  return fail(ErrorCode::invalid_argument, "network plan: " + std::move(message));
}

Result<UniqueFd> own_namespace() {
  UniqueFd fd(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno("/proc/self/ns/net", errno);
  return fd;
}

bool same_file(int a, int b) {
  struct stat first {};
  struct stat second {};
  if (::fstat(a, &first) != 0 || ::fstat(b, &second) != 0) return true;
  return first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

// Enters the worker's namespace. A worker without one of its own has the host's: nothing may be
// changed in that.
Result<UniqueFd> enter_namespace(int worker_fd) {
  const auto host = own_namespace();
  if (!host) return tl::unexpected(host.error());
  if (::setns(worker_fd, CLONE_NEWNET) != 0) return fail_errno("enter the worker's network", errno);
  auto inner = own_namespace();
  if (inner && same_file(host->get(), inner->get())) {
    return fail(ErrorCode::unsupported, "the worker has no network namespace of its own");
  }
  return inner;
}

template <class Try>
auto try_for_a_moment(ErrorCode passing, Try attempt) {
  auto outcome = attempt();
  for (int i = 0; i < max_tries && !outcome && outcome.error().code == passing; ++i) {
    const timespec pause{0, pause_ns};
    (void)::nanosleep(&pause, nullptr);
    outcome = attempt();
  }
  return outcome;
}

// What is left of an earlier run of the same tenant is ours to remove.
Status make_pair(Links& host, const NetworkPlan& plan, int inner) {
  const std::string name(plan.host_link.view());
  return try_for_a_moment(ErrorCode::already_exists, [&]() -> Status {
    Status made = host.make_pair(name, std::string(NetworkPlan::inner_name), inner);
    if (made || made.error().code != ErrorCode::already_exists) return made;
    const auto old = host.find(name);
    if (!old) return made;  // gone meanwhile: once more
    if (old->alias != plan.owner.view()) {
      return fail(ErrorCode::internal, "interface " + name + " exists and is not this tenant's");
    }
    (void)host.remove(old->index);
    return made;
  });
}

Status take_interface(Links& host, const NetworkPlan& plan, int inner,
                      VirtualInterface virtual_interface) {
  const std::string name(plan.interface.view());
  const auto found = try_for_a_moment(ErrorCode::not_found, [&] { return host.find(name); });
  if (!found) return tl::unexpected(found.error());
  if (found->loopback || found->enslaved) {
    return fail(ErrorCode::unsupported,
                "interface " + name + " is " +
                    (found->loopback ? "the loopback device" : "part of a bridge or a bond"));
  }
  if (virtual_interface == VirtualInterface::refuse) {
    if (Status returns = check_returns(name, found->kind); !returns) return returns;
  }
  return host.move(found->index, inner);
}

// Rules first: what is up without them could be used.
Status set_up_inside(const NetworkPlan& plan, const std::string& name, LinkInfo& link) {
  auto inside = Links::open();
  if (!inside) return tl::unexpected(inside.error());
  auto found = inside->find(name);
  if (!found) return tl::unexpected(found.error());
  link = std::move(*found);
  if (Status loaded = load_ruleset(ruleset_text(plan, name)); !loaded) return loaded;
  Status quiet = inside->disable_own_addresses(link.index);
  if (!quiet && (plan.address.version == 6 || quiet.error().code != ErrorCode::unsupported)) {
    return quiet;
  }
  Status done = inside->add_address(link.index, plan.address);
  if (done) done = inside->set_up(link.index);
  if (done) done = inside->add_default_route(link.index, plan.gateway);
  return done;
}

Status set_up_host_end(Links& host, const NetworkPlan& plan) {
  const auto link = host.find(std::string(plan.host_link.view()));
  if (!link) return tl::unexpected(link.error());
  // Two interfaces with one network: the host would send to one what is for the other.
  const bool rehearsal = plan.rehearsal != 0;
  const auto known = rehearsal ? Result<IpNetwork>(IpNetwork{}) : host.find_overlap(plan.gateway);
  if (!known) return tl::unexpected(known.error());
  if (known->version != 0) {
    return fail(ErrorCode::unsupported, "the host has " + network_text(*known) +
                                            " itself, which overlaps " +
                                            network_text(plan.address));
  }
  Status done = host.set_alias(link->index, std::string(plan.owner.view()));
  // Without IPv6 there is nothing to switch off, and an IPv6 address fails below.
  if (done) (void)host.disable_own_addresses(link->index);
  if (done && !rehearsal) done = host.add_address(link->index, plan.gateway);
  if (done) done = host.set_up(link->index);
  return done;
}

bool is_link_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of("/ \"\\\t\n") == std::string_view::npos;
}

}  // namespace

Status check_network_plan(const NetworkPlan& plan) {
  if (plan.magic != NetworkPlan::magic_value) return refuse("wrong magic");
  if (plan.version != NetworkPlan::version_value) return refuse("wrong version");
  if (!plan.host_link.valid() || !plan.interface.valid() || !plan.owner.valid()) {
    return refuse("unterminated text");
  }
  const bool pair = !plan.host_link.view().empty();
  if (pair == !plan.interface.view().empty()) return refuse("one of two kinds of network");
  if (!is_link_name(pair ? plan.host_link.view() : plan.interface.view())) {
    return refuse("bad name of an interface");
  }
  if (plan.owner.view().empty()) return refuse("nobody's");
  if (plan.rehearsal > 1 || (plan.rehearsal == 1 && !pair)) return refuse("rehearsal");
  if (!plan.address.valid() || !plan.gateway.valid() ||
      plan.address.version != plan.gateway.version || plan.address.prefix != plan.gateway.prefix ||
      !overlap(plan.address, plan.gateway)) {
    return refuse("address and gateway");
  }
  if (plan.rule_count > NetworkPlan::max_rules) return refuse("too many rules");
  for (std::size_t i = 0; i < plan.rule_count; ++i) {
    const EgressRule& rule = plan.rules[i];
    const bool known = rule.protocol == EgressProtocol::tcp || rule.protocol == EgressProtocol::udp;
    if (!known || rule.first_port == 0 || rule.first_port > rule.last_port ||
        !rule.destination.valid() || rule.destination.version != plan.address.version) {
      return refuse("rule " + std::to_string(i));
    }
  }
  return {};
}

Status check_returns(const std::string& name, const std::string& kind) {
  if (kind.empty()) return {};
  return fail(ErrorCode::unsupported,
              "interface " + name + " is a virtual one (" + kind +
                  "), which the kernel destroys with the worker instead of giving it back");
}

Status set_up_network(const NetworkPlan& plan, int worker_fd, VirtualInterface virtual_interface) {
  auto host = Links::open();
  if (!host) return tl::unexpected(host.error());
  const auto inner = enter_namespace(worker_fd);
  if (!inner) return tl::unexpected(inner.error());
  const bool pair = !plan.host_link.view().empty();
  Status done = pair ? make_pair(*host, plan, inner->get())
                     : take_interface(*host, plan, inner->get(), virtual_interface);
  const std::string name(pair ? NetworkPlan::inner_name : plan.interface.view());
  LinkInfo link;
  if (done && pair) done = set_up_host_end(*host, plan);
  if (done) done = set_up_inside(plan, name, link);
  return done;
}

}  // namespace tenantd
