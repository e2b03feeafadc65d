#include "supervisor/config/daemon_config.h"

#include <doctest/doctest.h>

#include "supervisor/config/check_config.h"
#include "supervisor/config/schema_reader.h"
#include "supervisor/config/tenant_file_name.h"
#include "test_support.h"

using namespace tenantd;
using namespace tenantd::test;

TEST_CASE("an empty tenantd.toml is valid and means the defaults") {
  const auto config = parse_daemon("");
  REQUIRE_MESSAGE(config.has_value(), problems(config));
  CHECK(config->tenants_dir == "/etc/tenantd/tenants");
  CHECK(config->uid_range == default_uid_range);
  CHECK(config->max_workers == 1000);
  CHECK(config->restart.backoff_min_ms == 100);
  CHECK(config->ceilings.memory_max_bytes == 4ULL << 30U);
  CHECK(config->cgroup.controllers == std::vector<std::string>{"cpu", "memory", "pids"});
  CHECK(config->tolerated_layers().empty());
}

TEST_CASE("each row has a documented default or example that is accepted") {
  const auto literal = [](const FieldSpec& row, std::size_t) {
    return row.example.empty() ? row.fallback : row.example;
  };
  for (const FieldSpec& row : daemon_fields()) {
    CAPTURE(row.full_name());
    CHECK_FALSE(row.doc.empty());
    CHECK_FALSE(literal(row, 0).empty());
  }
  const auto config = parse_daemon(toml_with(daemon_fields(), literal, 0));
  REQUIRE_MESSAGE(config.has_value(), problems(config));
  CHECK(config->tolerated_layers().has(Layer::cgroup_io));
  CHECK(config->worker.library_paths.size() == 1);
}

TEST_CASE("flags win over the file and are checked like it") {
  DaemonOverrides overrides;
  overrides.state_dir = "/srv/state";
  overrides.tolerate_missing = {"landlock"};
  const auto config =
      parse_daemon("state_dir = \"/a\"\ntolerate_missing = [\"seccomp\"]\n", overrides);
  REQUIRE_MESSAGE(config.has_value(), problems(config));
  CHECK(config->state_dir == "/srv/state");
  CHECK(config->tolerated_layers().has(Layer::landlock));
  CHECK(config->tolerated_layers().has(Layer::seccomp));
  overrides.run_dir = "run";
  overrides.tolerate_missing = {"landlok"};
  const auto bad = parse_daemon("", overrides);
  REQUIRE_FALSE(bad.has_value());
  REQUIRE(bad.error().size() == 2);
  CHECK(bad.error()[0].file == "command line");
  CHECK(bad.error()[1].hint == "did you mean \"landlock\"?");
}

TEST_CASE("a removal is confirmed when it is large, not when the host is small") {
  const RemovalConfirmation policy = default_daemon_config().removal_confirmation;
  CHECK_FALSE(policy.needed(0, 0));
  CHECK_FALSE(policy.needed(1, 1));
  CHECK_FALSE(policy.needed(2, 2));
  CHECK_FALSE(policy.needed(4, 4));
  CHECK(policy.needed(5, 10));
  CHECK_FALSE(policy.needed(5, 20));
  CHECK_FALSE(policy.needed(50, 1000));
  CHECK(policy.needed(51, 1'000'000));
}

