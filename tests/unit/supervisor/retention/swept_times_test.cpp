#include "supervisor/retention/swept_times.h"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>

#include "tests/unit/supervisor/retention/sweep_fixture.h"

namespace tenantd::test {

namespace {
bool nobody(const TenantId&) { return false; }
}  // namespace

TEST_CASE("what was said is known to the next supervisor") {
  const TimesFile file;
  {
    SweptTimes times(file.path());
    CHECK(times.last_s(named("acme")) == 0);
    REQUIRE(times.set(named("acme"), 1000, nobody));
    REQUIRE(times.set(named("globex"), 2000, nobody));
    REQUIRE(times.set(named("acme"), 3000, nobody));
  }
  const SweptTimes times(file.path());
  CHECK(times.last_s(named("acme")) == 3000);
  CHECK(times.last_s(named("globex")) == 2000);
  CHECK(times.last_s(named("initech")) == 0);
}

TEST_CASE("the file does not grow with tenants that are gone") {
  const TimesFile file;
  SweptTimes times(file.path());
  for (int i = 0; i < 50; ++i) {
    REQUIRE(times.set(named("t" + std::to_string(i)), 7,
                      [i](const TenantId& id) { return id != named("t" + std::to_string(i)); }));
  }
  std::ifstream read(file.path());
  CHECK(std::string(std::istreambuf_iterator<char>(read), {}) == "t49 7\n");
}

TEST_CASE("lines that nobody has written are left out, the others hold") {
  const TimesFile file;
  std::ofstream(file.path())
      << "acme 5\nno-time\nglobex 12x\n../up 9\n\ninitech 99999999999999999999\n"
      << "umbrella 6\n";
  const SweptTimes times(file.path());
  CHECK(times.last_s(named("acme")) == 5);
  CHECK(times.last_s(named("umbrella")) == 6);
  for (const char* id : {"no-time", "globex", "initech"}) CHECK(times.last_s(named(id)) == 0);
}

TEST_CASE("a file that cannot be written is an error, and the time is known nonetheless") {
  SweptTimes times("/nonexistent/directory/times");
  CHECK_FALSE(times.set(named("acme"), 5, nobody));
  CHECK(times.last_s(named("acme")) == 5);
}

}  // namespace tenantd::test
