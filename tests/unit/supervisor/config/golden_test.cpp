// Bad files and the exact words that users get for them: tests/golden/config.
#include <doctest/doctest.h>

#include <algorithm>

#include "supervisor/config/reference_page.h"
#include "test_support.h"

using namespace tenantd;
using namespace tenantd::test;

namespace {

void compare_with_golden(const std::filesystem::path& golden, const std::string& text) {
  if (accept_golden()) write_text(golden, text);
  INFO("to accept: TENANTD_ACCEPT_GOLDEN=1, file: ", golden.filename().string());
  CHECK(read_text(golden) == text);
}

std::vector<std::filesystem::path> inputs(const std::string& kind) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry :
       std::filesystem::directory_iterator(source_root() / "tests/golden/config" / kind)) {
    if (entry.path().extension() == ".toml") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::filesystem::path expected_path(std::filesystem::path input) {
  return input.replace_extension(".expected");
}

}  // namespace

TEST_CASE("every bad tenant file gets its committed diagnostics") {
  const auto paths = inputs("tenant");
  REQUIRE(paths.size() >= 15);
  for (const auto& path : paths) {
    CAPTURE(path.filename().string());
    const auto config =
        parse_tenant(read_text(path), default_daemon_config(), path.stem().string());
    REQUIRE_FALSE(config.has_value());
    compare_with_golden(expected_path(path), describe_all(config.error()));
  }
}

TEST_CASE("every bad tenantd.toml gets its committed diagnostics") {
  const auto paths = inputs("daemon");
  REQUIRE(paths.size() >= 4);
  for (const auto& path : paths) {
    CAPTURE(path.filename().string());
    const auto config = parse_daemon(read_text(path));
    REQUIRE_FALSE(config.has_value());
    compare_with_golden(expected_path(path), describe_all(config.error()));
  }
}

TEST_CASE("the reference page is the one that the tables give") {
  compare_with_golden(source_root() / "docs/config-reference.md", config_reference_markdown());
}
