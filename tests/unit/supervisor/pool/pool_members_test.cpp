// Who may have data in the pool is known to the next supervisor.
#include "supervisor/pool/pool_members.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

using namespace tenantd;

namespace {

struct StateDirectory {
  StateDirectory() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~StateDirectory() { std::filesystem::remove_all(path); }
  std::string path = "/tmp/tenantd-members-XXXXXX";
};

TenantId id_of(const std::string& name) { return TenantId::parse(name).value(); }

}  // namespace

TEST_CASE("members are remembered until they are removed") {
  const StateDirectory state;
  CHECK(PoolMembers(state.path).all().empty());
  CHECK_FALSE(PoolMembers(state.path).has(id_of("acme")));
  REQUIRE(PoolMembers(state.path).add(id_of("acme")));
  REQUIRE(PoolMembers(state.path).add(id_of("acme")));  // once more, by the next supervisor
  REQUIRE(PoolMembers(state.path).add(id_of("globex")));
  CHECK(PoolMembers(state.path).all().size() == 2);
  PoolMembers(state.path).remove(id_of("acme"));
  PoolMembers(state.path).remove(id_of("nobody"));
  CHECK_FALSE(PoolMembers(state.path).has(id_of("acme")));
  CHECK(PoolMembers(state.path).has(id_of("globex")));
  CHECK(PoolMembers(state.path).all() == std::vector<TenantId>{id_of("globex")});
}

TEST_CASE("a file that cannot be made is an error") {
  const StateDirectory state;
  std::filesystem::create_symlink("/nowhere", state.path + "/pool-members");
  CHECK_FALSE(PoolMembers(state.path).add(id_of("acme")));
}
