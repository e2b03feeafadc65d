#include "supervisor/verify/probe_request.h"

#include <doctest/doctest.h>

#include <vector>

#include "supervisor/process/tenant_network.h"

using namespace tenantd;

namespace {

ProbeLaunch rehearsed(std::vector<std::string> egress, const std::string& address,
                      const std::string& gateway) {
  TenantConfig config;
  config.isolation_level = IsolationLevel::physical;
  config.physical.network = NetworkKind::interface;
  config.physical.interface = "eth1";
  config.physical.address = address;
  config.physical.gateway = gateway;
  config.physical.egress = std::move(egress);
  const auto tenant = TenantId::parse("acme").value();
  ProbeLaunch launch;
  rehearse_network(make_rehearsal_plan(tenant, config, "/run/tenantd"), InstallationPaths{},
                   launch);
  return launch;
}

ProbeLaunch rehearsed(std::vector<std::string> egress) {
  return rehearsed(std::move(egress), "10.77.0.2/30", "10.77.0.1");
}

}  // namespace

TEST_CASE("a probe leaves for where no rule lets it, from a pair of its own") {
  const ProbeLaunch launch = rehearsed({"udp 10.77.0.1:53", "tcp 192.0.2.0/24:1-65535"});
  REQUIRE(launch.request.network);
  CHECK(launch.request.network->rehearsal == 1);
  CHECK(launch.request.network->interface.view().empty());
  CHECK(launch.request.network->host_link.view().starts_with("tnd"));
  CHECK(launch.request.network->rule_count == 2);
  CHECK(launch.order.path.view() == "192.0.2.1");
  CHECK(rehearsed({"udp 192.0.2.0/24:1-20"}).order.path.view() == "198.51.100.1");
  CHECK(rehearsed({"udp 192.0.2.0/24:10-20"}).order.path.view() == "192.0.2.1");
  CHECK(rehearsed({}, "2001:db8:77::2/64", "2001:db8:77::1").order.path.view() ==
        "2001:db8::c000:201");
}

TEST_CASE("where there is nothing to leave, nothing is tried") {
  ProbeLaunch none;
  TenantConfig config;
  config.isolation_level = IsolationLevel::physical;
  rehearse_network(make_rehearsal_plan(TenantId::parse("acme").value(), config, "/run/tenantd"),
                   InstallationPaths{}, none);
  CHECK(none.not_promised == "its file asks for no network");
  CHECK_FALSE(none.request.network);
  const ProbeLaunch all = rehearsed({"udp 0.0.0.0/0:1-65535"});
  CHECK(all.not_promised == "its list has every address");
  CHECK_FALSE(all.request.network);
}
