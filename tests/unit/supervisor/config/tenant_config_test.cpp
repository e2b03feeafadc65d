#include "supervisor/config/tenant_config.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "supervisor/config/config_change.h"
#include "supervisor/config/schema_reader.h"
#include "test_support.h"

using namespace tenantd;
using namespace tenantd::test;

namespace {

constexpr std::uint64_t mebibyte = 1ULL << 20U;

// Of the one plan that may have everything.
std::string_view example_literal(const FieldSpec& row, std::size_t) {
  if (row.full_name() == "plan") return "\"platinum\"";
  if (row.full_name() == "isolation_level") return "\"physical\"";
  return row.example;
}

// Every refuse_unless_accepted key accepted, and what the examples name is there.
DaemonConfig permissive_daemon() {
  return parse_daemon(
             "accept_unenforced = [\"data_residency\", \"security\", \"database\"]\n"
             "[physical]\nstorage_roots = { fast = \"/mnt/fast\" }\n"
             "programs = { classifier = \"/opt/classifier\" }\n"
             "hooks = { warm-up = \"/opt/warm-up\", archive = \"/opt/archive\" }\n"
             "interfaces = [\"eth1\"]\nnetworks = [\"10.77.0.0/16\"]\n")
      .value();
}

std::string example_file() { return toml_with(tenant_fields(), example_literal, 0); }

}  // namespace

