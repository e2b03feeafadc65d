// A tenant's rows go to another file: all of them, as they were, whenever the move ends and begins
// again; nobody else's.
#include "worker/store/rows_move.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "tests/unit/worker/store/stored_rows.h"

namespace tenantd {
namespace {

using namespace fixtures;

struct Shards {
  DataDirectory home;
  DataDirectory own;
  // Opens both files, goes on for `steps` and leaves them; false: it came to its end.
  bool go(const TenantBinding& tenant, int steps) const {
    RowsMove move(tenant.context(), {StoreFile::open(home.database()).value(), 3},
                  {StoreFile::open(own.database()).value(), 64});
    for (int i = 0; i < steps; ++i) {
      if (!move.step().value()) return false;
    }
    return true;
  }
  // The tenant's rows in either file; the parts of it that arrived do not count.
  std::map<std::string, std::string> rows(const std::string& id) const {
    const TenantBinding tenant = tenant_named(id);
    const bool in_own = opens(own, tenant) && !rows_of(own.database(), id).empty();
    const bool in_home = opens(home, tenant);
    if (in_own && !in_home) return rows_of(own.database(), id);
    if (in_own) CHECK(rows_of(own.database(), id) == rows_of(home.database(), id));
    REQUIRE(in_home);
    return rows_of(home.database(), id);
  }
  static bool opens(const DataDirectory& directory, const TenantBinding& tenant) {
    return check_not_moving(tenant.context(), *StoreFile::open(directory.database()).value())
        .has_value();
  }
};

// More than a step copies.
void fill_home(const Shards& shards) {
  auto file = StoreFile::open(shards.home.database()).value();
  StoreFile::open(shards.own.database()).value().reset();
  fill(tenant_named("ta"), file, 1);
  fill(tenant_named("taa"), file, 2, 300);
  fill(tenant_named("taaa"), file, 3);
}

}  // namespace

TEST_CASE("rows move as they are, wherever the move ends and how often it begins again") {
  int needed = 0;
  for (int end = 1; needed == 0; ++end) {  // killed after each step in turn
    CAPTURE(end);
    const Shards shards;
    fill_home(shards);
    const auto before = rows_of(shards.home.database(), "taa");
    const auto first = rows_of(shards.home.database(), "ta");
    const auto last = rows_of(shards.home.database(), "taaa");
    REQUIRE(before.size() == 7);
    const TenantBinding tenant = tenant_named("taa");
    if (shards.go(tenant, end)) {
      CHECK(shards.rows("taa") == before);
      CHECK(shards.go(tenant, 1));  // and once more, at its beginning
      CHECK(shards.rows("taa") == before);
    } else {
      needed = end;
    }
    CHECK_FALSE(shards.go(tenant, 10'000));
    CHECK_FALSE(shards.go(tenant, 10'000));  // what is done is not done again
    CHECK(rows_of(shards.own.database(), "taa") == before);
    CHECK(rows_of(shards.home.database(), "taa").empty());
    CHECK(rows_of(shards.home.database(), "ta") == first);
    CHECK(rows_of(shards.home.database(), "taaa") == last);
    CHECK(rows_of(shards.own.database(), "ta").empty());
    // Who forgets that they went does not take the tenant for one without routes.
    CHECK(Shards::opens(shards.own, tenant));
    CHECK(Shards::opens(shards.home, tenant_named("ta")));
    const Status gone =
        check_not_moving(tenant.context(), *StoreFile::open(shards.home.database()).value());
    REQUIRE_FALSE(gone);
    CHECK(gone.error().code == ErrorCode::store_degraded);
    CHECK(gone.error().message.find("shard 64") != std::string::npos);
  }
  CHECK(needed > 12);
}

TEST_CASE("kill -9 in the middle of a move loses and doubles nothing") {
  for (int round = 0; round < 8; ++round) {
    CAPTURE(round);
    const Shards shards;
    fill_home(shards);
    const auto before = rows_of(shards.home.database(), "taa");
    const TenantBinding tenant = tenant_named("taa");
    for (int kills = 0; kills < 3; ++kills) {
      const pid_t child = ::fork();
      REQUIRE(child >= 0);
      if (child == 0) {
        RowsMove move(tenant.context(), {StoreFile::open(shards.home.database()).value(), 3},
                      {StoreFile::open(shards.own.database()).value(), 64});
        for (int i = 0; i < round * 2 + kills; ++i) (void)move.step();
        (void)::kill(::getpid(), SIGKILL);
      }
      int status = 0;
      REQUIRE(::waitpid(child, &status, 0) == child);
      REQUIRE(WIFSIGNALED(status));
      CHECK(shards.rows("taa") == before);
    }
    CHECK_FALSE(shards.go(tenant, 10'000));
    CHECK(rows_of(shards.own.database(), "taa") == before);
    CHECK(rows_of(shards.home.database(), "taa").empty());
  }
}

TEST_CASE("a tenant without rows moves, too, and what it writes then is in its own shard") {
  const Shards shards;
  fill_home(shards);
  const TenantBinding tenant = tenant_named("newcomer");
  CHECK_FALSE(shards.go(tenant, 10'000));
  CHECK_FALSE(Shards::opens(shards.home, tenant));
  auto own = StoreFile::open(shards.own.database()).value();
  REQUIRE(check_not_moving(tenant.context(), *own));
  fill(tenant, own, 9);
  own.reset();
  CHECK_FALSE(shards.go(tenant, 10'000));  // again: its new rows stay
  CHECK(rows_of(shards.own.database(), "newcomer").size() == 7);
}

TEST_CASE("the statements of a move find their rows by the tenant, and none sorts") {
  CHECK(plans_beside_the_tenant(rows_move_statement_texts(), false) == std::vector<std::string>{});
}

}  // namespace tenantd
