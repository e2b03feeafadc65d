// What a host is told about itself, and the page that explains it.
#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "shared/contract/layer_needs.h"
#include "supervisor/launch/host.h"

using namespace tenantd;

TEST_CASE("the security page explains every layer with what it needs") {
  REQUIRE(std::getenv("TENANTD_SOURCE_ROOT") != nullptr);  // set by the build's test definition
  std::ifstream file(std::string(std::getenv("TENANTD_SOURCE_ROOT")) + "/docs/security.md");
  std::stringstream page;
  page << file.rdbuf();
  std::string rows;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("| ")) rows += line + "\n";
  }
  for (std::size_t i = 0; i < layer_names.size(); ++i) {
    CAPTURE(layer_names[i]);
    const std::size_t row = rows.find("| " + std::string(layer_names[i]) + " | ");
    REQUIRE(row != std::string::npos);
    const std::string line = rows.substr(row, rows.find('\n', row) - row);
    CHECK(line.ends_with(" | " + std::string(layer_needs[i].mechanism) + " | " +
                         std::string(layer_needs[i].since) + " |"));
  }
  for (const LandlockBonus& bonus : landlock_bonuses) {
    CHECK(page.str().find(bonus.since) != std::string::npos);
  }
}

TEST_CASE("a host is told what it has, what it lacks and why, and what is beyond") {
  HostCapabilities host;
  host.available = LayerSet::all();
  host.available.remove(Layer::landlock);
  host.explanations = {"landlock: the kernel has Landlock ABI 0, needed is 2"};
  host.landlock_abi = 4;
  const std::string text = describe_host(host);
  CHECK(text.find("landlock           NO   the kernel has Landlock ABI 0, needed is 2\n") !=
        std::string::npos);
  CHECK(text.find("seccomp            yes  seccomp filters that kill the process (Linux 4.14)\n") !=
        std::string::npos);
  CHECK(text.find("yes  landlock: TCP bind and connect (Linux 6.7)\n") != std::string::npos);
  CHECK(text.find("no   landlock: ioctl on devices (Linux 6.10)\n") != std::string::npos);
}
