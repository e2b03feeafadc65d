#include "shared/base/tenant_id.h"

#include <doctest/doctest.h>

#include <string>

using namespace tenantd;

TEST_CASE("tenant ids are safe as file and cgroup names") {
  for (const char* good : {"a", "acme-corp", "0", "a-0"}) CHECK(TenantId::parse(good).has_value());
  CHECK(TenantId::parse(std::string(63, 'a')).has_value());
  for (const char* bad : {"", "-a", "a-", "A", "a/b", "..", "a.b", "a b", "é"}) {
    CAPTURE(bad);
    CHECK_FALSE(TenantId::parse(bad).has_value());
  }
  CHECK_FALSE(TenantId::parse(std::string(64, 'a')).has_value());
  CHECK_FALSE(TenantId::parse(std::string_view("a\0b", 3)).has_value());
}
