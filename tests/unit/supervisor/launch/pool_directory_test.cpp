#include "supervisor/launch/pool_directory.h"

#include <fcntl.h>

#include "launch_fixture.h"

using namespace tenantd;

namespace {

ShardSet shard_set(std::initializer_list<std::uint32_t> shards) {
  ShardSet set;
  for (const std::uint32_t shard : shards) set.add(shard);
  return set;
}

struct Pool : LaunchFixture {
  const TenantId first = TenantId::parse("tenantd-pool-0").value();
  const TenantId second = TenantId::parse("tenantd-pool-1").value();
  Result<uid_t> prepare(const TenantId& worker, std::initializer_list<std::uint32_t> shards) {
    return prepare_pool_directory(directory, worker, 4, shard_set(shards), uids);
  }
  [[nodiscard]] std::string shard_path(const TenantId& worker, std::uint32_t shard) const {
    return pool_directory_path(directory, worker) + "/" + shard_directory_name(shard);
  }
};

}  // namespace

TEST_CASE("the pool has one uid, which no tenant gets") {
  Pool pool;
  const auto acme = TenantId::parse("acme").value();
  const auto globex = TenantId::parse("globex").value();
  const auto own = prepare_data_directory(pool.directory, acme, pool.uids);
  REQUIRE(own);
  const auto first = pool.prepare(pool.first, {0, 1});
  REQUIRE_MESSAGE(first, first.error().describe());
  CHECK(pool.prepare(pool.second, {2, 3}) == *first);
  struct stat info {};
  REQUIRE(::stat(pool.shard_path(pool.second, 3).c_str(), &info) == 0);
  CHECK(info.st_uid == *first);
  CHECK((info.st_mode & 07777) == 0700);
  if (!pool.host.privileged) return;
  CHECK(*first != *own);
  CHECK(*first != pool.uids.control_uid());
  const auto later = prepare_data_directory(pool.directory, globex, pool.uids);
  REQUIRE(later);
  CHECK(*later != *first);
  const std::string path = data_directory_path(pool.directory, globex);
  REQUIRE(::chown(path.c_str(), *first, *first) == 0);
  const auto refused = prepare_data_directory(pool.directory, globex, pool.uids);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::permission_denied);
}

TEST_CASE("a shard moves with its data, and a worker sees its own shards only") {
  Pool pool;
  REQUIRE(pool.prepare(pool.first, {0, 1, 2, 3}));
  const std::string mark = pool.shard_path(pool.first, 2) + "/routes.db";
  REQUIRE(UniqueFd(::open(mark.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600)));
  REQUIRE(pool.prepare(pool.first, {0, 1}));
  CHECK_FALSE(std::filesystem::exists(pool.shard_path(pool.first, 2)));
  REQUIRE(pool.prepare(pool.second, {2, 3}));
  CHECK(std::filesystem::exists(pool.shard_path(pool.second, 2) + "/routes.db"));
  REQUIRE(pool.prepare(pool.first, {0, 1, 2, 3}));  // the second is gone for good
  CHECK(std::filesystem::exists(mark));
}

TEST_CASE("a shard that a process has open does not move") {
  Pool pool;
  REQUIRE(pool.prepare(pool.first, {0, 1, 2, 3}));
  const std::string path = pool.shard_path(pool.first, 1) + "/routes.db.lock";
  UniqueFd file(::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  REQUIRE(file);
  struct flock whole {};
  whole.l_type = F_WRLCK;
  REQUIRE(::fcntl(file.get(), F_OFD_SETLK, &whole) == 0);
  const auto refused = pool.prepare(pool.second, {1});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::unavailable);
  CHECK(std::filesystem::exists(path));
  file.reset();
  CHECK(pool.prepare(pool.second, {1}));
}

TEST_CASE("another number of shards than the data's is refused with both numbers") {
  Pool pool;
  CHECK(check_shard_count(pool.directory, 64));  // nothing is there
  REQUIRE(pool.prepare(pool.first, {0}));
  CHECK(check_shard_count(pool.directory, 4));
  const Status changed = check_shard_count(pool.directory, 8);
  REQUIRE_FALSE(changed);
  CHECK(changed.error().code == ErrorCode::invalid_config);
  CHECK(changed.error().message.find("into 4 shards") != std::string::npos);
  CHECK_FALSE(prepare_pool_directory(pool.directory, pool.first, 8, shard_set({0}), pool.uids));
}

TEST_CASE("a shard that is there twice, or somebody else's, is refused") {
  Pool pool;
  REQUIRE(pool.prepare(pool.first, {0, 1}));
  REQUIRE(pool.prepare(pool.second, {2, 3}));
  REQUIRE(::mkdir(pool.shard_path(pool.second, 0).c_str(), 0700) == 0);
  CHECK_FALSE(pool.prepare(pool.first, {0, 1}));
  REQUIRE(::rmdir(pool.shard_path(pool.second, 0).c_str()) == 0);
  CHECK(pool.prepare(pool.first, {0, 1}));
  REQUIRE(::rmdir(pool.shard_path(pool.first, 0).c_str()) == 0);
  REQUIRE(::symlink("/tmp", pool.shard_path(pool.first, 0).c_str()) == 0);
  CHECK_FALSE(pool.prepare(pool.first, {0, 1}));
}

TEST_CASE("the jail makes the files of a pooled worker's shards, and no others can be made") {
  Pool pool;
  const auto uid = pool.prepare(pool.first, {1, 3});
  REQUIRE(uid);
  LaunchRequest request = pool.request("look");
  request.data_directory = pool_directory_path(pool.directory, pool.first);
  request.uid = *uid;
  request.gid = *uid;
  request.spec.shard_count = 4;
  request.spec.shards = shard_set({1, 3});
  set_data_files(request.spec, shard_data_files);
  (void)pool.run(request);
  for (const std::uint32_t shard : {1U, 3U}) {
    for (const std::string_view name : shard_data_files) {
      CHECK(std::filesystem::exists(pool.shard_path(pool.first, shard) + "/" + std::string(name)));
    }
  }
  CHECK(std::filesystem::exists(request.data_directory + "/" + std::string(running_file_name)));
  CHECK_FALSE(std::filesystem::exists(pool.shard_path(pool.first, 0)));
}
