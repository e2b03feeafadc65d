#include "supervisor/launch/data_place.h"

#include <fstream>

#include "launch_fixture.h"

using namespace tenantd;

namespace {

// A state directory and two roots beside it.
struct Places : LaunchFixture {
  Places() {
    for (const std::string& root : {fast, slow}) {
      REQUIRE(::mkdir(root.c_str(), 0711) == 0);
      REQUIRE(::chmod(root.c_str(), 0711) == 0);
    }
  }
  Result<uid_t> prepare(const TenantId& tenant, const std::string& root) {
    return prepare_placed_directory(directory, {root, {fast, slow}, fstab}, tenant, uids);
  }
  // What a refusal says; empty: it was none.
  std::string refusal(const TenantId& tenant, const std::string& root) {
    const auto uid = prepare(tenant, root);
    if (uid) return {};
    CHECK((uid.error().code == ErrorCode::permission_denied ||
           uid.error().code == ErrorCode::invalid_config));
    return uid.error().describe();
  }
  std::string at(const std::string& root, const TenantId& tenant) const {
    return root + '/' + tenant.str();
  }

  std::string fast = directory + "/fast";
  std::string slow = directory + "/slow";
  std::string usual = directory + "/tenants";
  std::string fstab = directory + "/fstab";
  TenantId acme = TenantId::parse("acme").value();
  TenantId globex = TenantId::parse("globex").value();
};

void write_file(const std::string& path) { std::ofstream(path) << "data"; }
bool is_there(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }
bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a tenant's data is in its root, and everybody is told that place") {
  Places places;
  const auto uid = places.prepare(places.acme, places.fast);
  REQUIRE_MESSAGE(uid, uid.error().describe());
  struct stat info {};
  REQUIRE(::lstat(places.at(places.fast, places.acme).c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0700);
  CHECK(info.st_uid == *uid);
  CHECK(data_directory_path(places.directory, places.acme) == places.at(places.fast, places.acme));
  CHECK_FALSE(is_there(places.at(places.usual, places.acme)));
  CHECK(*places.prepare(places.acme, places.fast) == *uid);
  // Nobody else's place has changed.
  CHECK(data_directory_path(places.directory, places.globex) ==
        places.at(places.usual, places.globex));
}

TEST_CASE("uids are unique over all roots, also over one that is not there") {
  Places places;
  if (!places.host.privileged) return;
  const auto first = places.prepare(places.acme, places.fast);
  REQUIRE(first);
  const std::string hidden = places.directory + "/hidden";
  REQUIRE(::rename(places.fast.c_str(), hidden.c_str()) == 0);
  const auto second = prepare_data_directory(places.directory, places.globex, places.uids);
  REQUIRE(second);
  CHECK(*second != *first);
  // Two that were brought there by hand with one uid.
  REQUIRE(::rename(hidden.c_str(), places.fast.c_str()) == 0);
  const auto initech = TenantId::parse("initech").value();
  REQUIRE(::mkdir(places.at(places.slow, initech).c_str(), 0700) == 0);
  REQUIRE(::chown(places.at(places.slow, initech).c_str(), *first, *first) == 0);
  CHECK(says(places.refusal(initech, places.slow), "uid of another tenant"));
}

TEST_CASE("data elsewhere refuses the tenant with both places and the way to move it") {
  Places places;
  const auto uid = prepare_data_directory(places.directory, places.acme, places.uids);
  REQUIRE(uid);
  const std::string old = places.at(places.usual, places.acme);
  const std::string wanted = places.at(places.fast, places.acme);
  write_file(old + "/routes.db");
  const std::string refusal = places.refusal(places.acme, places.fast);
  CHECK(says(refusal, "its data is in " + old));
  CHECK(says(refusal, "wants it in " + wanted));
  CHECK(says(refusal, "cp -a " + old + ' ' + wanted));
  CHECK_FALSE(is_there(wanted));
  // As it says.
  std::filesystem::rename(old, wanted);
  REQUIRE_MESSAGE(places.prepare(places.acme, places.fast),
                  places.refusal(places.acme, places.fast));
  CHECK(*places.prepare(places.acme, places.fast) == *uid);
  CHECK(says(places.refusal(places.acme, places.slow), "its data is in " + wanted));
  CHECK(says(places.refusal(places.acme, ""), "its data is in " + wanted));
  // And back, after which its root is nobody's business.
  std::filesystem::rename(wanted, old);
  CHECK(*places.prepare(places.acme, "") == *uid);
  CHECK(data_directory_path(places.directory, places.acme) == old);
}

TEST_CASE("data in two places is nobody's to choose from") {
  Places places;
  REQUIRE(prepare_data_directory(places.directory, places.acme, places.uids));
  const std::string old = places.at(places.usual, places.acme);
  write_file(old + "/routes.db");
  std::filesystem::copy(old, places.at(places.fast, places.acme));
  const std::string refusal = places.refusal(places.acme, places.fast);
  CHECK(says(refusal, "two places: " + old + " and " + places.at(places.fast, places.acme)));
}

TEST_CASE("an empty directory is left for the new place, with its uid") {
  Places places;
  const auto uid = prepare_data_directory(places.directory, places.acme, places.uids);
  REQUIRE(uid);
  CHECK(*places.prepare(places.acme, places.fast) == *uid);
  CHECK_FALSE(is_there(places.at(places.usual, places.acme)));
}

TEST_CASE("data that has gone with its disk is not begun anew") {
  Places places;
  REQUIRE(places.prepare(places.acme, places.fast));
  REQUIRE(::rmdir(places.at(places.fast, places.acme).c_str()) == 0);
  for (const std::string& root : {places.fast, places.slow, std::string()}) {
    CHECK(says(places.refusal(places.acme, root), "is not there any more"));
    CHECK_FALSE(is_there(places.at(root.empty() ? places.usual : root, places.acme)));
  }
  REQUIRE(::unlink((placed_path(places.directory) + "/acme").c_str()) == 0);
  CHECK(places.prepare(places.acme, places.fast));
}

TEST_CASE("a root that others could have made, or that is missing, refuses the tenant") {
  Places places;
  REQUIRE(::chmod(places.fast.c_str(), 0733) == 0);
  CHECK(says(places.refusal(places.acme, places.fast), "others may write it"));
  REQUIRE(::chmod(places.fast.c_str(), 0711) == 0);
  REQUIRE(::symlink(places.fast.c_str(), (places.directory + "/link-to-fast").c_str()) == 0);
  CHECK(says(places.refusal(places.acme, places.directory + "/link-to-fast"), "symbolic link"));
  CHECK(says(places.refusal(places.acme, places.directory + "/none"), "no such file"));
  if (places.host.privileged) {
    REQUIRE(::chown(places.fast.c_str(), 12'345, 12'345) == 0);
    CHECK(says(places.refusal(places.acme, places.fast), "belongs to uid 12345"));
    REQUIRE(::chown(places.fast.c_str(), 0, 0) == 0);
  }
  std::ofstream(places.fstab) << "/dev/none " << places.fast << " ext4 defaults 0 2\n";
  CHECK(says(places.refusal(places.acme, places.fast), "nothing is mounted on " + places.fast));
  CHECK_FALSE(is_there(places.at(places.fast, places.acme)));
  CHECK(places.prepare(places.acme, places.slow));
}
