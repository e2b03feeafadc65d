#include "shared/base/suggest.h"

#include <doctest/doctest.h>

#include <array>

using namespace tenantd;

TEST_CASE("the nearest word is offered only when it is near") {
  constexpr std::array<std::string_view, 3> words{"threshold", "fallback_route", "cpu"};
  CHECK(nearest_word("treshold", words) == "threshold");
  CHECK(nearest_word("cup", words) == "cpu");
  CHECK_FALSE(nearest_word("colour", words).has_value());
}
