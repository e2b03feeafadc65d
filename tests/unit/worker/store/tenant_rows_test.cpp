// One tenant's rows are taken out of a database that many share: all of them, and nobody else's.
#include "worker/store/tenant_rows.h"

#include <doctest/doctest.h>

#include <array>
#include <map>

#include "tests/unit/worker/store/stored_rows.h"

namespace tenantd {
namespace {

using namespace fixtures;

// Ids that are prefixes of each other.
constexpr std::array<std::string_view, 3> ids{"ta", "taa", "taaa"};

}  // namespace

TEST_CASE("a tenant's rows are deleted from every table, in steps of any size, and no other's") {
  for (const std::int64_t most : {std::int64_t{1}, std::int64_t{3}, all_tenant_rows}) {
    CAPTURE(most);
    const DataDirectory directory;
    std::vector<std::map<std::string, std::string>> before;
    auto file = StoreFile::open(directory.database()).value();
    for (unsigned i = 0; i < ids.size(); ++i) fill(tenant_named(ids[i]), file, 30 * (i + 1));
    file.reset();
    for (const auto id : ids) before.push_back(rows_of(directory.database(), id));
    // A table that is added later is either filled here and emptied there, or told about.
    REQUIRE(before[1].size() == 7);
    file = StoreFile::open(directory.database()).value();
    const TenantBinding middle = tenant_named(ids[1]);
    std::size_t calls = 1;
    while (delete_tenant_rows(middle.context(), *file, most).value()) ++calls;
    if (most == 1) CHECK(calls > 15);
    if (most == all_tenant_rows) CHECK(calls == 1);
    file.reset();
    CHECK(rows_of(directory.database(), ids[1]).empty());
    CHECK(rows_of(directory.database(), ids[0]) == before[0]);
    CHECK(rows_of(directory.database(), ids[2]) == before[2]);
    // The tenant may come again, as one that never was.
    file = StoreFile::open(directory.database()).value();
    CHECK_FALSE(delete_tenant_rows(middle.context(), *file, most).value());
    fill(middle, file, 60);
    file.reset();
    CHECK(rows_of(directory.database(), ids[1]) == before[1]);
  }
}

TEST_CASE("what clears a tenant away finds its rows by the tenant") {
  CHECK(plans_beside_the_tenant(tenant_rows_statement_texts()) == std::vector<std::string>{});
}

}  // namespace tenantd