TEST_CASE("one line is a tenant, with its plan's defaults") {
  const auto config = parse_tenant("plan = \"premium\"\n");
  REQUIRE_MESSAGE(config.has_value(), problems(config));
  CHECK(config->id == "acme-corp");
  CHECK(config->name == "acme-corp");
  CHECK(config->isolation_level == IsolationLevel::process);
  CHECK(config->start == StartMode::eager);
  CHECK(config->resources.cpu_millicores == 1000);
  CHECK(config->resources.memory_max_bytes == 256 * mebibyte);
  CHECK(config->resources.pids_max == 64);
  CHECK(config->access.operators);
  CHECK(config->router.aggregation == Aggregation::automatic);
  CHECK(config->not_enforced.empty());
  const ResourceLimits limits = to_resource_limits(*config);
  CHECK(limits.memory_high_bytes == 224 * mebibyte);
  CHECK(limits.cpu_quota_us() == 100'000);
  CHECK(limits.io_count == 0);
}

TEST_CASE("each row's example is accepted and reaches its member") {
  const auto config = parse_tenant(example_file(), permissive_daemon());
  REQUIRE_MESSAGE(config.has_value(), problems(config));
  const auto plain = parse_tenant("plan = \"platinum\"\n", permissive_daemon());
  REQUIRE(plain.has_value());
  // Rows whose example is the default, or that cannot differ.
  const std::set<std::string> equal = {"plan",
                                       "isolation_level",
                                       "router.dimension",
                                       "router.encoder",
                                       "router.threshold",
                                       "limits.max_storage",
                                       "limits.max_batch_size",
                                       "id"};
  for (const FieldSpec& row : tenant_fields()) {
    CAPTURE(row.full_name());
    CHECK_FALSE(row.doc.empty());
    CHECK_FALSE(row.example.empty());
    CHECK(row.same(&*config, &*plain) == (equal.count(row.full_name()) == 1));
  }
  CHECK(config->access.users == std::vector<std::uint32_t>{0, 1001});
  CHECK(config->access.groups == std::vector<std::uint32_t>{0, 1002});
  REQUIRE(config->access.token_sha256.size() == 1);
  CHECK(config->access.token_sha256[0][0] == 0x9f);
  CHECK(config->access.token_sha256[0][31] == 0x08);
  CHECK(config->budget_limit == Money{10'000'000'000'000, "USD"});
  REQUIRE(config->resources.io.size() == 1);
  CHECK(config->resources.io[0] == IoLimit{8, 0, 10 * mebibyte, 0, 0, 500});
  CHECK(config->security.session_timeout_ms == 3'600'000);
}

TEST_CASE("what is not enforced is listed, in the table's order, and false asks for nothing") {
  const auto config = parse_tenant(
      "plan = \"premium\"\n[limits]\nmax_requests_per_second = 9\nmax_requests_per_day = 5\n"
      "[security]\nmfa_required = false\n[router]\ncache_enabled = true\n");
  REQUIRE_MESSAGE(config.has_value(), problems(config));
  CHECK(config->not_enforced ==
        std::vector<std::string>{"limits.max_requests_per_second", "limits.max_requests_per_day"});
}

TEST_CASE("security, residency and database keys refuse unless accepted by name or section") {
  const std::string text = "plan = \"premium\"\n[security]\nmfa_required = true\n";
  const auto refused = parse_tenant(text);
  REQUIRE_FALSE(refused.has_value());
  REQUIRE(refused.error().size() == 1);
  CHECK(refused.error()[0].code == ErrorCode::unsupported);
  CHECK(refused.error()[0].line == 3);
  for (const char* name : {"security", "security.mfa_required"}) {
    const auto daemon = parse_daemon("accept_unenforced = [\"" + std::string(name) + "\"]\n");
    REQUIRE(daemon.has_value());
    const auto accepted = parse_tenant(text, *daemon);
    REQUIRE_MESSAGE(accepted.has_value(), problems(accepted));
    CHECK(accepted->not_enforced == std::vector<std::string>{"security.mfa_required"});
  }
  const auto other = parse_daemon("accept_unenforced = [\"security.session_timeout\"]\n");
  CHECK_FALSE(parse_tenant(text, other.value()).has_value());
}

TEST_CASE("the matrix: each plan with its own level, and platinum with process too") {
  for (const std::string_view plan : plan_names) {
    for (const std::string_view level : isolation_level_names) {
      const auto config = parse_tenant("plan = \"" + std::string(plan) +
                                       "\"\nisolation_level = \"" + std::string(level) + "\"\n");
      CAPTURE(plan);
      CAPTURE(level);
      const bool runs = (plan == "premium" && level == "process") ||
                        (plan == "standard" && level == "logical") ||
                        (plan == "platinum" && level != "logical");
      CHECK(config.has_value() == runs);
    }
  }
}

TEST_CASE("what the physical level gives belongs to it, and names what tenantd.toml lists") {
  const auto daemon = parse_daemon("[physical.storage_roots]\nfast = \"/mnt/fast\"\n");
  REQUIRE(daemon.has_value());
  const std::string platinum = "plan = \"platinum\"\n[physical]\n";
  const auto good = parse_tenant(platinum + "storage = \"fast\"\n", *daemon);
  REQUIRE_MESSAGE(good.has_value(), problems(good));
  CHECK(good->physical.storage == "fast");
  CHECK(good->physical.cpus == 1);
  const auto misspelt = parse_tenant(platinum + "storage = \"fsat\"\n", *daemon);
  REQUIRE_FALSE(misspelt.has_value());
  CHECK(misspelt.error()[0].hint.find("did you mean \"fast\"?") != std::string::npos);
  CHECK(misspelt.error()[0].line == 3);
  for (const std::string key : {"program", "on_start", "on_stop"}) {
    CHECK_FALSE(parse_tenant(platinum + key + " = \"fast\"\n", *daemon).has_value());
  }
  const auto premium = parse_tenant("plan = \"premium\"\n[physical]\ncpus = 1\n", *daemon);
  REQUIRE_FALSE(premium.has_value());
  CHECK(premium.error()[0].message.find("belongs to isolation level") != std::string::npos);
}

TEST_CASE("a name of tenantd.toml that stands for another path is a change of the file's meaning") {
  const std::string text =
      "plan = \"platinum\"\n[physical]\nstorage = \"fast\"\nprogram = \"own\"\non_stop = \"end\"\n";
  const auto offered = [&](const std::string& root, const std::string& program,
                           const std::string& hook) {
    const auto daemon = parse_daemon("[physical]\nstorage_roots = { fast = \"" + root +
                                     "\" }\nprograms = { own = \"" + program +
                                     "\" }\nhooks = { end = \"" + hook + "\" }\n");
    REQUIRE_MESSAGE(daemon.has_value(), problems(daemon));
    const auto config = parse_tenant(text, *daemon);
    REQUIRE_MESSAGE(config.has_value(), problems(config));
    return *config;
  };
  const TenantConfig before = offered("/mnt/a", "/opt/a", "/opt/hook");
  CHECK(before.physical.storage_root == "/mnt/a");
  CHECK(before.physical.program_path == "/opt/a");
  CHECK(before.physical.on_stop_path == "/opt/hook");
  CHECK(before.physical.on_start_path.empty());
  CHECK_FALSE(diff(before, offered("/mnt/a", "/opt/a", "/opt/hook")).any);
  CHECK(diff(before, offered("/mnt/b", "/opt/a", "/opt/hook")).needs_new_worker);
  CHECK(diff(before, offered("/mnt/a", "/opt/b", "/opt/hook")).needs_new_worker);
  const ConfigChange hook = diff(before, offered("/mnt/a", "/opt/a", "/opt/other"));
  CHECK(hook.any);
  CHECK_FALSE(hook.needs_new_worker);
}

TEST_CASE("the example of a platinum tenant is valid beside what its host adds") {
  const auto daemon = parse_daemon(read_text(source_root() / "configs/platinum/tenantd-part.toml"));
  REQUIRE_MESSAGE(daemon.has_value(), problems(daemon));
  const auto config =
      parse_tenant(read_text(source_root() / "configs/platinum/initech.toml"), *daemon, "initech");
  REQUIRE_MESSAGE(config.has_value(), problems(config));
  CHECK(config->isolation_level == IsolationLevel::physical);
  CHECK(config->not_enforced.empty());
}

TEST_CASE("a host without pooled workers refuses standard tenants with the reason") {
  const std::string text = "plan = \"standard\"\n";
  auto daemon = parse_daemon("[pool]\nworkers = 0\n");
  REQUIRE(daemon.has_value());
  const auto none = parse_tenant(text, *daemon);
  REQUIRE_FALSE(none.has_value());
  CHECK(none.error()[0].code == ErrorCode::unsupported);
  CHECK(none.error()[0].message.find("no pooled workers") != std::string::npos);
  daemon->pool.workers = 1;
  daemon->pool.problem = "the data is divided otherwise";
  const auto other = parse_tenant(text, *daemon);
  REQUIRE_FALSE(other.has_value());
  CHECK(other.error()[0].message.find(daemon->pool.problem) != std::string::npos);
  CHECK(parse_tenant("plan = \"premium\"\n", *daemon).has_value());
}

TEST_CASE("a standard tenant's resources are not enforced, a premium one's are") {
  const std::string resources = "[resources]\ncpu = \"50%\"\n";
  const auto standard = parse_tenant("plan = \"standard\"\n" + resources);
  REQUIRE_MESSAGE(standard.has_value(), problems(standard));
  CHECK(standard->not_enforced == std::vector<std::string>{"resources.cpu"});
  const auto premium = parse_tenant("plan = \"premium\"\n" + resources);
  REQUIRE(premium.has_value());
  CHECK(premium->not_enforced.empty());
}

TEST_CASE("data_residency is enforced where the host's region is known") {
  const auto daemon = parse_daemon("region = \"eu-west-1\"\n");
  REQUIRE(daemon.has_value());
  for (const char* plan : {"standard", "premium"}) {
    const std::string text = "plan = \"" + std::string(plan) + "\"\ndata_residency = ";
    const auto here = parse_tenant(text + "\"eu-west-1\"\n", *daemon);
    REQUIRE_MESSAGE(here.has_value(), problems(here));
    CHECK(here->not_enforced.empty());
    const auto elsewhere = parse_tenant(text + "\"us-east-1\"\n", *daemon);
    REQUIRE_FALSE(elsewhere.has_value());
    REQUIRE(elsewhere.error().size() == 1);
    CHECK(elsewhere.error()[0].code == ErrorCode::unsupported);
    CHECK(elsewhere.error()[0].line == 2);
    CHECK_FALSE(parse_tenant(text + "\"eu-west-1\"\n").has_value());  // no region: not enforced
  }
}

TEST_CASE("a default above a ceiling is lowered, a value above it is refused") {
  const auto daemon =
      parse_daemon("[ceilings]\ncpu = \"20%\"\nmemory_max = \"64M\"\npids_max = 8\n");
  REQUIRE(daemon.has_value());
  const auto lowered = parse_tenant("plan = \"premium\"\n", *daemon);
  REQUIRE_MESSAGE(lowered.has_value(), problems(lowered));
  CHECK(lowered->resources.cpu_millicores == 200);
  CHECK(lowered->resources.memory_max_bytes == 64 * mebibyte);
  CHECK(lowered->resources.pids_max == 8);
  const auto refused = parse_tenant(
      "plan = \"premium\"\n[resources]\ncpu = \"21%\"\nmemory_max = \"65M\"\npids_max = 9\n",
      *daemon);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().size() == 3);
}

