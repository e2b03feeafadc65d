#include <doctest/doctest.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/worker/store/store_fixtures.h"
#include "worker/store/rows.h"
#include "worker/store/schema.h"

using namespace tenantd;
using namespace tenantd::fixtures;

namespace store_test {

namespace {

const TenantBinding tenant(acme());

Result<std::uint64_t> apply(TenantStore& store, RouteEditKind kind, const RouteDefinition& route) {
  const RouteEdit edit{kind, route};
  return store.apply(tenant.context(), std::span(&edit, 1));
}

RouteDefinition only_id(std::string id) {
  RouteDefinition route;
  route.id = std::move(id);
  return route;
}

void run_sql(const std::string& path, const char* sql) {
  sqlite3* connection = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &connection) == SQLITE_OK);
  CHECK(sqlite3_exec(connection, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(connection);
}

}  // namespace

TEST_CASE("what was applied is there after a restart, bit for bit") {
  const DataDirectory directory;
  std::vector<RouteDefinition> expected;
  {
    auto store = open_store(directory).value();
    for (unsigned i = 0; i < 5; ++i) {
      expected.push_back(sample_route(std::to_string(100 + i), 48, 3 + i, i));
      CHECK(apply(*store, RouteEditKind::add, expected.back()).value() == i + 1);
    }
    RouteDefinition more = sample_route("101", 48, 2, 77);
    CHECK(apply(*store, RouteEditKind::add_utterances, more).value() == 6);
    for (auto& utterance : more.utterances) expected[1].utterances.push_back(utterance);
    expected[2] = sample_route("102", 48, 1, 78);
    CHECK(apply(*store, RouteEditKind::put, expected[2]).value() == 7);
    CHECK(apply(*store, RouteEditKind::remove, only_id("100")).value() == 8);
    expected.erase(expected.begin());
  }
  auto store = open_store(directory).value();
  CHECK(load_all(*store).value() == expected);
  CHECK(apply(*store, RouteEditKind::remove, only_id("104")).value() == 9);
  CHECK_FALSE(std::filesystem::exists(directory.database() + "-shm"));
}

TEST_CASE("a batch is all or nothing") {
  const DataDirectory directory;
  auto store = open_store(directory).value();
  REQUIRE(apply(*store, RouteEditKind::add, sample_route("a", 8, 2, 1)));
  const auto before = load_all(*store).value();
  std::vector<RouteEdit> batch{{RouteEditKind::put, sample_route("a", 8, 5, 2)},
                               {RouteEditKind::add, sample_route("b", 8, 2, 3)},
                               {RouteEditKind::add, sample_route("b", 8, 2, 4)}};
  auto failed = store->apply(tenant.context(), batch);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == ErrorCode::already_exists);
  CHECK(failed.error().field == "route b");
  batch[2] = {RouteEditKind::remove, only_id("ghost")};
  CHECK(store->apply(tenant.context(), batch).error().code == ErrorCode::not_found);
  batch[2] = {RouteEditKind::add_utterances, sample_route("ghost", 8, 1, 1)};
  CHECK(store->apply(tenant.context(), batch).error().code == ErrorCode::not_found);
  CHECK(load_all(*store).value() == before);
  CHECK(store->degraded_reason().empty());
}

TEST_CASE("another tenant's context reaches nothing, another writer neither") {
  const DataDirectory directory;
  auto store = open_store(directory).value();
  REQUIRE(apply(*store, RouteEditKind::add, sample_route("a", 8, 2, 1)));
  const TenantBinding other = binding("globex");
  const RouteEdit edit{RouteEditKind::remove, only_id("a")};
  CHECK(store->apply(other.context(), std::span(&edit, 1)).error().code == ErrorCode::no_tenant);
  const auto take = [](RouteDefinition) -> Status { return {}; };
  CHECK(store->load(other.context(), take).error().code == ErrorCode::no_tenant);
  CHECK(open_store(directory).error().code == ErrorCode::unavailable);
  store.reset();
  auto again = open_store(directory);
  REQUIRE(again);
  CHECK(load_all(**again)->size() == 1);
}

TEST_CASE("a newer schema and a stranger's database are refused and left alone") {
  const DataDirectory directory;
  open_store(directory).value().reset();
  run_sql(directory.database(), "PRAGMA journal_mode=DELETE; PRAGMA user_version=99");
  std::string before = read_bytes(directory.database());
  const auto newer = open_store(directory);
  REQUIRE_FALSE(newer);
  CHECK(newer.error().code == ErrorCode::unsupported);
  CHECK(newer.error().message.find("schema version 99") != std::string::npos);
  run_sql(directory.database(),
          "PRAGMA journal_mode=DELETE; PRAGMA user_version=1; PRAGMA application_id=5");
  CHECK(open_store(directory).error().code == ErrorCode::store_degraded);
  CHECK(read_bytes(directory.database()).size() == before.size());
}

