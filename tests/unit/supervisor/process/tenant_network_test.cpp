#include "supervisor/process/tenant_network.h"

#include <doctest/doctest.h>

#include <vector>

#include "supervisor/jail/launch_spec_check.h"

using namespace tenantd;

namespace {

const TenantId one_tenant = TenantId::parse("acme").value();

TenantConfig with_network(std::vector<std::string> egress) {
  TenantConfig config;
  config.isolation_level = IsolationLevel::physical;
  config.physical.program = "own";
  config.physical.network = NetworkKind::veth;
  config.physical.address = "10.77.0.2/30";
  config.physical.gateway = "10.77.0.1";
  config.physical.egress = std::move(egress);
  return config;
}

std::vector<unsigned> ports(const LaunchSpec& spec) {
  return {spec.connect_ports.begin(), spec.connect_ports.begin() + spec.connect_port_count};
}

}  // namespace

TEST_CASE("the host's end is named after the tenant and the instance") {
  const auto config = with_network({"tcp 203.0.113.0/24:443"});
  const auto plan = make_network_plan(one_tenant, config.physical, "/run/tenantd");
  REQUIRE(plan);
  const std::string name(plan->host_link.view());
  CHECK(name.size() == 15);
  CHECK(name.starts_with("tnd"));
  CHECK(plan->interface.view().empty());
  CHECK(plan->gateway.prefix == 30);
  CHECK(plan->rule_count == 1);
  CHECK(make_network_plan(one_tenant, config.physical, "/run/tenantd")->host_link.view() == name);
  CHECK(make_network_plan(one_tenant, config.physical, "/run/other")->host_link.view() != name);
  const TenantId globex = TenantId::parse("globex").value();
  CHECK(make_network_plan(globex, config.physical, "/run/tenantd")->host_link.view() != name);
  const TenantId longest = TenantId::parse(std::string(63, 'a')).value();
  CHECK(make_network_plan(longest, config.physical, "/run/tenantd")->owner.view().ends_with("aaa"));
}

TEST_CASE("sockets are for a physical tenant's own program with a network, and for nobody else") {
  const auto allowances = [](auto change) {
    TenantConfig config = with_network({"tcp 203.0.113.0/24:443"});
    change(config);
    LaunchSpec spec;
    allow_network(config, spec);
    return spec.allowances;
  };
  CHECK(allowances([](TenantConfig&) {}) == 1);
  CHECK(allowances([](TenantConfig& config) { config.physical.program = ""; }) == 0);
  CHECK(allowances([](TenantConfig& config) { config.physical.network = NetworkKind::none; }) == 0);
  CHECK(allowances(
            [](TenantConfig& config) { config.isolation_level = IsolationLevel::process; }) == 0);
}

TEST_CASE("Landlock hears of each TCP port, or of none if there are too many") {
  LaunchSpec spec;
  allow_network(with_network({"tcp 10.0.0.1:443", "tcp 10.0.0.2:80-82", "tcp 10.0.0.3:443",
                              "udp 10.0.0.1:53"}),
                spec);
  CHECK(ports(spec) == std::vector<unsigned>{80, 81, 82, 443});
  LaunchSpec full;
  allow_network(with_network({"tcp 10.0.0.1:1-64"}), full);
  CHECK(full.connect_port_count == 64);
  CHECK_FALSE(has_allowance(full, Allowance::any_tcp_port));
  LaunchSpec many;
  allow_network(with_network({"tcp 10.0.0.1:1-64", "tcp 10.0.0.1:65535"}), many);
  CHECK(many.connect_port_count == 0);
  CHECK(has_allowance(many, Allowance::any_tcp_port));
  LaunchSpec none;
  allow_network(with_network({"udp 10.0.0.1:53"}), none);
  CHECK(none.connect_port_count == 0);
  CHECK_FALSE(has_allowance(none, Allowance::any_tcp_port));
}
