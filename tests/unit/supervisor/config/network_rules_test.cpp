#include "supervisor/config/network_rules.h"

#include <doctest/doctest.h>

#include <random>

#include "tests/unit/supervisor/config/test_support.h"

using namespace tenantd;
using namespace tenantd::test;

namespace {

DaemonConfig host_with_networks() {
  return parse_daemon(
             "[physical]\nprograms = { own = \"/opt/own\" }\ninterfaces = [\"eth1\"]\n"
             "networks = [\"10.77.0.0/16\", \"2001:db8:77::/48\"]\n")
      .value();
}

const std::string begin = "plan = \"platinum\"\n[physical]\nprogram = \"own\"\n";
const std::string veth =
    "network = \"veth\"\naddress = \"10.77.0.2/30\"\ngateway = \"10.77.0.1\"\n";

// The only problem of such a file, as "field: message".
std::string problem_of(const std::string& text) {
  const auto config = parse_tenant(begin + text, host_with_networks());
  if (config) return "none";
  if (config.error().size() != 1) return describe_all(config.error());
  return config.error()[0].field + ": " + config.error()[0].message;
}

std::string message_of(std::string_view egress) {
  const auto rule = parse_egress(egress);
  return rule ? "good" : rule.error().message;
}

}  // namespace

TEST_CASE("an egress rule is protocol, place and port") {
  const auto one = parse_egress("tcp 203.0.113.0/24:443");
  REQUIRE(one);
  CHECK(one->protocol == EgressProtocol::tcp);
  CHECK(network_text(one->destination) == "203.0.113.0/24");
  CHECK(one->first_port == 443);
  CHECK(one->last_port == 443);
  const auto six = parse_egress("udp [2001:db8::53]:53");
  REQUIRE(six);
  CHECK(six->protocol == EgressProtocol::udp);
  CHECK(network_text(six->destination) == "2001:db8::53/128");
  const auto range = parse_egress("tcp [2001:db8::/32]:8000-8010");
  REQUIRE(range);
  CHECK(range->first_port == 8000);
  CHECK(range->last_port == 8010);
  CHECK(parse_egress("tcp 0.0.0.0/0:1-65535"));
}

TEST_CASE("each wrong part of an egress rule is named") {
  CHECK(message_of("sctp 10.0.0.1:1") ==
        "\"sctp 10.0.0.1:1\" does not begin with \"tcp \" or \"udp \"");
  CHECK(message_of("tcp") == "\"tcp\" does not begin with \"tcp \" or \"udp \"");
  CHECK(message_of("") == "\"\" does not begin with \"tcp \" or \"udp \"");
  CHECK(message_of("tcp 10.0.0.1") == "\"tcp 10.0.0.1\" names no port");
  CHECK(message_of("tcp [2001:db8::1]") == "\"tcp [2001:db8::1]\" names no port");
  CHECK(message_of("tcp [2001:db8::1:443") == "\"tcp [2001:db8::1:443\" names no port");
  CHECK(message_of("tcp 2001:db8::1:443") ==
        "\"tcp 2001:db8::1:443\": an IPv6 address is written in brackets");
  CHECK(message_of("tcp [10.0.0.1]:443") ==
        "\"tcp [10.0.0.1]:443\": only an IPv6 address is written in brackets");
  CHECK(message_of("tcp example.org:443") == "\"example.org\" is no IPv4 or IPv6 address");
  CHECK(message_of("tcp 010.0.0.1:443") == "\"010.0.0.1\" is no IPv4 or IPv6 address");
  CHECK(message_of("tcp  10.0.0.1:443") == "\" 10.0.0.1\" is no IPv4 or IPv6 address");
  CHECK(message_of("tcp 203.0.113.1/24:443") == "\"203.0.113.1/24\" has bits behind its prefix");
  CHECK(message_of("tcp 203.0.113.0/33:443") == "\"/33\" is no prefix of an address of 32 bits");
  CHECK(message_of("tcp [2001:db8::]/32:443") == "\"tcp [2001:db8::]/32:443\" names no port");
  CHECK(message_of("tcp [::ffff:10.0.0.1]:443") ==
        "\"::ffff:10.0.0.1\" is an IPv4 address mapped into IPv6");
  CHECK(message_of("tcp [::ffff:a00:1]:443") ==
        "\"::ffff:a00:1\" is an IPv4 address mapped into IPv6");
  for (const char* ports :
       {"0", "65536", "443-", "-443", "9-8", "0443", "443 ", "+1", "0-9", "x"}) {
    CAPTURE(ports);
    CHECK(message_of("tcp 10.0.0.1:" + std::string(ports)) ==
          '"' + std::string(ports) + "\" is no port");
  }
}

