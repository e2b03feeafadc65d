// Which vectors are refused: those with a float that is none, and those without a direction.
#include "worker/router/validate.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/unit/worker/router/fixtures.h"
#include "worker/router/dot.h"

using namespace tenantd;

TEST_CASE("a vector is refused exactly if a float is not finite or its length is next to nothing") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
  constexpr float specials[] = {infinity,  -infinity, not_a_number, -not_a_number, 0.0F,
                                -0.0F,     1e-45F,    1e-16F,       9.99e-16F,     1e-15F,
                                1.01e-15F, -2e-15F,   3e38F};
  std::mt19937 random(17);
  std::size_t accepted = 0;
  std::size_t refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::size_t size = 1 + random() % 40;
    std::vector<float> vector(size, 0.0F);
    for (std::size_t n = random() % 4; n > 0; --n) {
      vector[random() % size] = specials[random() % std::size(specials)];
    }
    if (i % 3 == 0) {
      for (float& value : vector) value += specials[6 + random() % 6];
    }
    const double squares = sum_of_squares(vector);
    const bool good = std::isfinite(squares) && squares >= 1e-30;
    CAPTURE(squares);
    REQUIRE(validate_vector(vector, static_cast<std::uint32_t>(size)).has_value() == good);
    ++(good ? accepted : refused);
  }
  CHECK(accepted > 1000);
  CHECK(refused > 1000);
}