TEST_CASE("a quota is at least a platinum tenant's own CPUs, its guarantee at most its memory") {
  const DaemonConfig daemon = permissive_daemon();
  const auto quota_of = [&daemon](const std::string& plan, const std::string& rest) {
    const auto config = parse_tenant("plan = \"" + plan + "\"\n" + rest, daemon);
    REQUIRE_MESSAGE(config.has_value(), problems(config));
    return config->resources.cpu_millicores;
  };
  CHECK(quota_of("platinum", "[resources]\ncpu = \"50%\"\n[physical]\ncpus = 3\n") == 3000);
  CHECK(quota_of("platinum", "[resources]\ncpu = \"400%\"\n[physical]\ncpus = 3\n") == 4000);
  CHECK(quota_of("platinum", "[resources]\ncpu = \"50%\"\n[physical]\ncpus = 0\n") == 500);
  CHECK(quota_of("premium", "[resources]\ncpu = \"50%\"\n") == 500);
  const auto refused = parse_tenant(
      "plan = \"platinum\"\n[resources]\nmemory_max = \"64M\"\n[physical]\nguaranteed_memory = "
      "\"65M\"\n",
      daemon);
  REQUIRE_FALSE(refused.has_value());
  CHECK(problems(refused).find("65M is more than the tenant may have, 64M") != std::string::npos);
}