TEST_CASE("a damaged file is an error or harmless, never wrong data, and is never replaced") {
  const DataDirectory directory;
  std::vector<RouteDefinition> expected;
  {
    auto store = open_store(directory).value();
    for (unsigned i = 0; i < 8; ++i) {
      expected.push_back(sample_route(std::to_string(100 + i), 384, 12, i));
      REQUIRE(apply(*store, RouteEditKind::add, expected.back()));
    }
  }
  const std::string sound = read_bytes(directory.database());
  REQUIRE(sound.size() > 16 * 8192);
  std::mt19937 random(11);
  std::size_t refused = 0;
  const auto try_damaged = [&](const std::string& bytes, bool must_fail) {
    std::filesystem::remove(directory.database() + "-wal");
    write_bytes(directory.database(), bytes);
    auto store = open_store(directory);
    ErrorCode code = ErrorCode::store_degraded;
    bool failed = !store.has_value();
    if (failed) {
      code = store.error().code;
    } else {
      const auto routes = load_all(**store);
      failed = !routes.has_value();
      if (failed) {
        code = routes.error().code;
        CHECK_FALSE((*store)->degraded_reason().empty());
        const auto refusal = apply(**store, RouteEditKind::put, expected[0]);
        if (is_corruption(routes.error())) CHECK(refusal.error().code == ErrorCode::store_degraded);
      } else {
        CHECK(*routes == expected);
      }
    }
    if (failed) ++refused;
    if (must_fail) {
      CHECK(failed);
      CHECK(code == ErrorCode::store_degraded);
    }
    CHECK(std::filesystem::exists(directory.database()));
    CHECK(read_bytes(directory.database()).size() >= bytes.size());
  };
  try_damaged("", true);
  try_damaged(std::string(40000, 'x'), true);
  try_damaged("garbage" + sound.substr(7), true);
  for (const std::size_t kept :
       {std::size_t{100}, std::size_t{8192}, sound.size() / 2, sound.size() - 8192}) {
    CAPTURE(kept);
    try_damaged(sound.substr(0, kept), true);
  }
  for (int round = 0; round < 40; ++round) {
    std::string bytes = sound;
    const std::size_t page = 1 + random() % (sound.size() / 8192 - 1);
    if (round % 2 == 0) {
      for (std::size_t i = 0; i < 8192; ++i) bytes[page * 8192 + i] = static_cast<char>(random());
    } else {
      bytes[page * 8192 + random() % 8192] ^= static_cast<char>(1U << (random() % 8));
    }
    try_damaged(bytes, false);
  }
  MESSAGE(refused << " of 47 damaged files refused, the others read back unharmed");
  CHECK(refused >= 25);
  std::filesystem::remove(directory.database());
  write_bytes(directory.database() + "-wal", "orphan");
  CHECK(open_store(directory).error().code == ErrorCode::store_degraded);
}

TEST_CASE("a full database says so, keeps what it acknowledged and recovers") {
  const DataDirectory directory;
  auto store = open_store(directory, 400 * 1024).value();
  std::vector<RouteDefinition> acknowledged;
  Error error;
  for (unsigned i = 0; i < 200; ++i) {
    const auto route = sample_route(std::to_string(100 + i), 384, 8, i);
    const auto version = apply(*store, RouteEditKind::add, route);
    if (!version) {
      error = version.error();
      break;
    }
    acknowledged.push_back(route);
  }
  CHECK(error.code == ErrorCode::store_degraded);
  CHECK(error.message.find("full") != std::string::npos);
  CHECK_FALSE(store->degraded_reason().empty());
  REQUIRE(acknowledged.size() > 3);
  CHECK(load_all(*store).value() == acknowledged);
  REQUIRE(apply(*store, RouteEditKind::remove, only_id(acknowledged.back().id)));
  CHECK(store->degraded_reason().empty());
  REQUIRE(store->set_max_storage(tenant.context(), 0));
  CHECK(apply(*store, RouteEditKind::add, acknowledged.back()));
  CHECK(load_all(*store).value() == acknowledged);
}

