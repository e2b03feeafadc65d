#include "launch_fixture.h"

using namespace tenantd;

TEST_CASE("a tenant's uid is the owner of its directory") {
  LaunchFixture fixture;
  const auto acme = TenantId::parse("acme");
  const auto globex = TenantId::parse("globex");
  const auto first = prepare_data_directory(fixture.directory, *acme, fixture.uids);
  REQUIRE(first);
  const auto second = prepare_data_directory(fixture.directory, *globex, fixture.uids);
  REQUIRE(second);
  CHECK(*prepare_data_directory(fixture.directory, *acme, fixture.uids) == *first);
  if (!fixture.host.privileged) {
    CHECK(*first == ::geteuid());
    return;
  }
  CHECK(*first == first_test_uid + 1);  // the first is control's
  CHECK(*second == first_test_uid + 2);
  CHECK(*prepare_control_directory(fixture.directory, fixture.uids) == first_test_uid);
  REQUIRE(::rmdir(data_directory_path(fixture.directory, *acme).c_str()) == 0);
  CHECK(*prepare_data_directory(fixture.directory, *acme, fixture.uids) == *first);
}

TEST_CASE("wrong modes, owners and symlinks are refused") {
  LaunchFixture fixture;
  const auto tenant = TenantId::parse("acme");
  const std::string path = data_directory_path(fixture.directory, *tenant);
  const auto code = [&] {
    const auto refused = prepare_data_directory(fixture.directory, *tenant, fixture.uids);
    return refused ? ErrorCode{} : refused.error().code;
  };
  REQUIRE(prepare_data_directory(fixture.directory, *tenant, fixture.uids));
  REQUIRE(::chmod(path.c_str(), 0750) == 0);
  CHECK(code() == ErrorCode::permission_denied);
  REQUIRE(::rmdir(path.c_str()) == 0);
  REQUIRE(::symlink("/tmp", path.c_str()) == 0);
  CHECK(code() == ErrorCode::permission_denied);
  REQUIRE(::unlink(path.c_str()) == 0);
  if (!fixture.host.privileged) return;
  REQUIRE(::mkdir(path.c_str(), 0700) == 0);  // root's
  CHECK(code() == ErrorCode::permission_denied);
  REQUIRE(::chown(path.c_str(), first_test_uid, first_test_uid) == 0);  // control's
  CHECK(code() == ErrorCode::permission_denied);
}