TEST_CASE("what is set aside must be CPUs") {
  CHECK(parse_daemon("[physical]\ncpus = \"2-5,8\"\npartition = true\n").has_value());
  CHECK_FALSE(parse_daemon("[physical]\ncpus = \"5-2\"\n").has_value());
  CHECK_FALSE(parse_daemon("[physical]\npartition = true\n").has_value());  // of nothing
}

TEST_CASE("every settings field reaches the worker") {
  const auto config = parse_tenant(example_file(), permissive_daemon());
  REQUIRE(config.has_value());
  const TenantSettings settings = to_tenant_settings(*config);
  CHECK(settings.tenant_id.view() == "acme-corp");
  CHECK(settings.router.encoder.view() == "hash");
  CHECK(settings.router.fallback_route.view() == "general");
  CHECK(settings.router.threshold == 0.5F);
  CHECK(settings.router.aggregation == Aggregation::max);
  CHECK(settings.router.top_k == 5);
  CHECK(settings.router.cache_enabled == 1);
  CHECK(settings.cache_similarity_e4 == 9800);
  CHECK(settings.max_cache_bytes == 32 * mebibyte);
  CHECK(settings.max_cache_entries == 50'000);
  CHECK(settings.executions_sample_e6 == 100'000);
  CHECK(settings.max_executions == 50'000);
  CHECK(settings.retention_days == 90);
  CHECK(settings.max_storage_bytes == 100ULL << 30U);
  CHECK(settings.max_concurrent_requests == 50);
  CHECK(parse_tenant("plan = \"premium\"\n[router]\nthreshold = 0\n")->router.threshold == 0);
}

TEST_CASE("a change is classed by what it takes") {
  const auto change = [](const std::string& from, const std::string& to) {
    const auto old = parse_tenant("plan = \"premium\"\n" + from);
    const auto now = parse_tenant("plan = \"premium\"\n" + to);
    return diff(old.value(), now.value());
  };
  CHECK(change("", "# a comment\n") == ConfigChange{});
  CHECK(change("", "name = \"New\"\n") == ConfigChange{.any = true});
  CHECK(change("", "[router]\nthreshold = 0.6\n") ==
        ConfigChange{.any = true, .live_settings = true});
  CHECK(change("", "[resources]\ncpu = \"10%\"\n") ==
        ConfigChange{.any = true, .live_resources = true});
  CHECK(change("[access]\nusers = [\"alice\"]\n", "") == ConfigChange{.any = true, .access = true});
  CHECK(change("", "[router]\ndimension = 8\nthreshold = 0.1\n") ==
        ConfigChange{.any = true, .live_settings = true, .needs_new_worker = true});
  CHECK(change("[access]\nusers = [\"alice\", 0]\n", "[access]\nusers = [\"root\", 1001, 0]\n") ==
        ConfigChange{});
}

TEST_CASE("a cache is a share of the memory unless the file says more, and at most half of it") {
  const auto bytes = [](const std::string& file) {
    const auto config = parse_tenant("plan = \"premium\"\n" + file);
    REQUIRE_MESSAGE(config.has_value(), problems(config));
    return to_tenant_settings(*config).max_cache_bytes;
  };
  CHECK(bytes("") == 16 * mebibyte);
  CHECK(bytes("[resources]\nmemory_max = \"64M\"\n") == 4 * mebibyte);
  CHECK(bytes("[limits]\nmax_cache_bytes = \"128M\"\n") == 128 * mebibyte);
  const auto more = parse_tenant("plan = \"premium\"\n[limits]\nmax_cache_bytes = \"129M\"\n");
  REQUIRE_FALSE(more.has_value());
  REQUIRE(more.error().size() == 1);
  CHECK(more.error()[0].field == "limits.max_cache_bytes");
  CHECK(more.error()[0].line == 3);
  // The worker is told when its default follows the memory.
  const auto small = parse_tenant("plan = \"premium\"\n[resources]\nmemory_max = \"64M\"\n");
  const auto usual = parse_tenant("plan = \"premium\"\n");
  CHECK(diff(usual.value(), small.value()) ==
        ConfigChange{.any = true, .live_settings = true, .live_resources = true});
}

TEST_CASE("problems are bounded, sorted by place and never raw") {
  std::string text = "plan = \"premium\"\n";
  for (int i = 0; i < 500; ++i) text += "unknown_" + std::to_string(i) + " = 1\n";
  text += "\"\\u001b[2J\\u009b\" = 1\n";
  const auto config = parse_tenant(text);
  REQUIRE_FALSE(config.has_value());
  REQUIRE(config.error().size() == Diagnostics::max_kept + 1);
  CHECK(config.error().back().message == "and 437 more problems");
  CHECK(describe_all(config.error()).find('\x1b') == std::string::npos);
  CHECK(printable("\x1b[2J\xc2\x9b\xc3\xa9") == "\\x1b[2J\\xc2\\x9b\xc3\xa9");
}

TEST_CASE("a word too long to be a slip gets no suggestion") {
  const std::string slip = "plan = \"premium\"\nthreshhold = 1\n";
  CHECK(parse_tenant(slip).error()[0].hint.find("threshold") != std::string::npos);
  const std::string word(65, 'r');
  const std::string_view near[] = {std::string_view(word).substr(1)};
  CHECK(nearest_name(near[0], near) == near[0]);
  CHECK_FALSE(nearest_name(word, near).has_value());
}

TEST_CASE("dotted keys cannot overflow the stack, however they are disguised") {
  std::string dots;
  for (int i = 0; i < 120'000; ++i) dots += "a.";
  for (const std::string& text :
       {dots + "a = 1\n", "[" + dots + "a]\n", "x = \"\"\"b\"\"\"\"\ny = {" + dots + "a = 1}\n",
        "x = ['''b'''', {" + dots + "a = 1}]\n", "x = \"\\\\\" # \"\n" + dots + "a = 1\n"}) {
    const auto config = parse_tenant(text);
    REQUIRE_FALSE(config.has_value());
    CHECK(config.error()[0].message.find("more than 512 dots") != std::string::npos);
  }
  CHECK_FALSE(parse_tenant("x = " + std::string(100'000, '[')).has_value());
}

TEST_CASE("an encoder of this host must work and fit, and becomes its version") {
  DaemonConfig daemon = permissive_daemon();
  daemon.prepared_encoders = {{"potion", "potion@0123456789abcdef", 64, ""},
                              {"broken", "", 0, "/m: config.json: is not JSON"}};
  const auto parse = [&daemon](const std::string& router) {
    return parse_tenant("plan = \"premium\"\n[router]\n" + router, daemon);
  };
  const auto good = parse("encoder = \"potion\"\ndimension = 64\n");
  REQUIRE_MESSAGE(good.has_value(), problems(good));
  CHECK(good->router.encoder == "potion@0123456789abcdef");
  CHECK(to_tenant_settings(*good).router.encoder.view() == "potion@0123456789abcdef");
  // A name that this host does not know says whose vectors the tenant sends.
  CHECK(parse("encoder = \"elsewhere\"\n")->router.encoder == "elsewhere");

  const auto refused = [&parse](const std::string& router) {
    const auto config = parse(router);
    REQUIRE_FALSE(config.has_value());
    REQUIRE(config.error().size() == 1);
    return config.error().front();
  };
  const Error unfit = refused("encoder = \"potion\"\ndimension = 384\n");
  CHECK(unfit.field == "router.dimension");
  CHECK(unfit.line == 4);
  CHECK(unfit.message == "384 is not what the encoder \"potion\" makes: 64");
  CHECK(unfit.hint == "set dimension = 64");
  CHECK(refused("encoder = \"potion\"\n").line == 3);  // the default dimension
  const Error broken = refused("encoder = \"broken\"\n");
  CHECK(broken.field == "router.encoder");
  CHECK(broken.message == "\"broken\" cannot be used: /m: config.json: is not JSON");
}
