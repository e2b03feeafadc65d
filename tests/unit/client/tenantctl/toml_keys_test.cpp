#include "client/tenantctl/routes/toml_keys.h"

#include <doctest/doctest.h>

#include <array>

using namespace tenantd;

namespace {

const std::array<TomlKey, 2> keys{{{"threshold", "0.6"}, {"dense_weight", "0.5"}}};

std::string changed(std::string_view text) {
  const auto out = set_toml_keys(text, "router", keys);
  REQUIRE(out);
  return *out;
}

}  // namespace

TEST_CASE("keys are changed where they stand, comments stay") {
  CHECK(changed("# mine\nplan = \"premium\"\n\n[router]  # here\n  threshold   = 0.4 # low\n"
                "fallback_route = \"a # b\"\n\n[resources]\nthreshold = 1\n") ==
        "# mine\nplan = \"premium\"\n\n[router]  # here\n  threshold   = 0.6 # low\n"
        "fallback_route = \"a # b\"\ndense_weight = 0.5\n\n[resources]\nthreshold = 1\n");
}

TEST_CASE("a section or a last newline that is missing is added") {
  CHECK(changed("plan = \"premium\"") ==
        "plan = \"premium\"\n\n[router]\nthreshold = 0.6\ndense_weight = 0.5\n");
  CHECK(changed("") == "[router]\nthreshold = 0.6\ndense_weight = 0.5\n");
  CHECK(changed("[router]") == "[router]\nthreshold = 0.6\ndense_weight = 0.5\n");
}

TEST_CASE("doing it twice changes nothing more") {
  const std::string once = changed("[router]\n# threshold = 0.1\nthreshold = 0.2\n");
  CHECK(changed(once) == once);
  CHECK(once == "[router]\n# threshold = 0.1\nthreshold = 0.6\ndense_weight = 0.5\n");
}

TEST_CASE("what might be read in another way is refused, with its line") {
  for (const char* text :
       {"router.threshold = 0.3\n", "router = { threshold = 0.3 }\n",
        "[router]\nthreshold = 0.1\n[router]\n", "[router]\nthreshold = 0.1\nthreshold = 0.2\n",
        "[router]\ndescription = \"\"\"\nthreshold = 1\n\"\"\"\n",
        "[router]\nx = [\n  [\"a\", \"b\"],\n]\nthreshold = 0.1\n",
        "[router]\nthreshold = [\n0.1]\n"}) {
    CAPTURE(text);
    const auto out = set_toml_keys(text, "router", keys);
    REQUIRE_FALSE(out);
    CHECK(out.error().code == ErrorCode::unsupported);
    CHECK(out.error().line > 0);
  }
}