TEST_CASE("uid ranges stay clear of the host's users and of systemd's") {
  const UidFiles files = debian_uids();
  CHECK(uid_range_problems(default_uid_range, files).empty());
  CHECK(uid_range_problems({2000, 50'000}, files).empty());
  CHECK(uid_range_problems({1000, 1000}, {}).empty());
  CHECK(uid_range_problems({1000, 1001}, files).size() == 1);        // alice
  CHECK(uid_range_problems({100'000, 100'000}, files).size() == 2);  // subuid, subgid
  CHECK(uid_range_problems({165'535, 165'535}, files).size() == 2);
  CHECK(uid_range_problems({165'536, 165'536}, files).empty());
  CHECK(uid_range_problems({999, 1000}, {}).size() == 1);
  CHECK(uid_range_problems({60'513, 60'514}, {}).size() == 1);
  CHECK(uid_range_problems({65'519, 65'520}, {}).size() == 1);
  CHECK(uid_range_problems({65'534, 65'534}, {}).size() == 1);
  CHECK(uid_range_problems({1'879'048'191, 1'900'000'000}, {}).size() == 1);
  CHECK(uid_range_problems({2'147'483'646, 2'147'483'646}, {}).empty());
  CHECK(uid_range_problems({2'147'483'646, 2'147'483'647}, {}).size() == 1);
  CHECK(uid_range_problems({5, 4}, {}).size() == 1);
  const UidFiles hostile{"x:::\n::\nhuge:x:99999999999999999999:\n",
                         "a:1900000000\nb:1:0\n:::", "c:4294967295:4294967295\n"};
  CHECK(uid_range_problems(default_uid_range, hostile).empty());
  const UidFiles whole{"", "all:0:4294967295\n", ""};
  CHECK(uid_range_problems(default_uid_range, whole).size() == 1);
}

TEST_CASE("tenant files are told from editors' leftovers") {
  const std::string longest(63, 'a');
  for (const std::string& name :
       {std::string("acme-corp.toml"), std::string("a.toml"), longest + ".toml"}) {
    CAPTURE(name);
    CHECK(is_tenant_file_name(name));
  }
  for (const char* name :
       {".acme.toml", ".acme.toml.swp", "acme.toml~", "#acme.toml#", ".#acme.toml", "4913",
        "acme.tmp", "acme.toml.dpkg-new", "acme.toml.rpmsave", "", "#", "acme.toml.bak"}) {
    CAPTURE(name);
    CHECK_FALSE(is_tenant_file_name(name));
    CHECK((classify_file_name(name) == FileNameKind::ignored) == (std::string(name) != "#"));
  }
  for (const std::string& name :
       {std::string("Acme.toml"), std::string("acme.tml"), std::string("-a.toml"),
        std::string("a/b.toml"), std::string(".toml").substr(1), longest + "a.toml"}) {
    CAPTURE(name);
    CHECK(classify_file_name(name) == FileNameKind::other);
  }
}

TEST_CASE("the system's accounts are looked up") {
  const SystemAccounts accounts;
  CHECK(accounts.user_id("root") == 0U);
  CHECK(accounts.group_id("root") == 0U);
  CHECK_FALSE(accounts.user_id("no-such-user-here").has_value());
  CHECK_FALSE(accounts.group_id("no-such-group-here").has_value());
}

TEST_CASE("the shipped files run as shipped") {
  const auto configs = source_root() / "configs";
  const auto daemon = parse_daemon(read_text(configs / "tenantd.toml"));
  REQUIRE_MESSAGE(daemon.has_value(), problems(daemon));
  const auto acme = parse_tenant(read_text(configs / "tenants/acme-corp.toml"), *daemon);
  REQUIRE_MESSAGE(acme.has_value(), problems(acme));
  CHECK(acme->router.threshold == 0.5);
  CHECK(acme->router.fallback_route == "general");
  const auto globex = parse_tenant(read_text(configs / "tenants/globex.toml"), *daemon, "globex");
  REQUIRE_MESSAGE(globex.has_value(), problems(globex));
  CHECK(globex->router.threshold == 0.7);
  CHECK(globex->router.fallback_route == "escalation");
  CHECK_FALSE(to_resource_limits(*acme) == to_resource_limits(*globex));
}

TEST_CASE("tenantd.toml as shipped says the defaults") {
  const auto daemon = parse_daemon(read_text(source_root() / "configs/tenantd.toml"));
  const DaemonConfig defaults = default_daemon_config();
  REQUIRE(daemon.has_value());
  for (const FieldSpec& row : daemon_fields()) {
    CAPTURE(row.full_name());
    CHECK(row.same(&*daemon, &defaults));
  }
}

TEST_CASE("encoders are tables with a name and a path") {
  const auto config = parse_daemon(
      "[encoders.potion]\npath = \"/usr/share/potion\"\n[encoders.e5-v2_1]\npath = \"/m\"\n");
  REQUIRE_MESSAGE(config.has_value(), problems(config));
  CHECK(config->encoders ==
        std::vector<EncoderConfig>{{"e5-v2_1", "/m"}, {"potion", "/usr/share/potion"}});
  const auto refused = [](const std::string& text) { return problems(parse_daemon(text)); };
  const auto says = [](const std::string& all, std::string_view part) {
    return all.find(part) != std::string::npos;
  };
  CHECK(says(refused("[encoders.potion]\n"), "encoders.potion.path: missing"));
  CHECK(says(refused("[encoders.potion]\npath = \"relative\"\n"), "is not an absolute path"));
  CHECK(says(refused("[encoders.potion]\npaht = \"/m\"\n"), "did you mean \"path\"?"));
  CHECK(says(refused("[encoders]\npotion = \"/m\"\n"), "expected a section [encoders.potion]"));
  CHECK(says(refused("encoders = [\"/m\"]\n"), "got a list"));
  for (const std::string name : {"hash", "\"a b\"", "\"../x\"", "\"\"", "\"a@b\""}) {
    CHECK(says(refused("[encoders." + name + "]\npath = \"/m\"\n"), "cannot name an encoder"));
  }
  std::string many;
  for (int i = 0; i < 17; ++i) many += "[encoders.e" + std::to_string(i) + "]\npath = \"/m\"\n";
  CHECK(says(refused(many), "17 encoders are too many"));
}
