#include "supervisor/process/run_record.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace tenantd;
namespace fs = std::filesystem;

namespace {

RunRecord example(const char* tenant) {
  RunRecord record{TenantId::parse(tenant).value(), 0, 0, {}, 0, 0, {}, {}, {}, {}, {}};
  record.pid = 4711;
  record.start_ticks = 123'456'789'012;
  record.boot_id = "0b9c7c3e-0000-4000-8000-000000000000";
  record.generation = 7;
  record.uid = 1'900'000'001;
  record.applied = LayerSet::all();
  record.missing.add(Layer::cgroup_io);
  record.fingerprint = "00ff";
  record.network = "veth 10.77.0.2/30";
  return record;
}

}  // namespace

TEST_CASE("a record survives the file") {
  std::string pattern = (fs::temp_directory_path() / "tenantd-records-XXXXXX").string();
  REQUIRE(::mkdtemp(pattern.data()) != nullptr);
  const RunRecords records(pattern);
  REQUIRE(records.write(example("acme")).has_value());
  REQUIRE(records.write(example("globex")).has_value());
  std::ofstream(fs::path(pattern) / "junk.record") << "pid=1\n";
  fs::copy_file(fs::path(pattern) / "acme.record", fs::path(pattern) / "other.record");
  struct stat info {};
  REQUIRE(::stat((pattern + "/acme.record").c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0600);
  auto loaded = records.load_all();
  REQUIRE(loaded.size() == 2);
  if (loaded[0].tenant.view() != "acme") std::swap(loaded[0], loaded[1]);
  CHECK(loaded[0] == example("acme"));
  CHECK(!fs::exists(fs::path(pattern) / "junk.record"));
  CHECK(!fs::exists(fs::path(pattern) / "other.record"));  // names another tenant
  records.end(example("acme"));  // its worker is gone, its generation stays known
  loaded = records.load_all();
  REQUIRE(loaded.size() == 2);
  if (loaded[0].tenant.view() != "acme") std::swap(loaded[0], loaded[1]);
  CHECK(loaded[0].pid == 0);
  CHECK(loaded[0].generation == example("acme").generation);
  records.erase_all();
  CHECK(records.load_all().empty());
  fs::remove_all(pattern);
}

TEST_CASE("a damaged record is refused line by line") {
  const std::string good = encode_record(example("acme"));
  REQUIRE(decode_record(good).has_value());
  for (const char* key :
       {"version", "tenant", "pid", "start_ticks", "generation", "uid", "applied", "missing"}) {
    std::string bad = good;
    const std::size_t place = bad.find(std::string(key) + "=");
    REQUIRE(place != std::string::npos);
    bad.insert(bad.find('=', place) + 1, "x-");
    const auto decoded = decode_record(bad);
    CAPTURE(key);
    if (std::string_view(key) == "tenant") {
      CHECK(decoded->tenant.view() == "x-acme");  // still an id: the file's name gives it away
    } else {
      CHECK(!decoded.has_value());
    }
  }
  CHECK(!decode_record("").has_value());
}

// A value that no row has by default.
ConfigValue unusual_value(const FieldSpec& row) {
  switch (row.type) {
    case ValueType::text:
    case ValueType::path:
    case ValueType::device:
      return std::string("unusual");
    case ValueType::boolean:
      return true;
    case ValueType::real:
      return 0.125;
    case ValueType::money:
      return Money{1, "USD"};
    case ValueType::text_list:
    case ValueType::cidr_list:
    case ValueType::path_list:
      return std::vector<std::string>{"unusual"};
    case ValueType::digest_list:
      return std::vector<Sha256Digest>(1);
    case ValueType::user_list:
    case ValueType::group_list:
      return std::vector<std::uint32_t>{4711};
    case ValueType::io_list:
      return std::vector<IoLimit>(1);
    default:
      return std::uint64_t{2};
  }
}

TEST_CASE("every key that needs a new worker changes the fingerprint, and no other does") {
  const TenantConfig plain;
  int seen = 0;
  for (const FieldSpec& row : tenant_fields()) {
    CAPTURE(row.full_name());
    const bool new_worker = row.applies == Applies::new_worker;
    REQUIRE((!new_worker || row.print != nullptr));
    TenantConfig config;
    row.store(&config, unusual_value(row));
    if (row.full_name() == "access.operators") config.access.operators = false;
    CHECK(!row.same(&plain, &config));
    CHECK((worker_fingerprint(config) != worker_fingerprint(plain)) == new_worker);
    if (new_worker) ++seen;
  }
  CHECK(seen >= 10);
}

TEST_CASE("what a name of the file stands for is in the fingerprint, a hook is not") {
  TenantConfig config;
  const std::string plain = worker_fingerprint(config);
  config.physical.program_path = "/opt/a";
  const std::string program = worker_fingerprint(config);
  CHECK(program != plain);
  config.physical.storage_root = "/mnt/a";
  CHECK(worker_fingerprint(config) != program);
  config.physical.storage_root.clear();
  config.physical.on_start_path = "/opt/hook";
  CHECK(worker_fingerprint(config) == program);
}

TEST_CASE("a pooled worker's shards are in its record and its fingerprint") {
  TenantConfig config;
  config.pool = PoolShare{64, {}, false};
  config.pool->shards.add(5);
  const std::string one = worker_fingerprint(config);
  config.pool->shards.add(63);
  CHECK(worker_fingerprint(config) != one);
  CHECK(worker_fingerprint(config) != worker_fingerprint(TenantConfig{}));
  RunRecord record{TenantId::parse("tenantd-pool-0").value(),
                   7,
                   1,
                   "boot",
                   2,
                   3,
                   {},
                   {},
                   "f",
                   config.pool->shards};
  const auto read = decode_record(encode_record(record));
  REQUIRE(read);
  CHECK(*read == record);
  for (const char* bad : {"shards=0g", "shards=-1"}) {
    CHECK_FALSE(decode_record(encode_record(record) + bad + "\n"));
  }
  const std::string too_many(max_shards / 4 + 1, 'f');
  CHECK_FALSE(decode_record(encode_record(record) + "shards=" + too_many + "\n"));
}

TEST_CASE("what a platinum tenant's worker has for itself is remembered") {
  RunRecord record = example("acme");
  CHECK(encode_record(record).find("cpus=") ==
        std::string::npos);  // as it was before there was any
  record.allotment = {*CpuSet::parse("2-3,8"), CpuSet::of({1}), 1ULL << 40U, true};
  const std::string text = encode_record(record);
  CHECK(decode_record(text).value() == record);
  record.allotment = {{}, {}, 4096, false};
  CHECK(decode_record(encode_record(record)).value() == record);
  for (const char* key : {"cpus", "nodes", "guaranteed_memory", "partition"}) {
    std::string bad = text;
    bad.insert(bad.find(std::string("\n") + key + "=") + std::string_view(key).size() + 2, "x");
    CAPTURE(key);
    CHECK_FALSE(decode_record(bad));
  }
}