TEST_CASE("a file that cannot be written is refused as degraded") {
  const DataDirectory directory;
  open_store(directory).value().reset();
  // Root may write everything: a child that is nobody asks instead.
  std::filesystem::permissions(directory.path(), std::filesystem::perms(0777));
  std::filesystem::permissions(directory.database(), std::filesystem::perms(0444));
  std::filesystem::permissions(directory.database() + ".lock", std::filesystem::perms(0666));
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (::geteuid() == 0 && ::setuid(65534) != 0) ::_exit(9);
    const auto store = open_store(directory);
    ::_exit(!store && store.error().code == ErrorCode::store_degraded ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("a database of the schema without rules is brought up to date and keeps its routes") {
  const DataDirectory directory;
  const RouteDefinition old = sample_route("old", 8, 3, 1);
  REQUIRE(old.rules.empty());
  REQUIRE(apply(*open_store(directory).value(), RouteEditKind::add, old));
  run_sql(directory.database(),
          "PRAGMA journal_mode=DELETE; ALTER TABLE routes DROP COLUMN rules;"
          "ALTER TABLE routes DROP COLUMN priority; ALTER TABLE routes DROP COLUMN aggregation;"
          "ALTER TABLE routes DROP COLUMN margin; ALTER TABLE routes DROP COLUMN version;"
          "DROP TABLE route_images; ALTER TABLE tenants DROP COLUMN bytes;"
          "DROP TABLE executions; DROP TABLE deletions; DROP TABLE moves;"
          "ALTER TABLE tenants DROP COLUMN executions; ALTER TABLE tenants DROP COLUMN executed;"
          "ALTER TABLE tenants DROP COLUMN retention_days;"
          "ALTER TABLE tenants DROP COLUMN max_executions;"
          "PRAGMA user_version=2");
  const RouteDefinition added = sample_route("new", 8, 3, 3);
  REQUIRE_FALSE(added.rules.empty());
  REQUIRE(apply(*open_store(directory).value(), RouteEditKind::add, added));
  CHECK(load_all(*open_store(directory).value()).value() == std::vector{added, old});
}

TEST_CASE(
    "a rule, a priority, a margin or an aggregation that the row's checksum does not cover is "
    "damage") {
  for (const char* change :
       {"rules = 'always keyword a' || char(10)", "rules = replace(rules, 'always', 'never')",
        "rules = rules || 'x'", "rules = 'always' || char(10)", "priority = priority + 1",
        "priority = 5000000000", "aggregation = 7", "aggregation = NULL", "margin = 0.5",
        "margin = NULL"}) {
    CAPTURE(change);
    const DataDirectory directory;
    REQUIRE(apply(*open_store(directory).value(), RouteEditKind::add, sample_route("r", 8, 2, 6)));
    REQUIRE(load_all(*open_store(directory).value()));
    run_sql(directory.database(), (std::string("UPDATE routes SET ") + change).c_str());
    const auto routes = load_all(*open_store(directory).value());
    REQUIRE_FALSE(routes);
    CHECK(routes.error().code == ErrorCode::store_degraded);
  }
}

TEST_CASE("rows decode to what was encoded") {
  const std::vector<Rule> rules = sample_route("r", 8, 1, 3).rules;
  std::vector<Rule> decoded;
  REQUIRE(decode_rules(encode_rules(rules), decoded));
  CHECK(decoded == rules);
  CHECK(decode_rules("", decoded));
  CHECK(decoded.empty());
  for (const char* damaged : {"always keyword a", "always\n", "sometimes keyword a\n",
                              "always word a\n", "\n", "signal keyword\n"}) {
    CHECK_FALSE(decode_rules(damaged, decoded));
  }
  const std::vector<std::string> tags{"a", "b c"};
  CHECK(decode_tags(encode_tags(tags)) == tags);
  CHECK(decode_tags("").empty());
  std::vector<float> out;
  CHECK_FALSE(decode_embedding(std::as_bytes(std::span("abc", 3)), out));
  const Utterance one{"text", {1.0F, 2.0F}, "e"};
  Utterance two = one;
  CHECK(utterance_checksum("r", 0, one) == utterance_checksum("r", 0, two));
  CHECK(utterance_checksum("r", 0, one) != utterance_checksum("r", 1, one));
  CHECK(utterance_checksum("r", 0, one) != utterance_checksum("q", 0, one));
  two.embedding[1] = 2.0000002F;
  CHECK(utterance_checksum("r", 0, one) != utterance_checksum("r", 0, two));
  two = {"texte", {1.0F, 2.0F}, ""};
  CHECK(utterance_checksum("r", 0, one) != utterance_checksum("r", 0, two));
}

}  // namespace store_test