TEST_CASE("what is accepted says the same when it is written again") {
  const auto seed = std::random_device{}();
  INFO("seed ", seed);
  std::mt19937 random(seed);
  const std::string alphabet = "0123456789abcdef:.[]/- tcpudp";
  for (int i = 0; i < 20'000; ++i) {
    std::string text = i % 2 == 0 ? "tcp " : "udp ";
    if (i % 3 == 0)
      text +=
          "[2001:db8::" + std::to_string(random() % 100) + "]:" + std::to_string(random() % 70'000);
    if (i % 3 == 1)
      text +=
          "10.77." + std::to_string(random() % 300) + ".0/24:" + std::to_string(random() % 70'000);
    const auto place = 4 + random() % (text.size() - 3);
    text.insert(place, 1, alphabet[random() % alphabet.size()]);
    const auto rule = parse_egress(text);
    if (!rule) continue;
    CAPTURE(text);
    const std::string where = network_text(rule->destination);
    const std::string ports =
        std::to_string(rule->first_port) + '-' + std::to_string(rule->last_port);
    const bool six = rule->destination.version == 6;
    const auto again =
        parse_egress(text.substr(0, 4) + (six ? '[' + where + ']' : where) + ':' + ports);
    REQUIRE(again);
    CHECK(*again == *rule);
    CHECK(rule->first_port >= 1);
    CHECK(rule->first_port <= rule->last_port);
  }
}

TEST_CASE("a network is whole, of this host's, and of a program of the tenant's own") {
  CHECK(problem_of(veth) == "none");
  CHECK(problem_of(veth + "egress = [\"tcp 10.77.0.1:443\"]\n") == "none");
  CHECK(problem_of("network = \"veth\"\naddress = \"2001:db8:77::2/64\"\n"
                   "gateway = \"2001:db8:77::1\"\negress = [\"udp [2001:db8::1]:53\"]\n") ==
        "none");
  CHECK(problem_of("network = \"interface\"\ninterface = \"eth1\"\naddress = \"10.77.1.2/24\"\n"
                   "gateway = \"10.77.1.1\"\n") == "none");
  CHECK(problem_of("network = \"veth\"\naddress = \"10.77.0.2/31\"\ngateway = \"10.77.0.3\"\n") ==
        "none");
  const auto plain = parse_tenant("plan = \"platinum\"\n[physical]\n" + veth, host_with_networks());
  REQUIRE_FALSE(plain);
  REQUIRE(plain.error().size() == 1);
  CHECK(plain.error()[0].message == "a network is of no use without a program of the tenant's own");
  CHECK(plain.error()[0].line == 3);
}

TEST_CASE("what does not fit is said of the key that it is about") {
  const auto with = [](const std::string& address, const std::string& gateway) {
    return problem_of("network = \"veth\"\naddress = \"" + address + "\"\ngateway = \"" + gateway +
                      "\"\n");
  };
  CHECK(with("10.78.0.2/30", "10.78.0.1") ==
        "physical.address: \"10.78.0.2/30\" is in none of [physical] networks of tenantd.toml");
  // All of it: the host would send there what is somebody else's.
  CHECK(with("10.77.0.2/8", "10.77.0.1") ==
        "physical.address: \"10.77.0.2/8\" is in none of [physical] networks of tenantd.toml");
  CHECK(with("10.77.0.2", "10.77.0.1") ==
        "physical.address: \"10.77.0.2\" does not say its network");
  CHECK(with("10.77.0.2/30", "10.77.0.5") ==
        "physical.gateway: \"10.77.0.5\" is not in the network of \"10.77.0.2/30\"");
  CHECK(with("10.77.0.2/30", "10.77.0.2") ==
        "physical.gateway: \"10.77.0.2\" is the worker's own address");
  CHECK(with("10.77.0.2/32", "10.77.0.1") ==
        "physical.gateway: \"10.77.0.1\" is not in the network of \"10.77.0.2/32\"");
  CHECK(with("10.77.0.2/30", "10.77.0.3") ==
        "physical.gateway: \"10.77.0.3\" is the network itself or its broadcast address");
  CHECK(with("10.77.0.0/30", "10.77.0.1") ==
        "physical.address: \"10.77.0.0/30\" is the network itself or its broadcast address");
  CHECK(with("10.77.0.2/30", "2001:db8:77::1") ==
        "physical.gateway: \"2001:db8:77::1\" is not in the network of \"10.77.0.2/30\"");
  CHECK(with("::ffff:10.77.0.2/126", "10.77.0.1") ==
        "physical.address: \"::ffff:10.77.0.2\" is an IPv4 address mapped into IPv6");
  CHECK(problem_of(veth + "interface = \"eth1\"\n") ==
        "physical.interface: is given, and network is \"veth\"");
  CHECK(problem_of("network = \"interface\"\naddress = \"10.77.0.2/30\"\n"
                   "gateway = \"10.77.0.1\"\n") ==
        "physical.interface: network \"interface\" names none");
  CHECK(problem_of("network = \"interface\"\ninterface = \"eth0\"\naddress = \"10.77.0.2/30\"\n"
                   "gateway = \"10.77.0.1\"\n") ==
        "physical.interface: \"eth0\" is not in [physical] interfaces of tenantd.toml");
  CHECK(problem_of(veth + "egress = [\"tcp [2001:db8::1]:443\"]\n") ==
        "physical.egress: \"tcp [2001:db8::1]:443\" is of another version than the address, "
        "\"10.77.0.2/30\"");
  CHECK(problem_of(veth + "egress = [\"tcp 10.77.0.1:0\"]\n") ==
        "physical.egress: \"0\" is no port");
  CHECK(problem_of("egress = [\"tcp 10.77.0.1:1\"]\n") ==
        "physical.egress: needs a network, and this tenant's is \"none\"");
  CHECK(problem_of("network = \"veth\"\ngateway = \"10.77.0.1\"\n") ==
        "physical.address: is missing: the worker's address and its network");
}

TEST_CASE("networks overlap where their shorter prefix is the same") {
  const auto network = [](const char* text) { return parse_interface_address(text).value(); };
  CHECK(overlap(network("10.77.0.2/30"), network("10.77.0.1/24")));
  CHECK_FALSE(overlap(network("10.77.0.2/30"), network("10.77.0.5/30")));
  CHECK_FALSE(overlap(network("10.77.0.2/0"), network("::/0")));
  CHECK(contains(network("10.77.0.0/16"), network("10.77.255.1/32")));
  CHECK_FALSE(contains(network("10.77.0.0/32"), network("10.77.0.0/16")));
}
