// Every kernel gives the same bits, and a bound from bytes is never below the fp32 product.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "tests/unit/worker/router/fixtures.h"
#include "worker/router/dot.h"
#include "worker/router/kernels/quantise.h"

using namespace tenantd;
using namespace tenantd::fixtures;

namespace kernels_test {

namespace {

// The definition of dot_rows(), word by word.
float defined_product(std::span<const float> a, std::span<const float> b) {
  float sums[16] = {};
  for (std::size_t j = 0; j < a.size(); ++j) {
    volatile float product = a[j] * b[j];  // rounded by itself
    sums[j % 16] += product;
  }
  for (std::size_t width = 8; width > 0; width /= 2) {
    for (std::size_t i = 0; i < width; ++i) sums[i] += sums[i + width];
  }
  return sums[0];
}

// Vectors that quantise badly or lie close together, normalised, in rows.
Matrix difficult_rows(std::mt19937& random, std::uint32_t dimension, std::size_t count) {
  Matrix rows(count, dimension);
  std::vector<float> base = random_vector(random, dimension);
  for (std::size_t r = 0; r < count; ++r) {
    std::vector<float> vector = base;
    switch (r % 8) {
      case 0:
        break;  // duplicates
      case 1:   // one float differs by one unit in the last place
        vector[random() % dimension] = std::nextafter(vector[0], 2.0F);
        break;
      case 2:  // one large float takes all the steps
        std::ranges::fill(vector, 1e-3F);
        vector[random() % dimension] = 1.0F;
        break;
      case 3:  // denormals beside a one
        std::ranges::fill(vector, std::numeric_limits<float>::denorm_min());
        vector[random() % dimension] = 1.0F;
        break;
      case 4:  // huge
        for (float& value : vector) value *= 1e37F;
        break;
      case 5:  // opposite
        for (float& value : vector) value = -value;
        break;
      case 6:  // every float in the middle between two steps
        for (std::size_t j = 0; j < vector.size(); ++j) {
          vector[j] = (static_cast<float>(random() % 127) + 0.5F) * (random() % 2 == 0 ? 1 : -1);
        }
        vector[0] = 127.0F;
        break;
      default:
        vector = random_vector(random, dimension);
    }
    REQUIRE(normalise(vector, rows.row(r)));
  }
  return rows;
}

// With two bytes a float of the query, and with one.
void check_all_kernels(std::mt19937& random, std::uint32_t dimension, std::size_t count, int kind) {
  CAPTURE(dimension);
  CAPTURE(count);
  CAPTURE(kind);
  const Matrix rows = difficult_rows(random, dimension, count);
  QuantisedRows quantised(count, dimension);
  for (std::size_t r = 0; r < count; ++r) quantised.set(r, rows.row(r));
  const Matrix queries = difficult_rows(random, dimension, 9);
  std::vector<QuantisedQuery> codes(queries.rows());
  std::vector<ScanQuery> views;
  for (std::size_t q = 0; q < queries.rows(); ++q) {
    codes[q].set(queries.row(q));
    views.push_back(kind == 0 ? codes[q].view() : codes[q].coarse());
  }
  std::vector<std::vector<float>> first_bounds;
  for (const Kernels* kernels : runnable_kernels()) {
    CAPTURE(kernels->name);
    std::vector<std::vector<float>> batch(queries.rows(), std::vector<float>(count + 16));
    std::vector<float*> outputs;
    for (auto& bounds : batch) outputs.push_back(bounds.data());
    kernels->scan_batch(views, quantised.view(), outputs.data());
    for (std::size_t q = 0; q < queries.rows(); ++q) {
      std::vector<float> products(count);
      kernels->dot_rows(queries.row(q).data(), rows.data(), count, rows.stride(), products.data());
      std::vector<float> bounds(count + 16);
      kernels->scan(views[q], quantised.view(), bounds.data());
      bounds.resize(count);
      batch[q].resize(count);
      bool all_right = batch[q] == bounds;
      for (std::size_t r = 0; r < count; ++r) {
        all_right = all_right && products[r] == defined_product(queries.row(q), rows.row(r)) &&
                    bounds[r] >= products[r];
      }
      CHECK(all_right);
      CHECK(kernels->largest(bounds.data(), count) == *std::ranges::max_element(bounds));
      if (first_bounds.size() == q) first_bounds.push_back(bounds);
      CHECK(first_bounds[q] == bounds);
      // Of runs of rows that begin and end anywhere.
      std::vector<std::uint32_t> starts{0, 0};
      while (starts.back() < count) {
        starts.push_back(std::min(starts.back() + static_cast<std::uint32_t>(random() % 20),
                                  static_cast<std::uint32_t>(count)));
      }
      std::vector<float> found(starts.size() - 1);
      kernels->largest_of_each(bounds.data(), starts.data(), found.size(), found.data());
      for (std::size_t i = 0; i < found.size(); ++i) {
        const auto run = std::span(bounds).subspan(starts[i], starts[i + 1] - starts[i]);
        CHECK(found[i] == (run.empty() ? 0.0F : *std::ranges::max_element(run)));
        if (run.empty()) continue;
        std::vector<float> again(run.size() + 16);
        kernels->scan(views[q], quantised.view(starts[i], starts[i + 1]), again.data());
        CHECK(std::ranges::equal(run, std::span(again).first(run.size())));
      }
    }
  }
}

void check_all_kernels(std::mt19937& random, std::uint32_t dimension, std::size_t count) {
  for (const int kind : {0, 1}) check_all_kernels(random, dimension, count, kind);
}

}  // namespace

TEST_CASE("kernels give the same bits and sound bounds, for all dimensions") {
  std::mt19937 random(11);
  for (std::uint32_t dimension = 1; dimension <= 200; ++dimension) {
    check_all_kernels(random, dimension, 1 + random() % 40);
  }
  for (const std::uint32_t dimension : {255U, 256U, 257U, 383U, 384U, 385U, 768U, 1000U, 1023U,
                                        1024U, 1536U, 3072U, 4095U, 8191U, 8192U}) {
    check_all_kernels(random, dimension, 1 + random() % 12);
  }
  for (int i = 0; i < 12; ++i) {
    check_all_kernels(random, 200 + static_cast<std::uint32_t>(random() % 7990), 5);
  }
}

TEST_CASE("queries are split alike, and their bytes add up") {
  std::mt19937 random(14);
  for (std::size_t count = 0; count <= scan_block; count += 1 + random() % 9) {
    std::vector<float> values(count);
    for (float& value : values) {
      value = static_cast<float>(static_cast<int>(random() % 40'001) - 20'000) / 20'000.0F;
    }
    const float steps = 16'256.0F * (1 + static_cast<float>(random() % 3) * 1e-4F);
    std::vector<std::vector<int>> first;
    for (const Kernels* kernels : runnable_kernels()) {
      std::vector<std::int16_t> fine(count + 1);
      std::vector<std::int16_t> coarse(count + 1);
      std::vector<std::int8_t> high(count + 1);
      std::vector<std::int8_t> low(count + 1);
      const SplitSums sums = kernels->split(values.data(), count, steps,
                                            {fine.data(), coarse.data(), high.data(), low.data()});
      SplitSums expected;
      float largest = 0;
      for (std::size_t j = 0; j < count; ++j) {
        CHECK(fine[j] == 128 * high[j] + low[j]);
        CHECK(coarse[j] == high[j]);
        const float wanted = std::clamp(values[j] * steps, -16'256.0F, 16'256.0F);
        CHECK(std::abs(static_cast<float>(fine[j]) - wanted) <= 0.51F);
        expected.fine += fine[j];
        expected.coarse += coarse[j];
        expected.rest_squares += low[j] * low[j];
        largest = std::max(largest, std::abs(values[j]));
      }
      CHECK(sums.fine == expected.fine);
      CHECK(sums.coarse == expected.coarse);
      CHECK(sums.rest_squares == expected.rest_squares);
      CHECK(kernels->largest_magnitude(values.data(), count) == largest);
      if (first.empty()) first.emplace_back(fine.begin(), fine.end());
      CHECK(std::ranges::equal(first[0], fine));
    }
  }
}

TEST_CASE("bounds are close enough to be of use") {
  std::mt19937 random(12);
  constexpr std::uint32_t dimension = 384;
  Matrix rows(64, dimension);
  QuantisedRows quantised(64, dimension);
  for (std::size_t r = 0; r < 64; ++r) {
    REQUIRE(normalise(random_vector(random, dimension), rows.row(r)));
    quantised.set(r, rows.row(r));
  }
  QuantisedQuery query;
  query.set(rows.row(0));
  std::vector<float> bounds(80);
  best_kernels().scan(query.view(), quantised.view(), bounds.data());
  for (std::size_t r = 0; r < 64; ++r) {
    CHECK(bounds[r] < defined_product(rows.row(0), rows.row(r)) + 0.02F);
  }
  // A byte a float, and two floats a row.
  CHECK(quantised.memory_bytes() == 64 * (384 + 8));
}

TEST_CASE("the largest of few and of many values") {
  std::mt19937 random(13);
  for (std::size_t count = 1; count <= 70; ++count) {
    std::vector<float> values(count);
    for (float& value : values) value = static_cast<float>(random() % 1000) - 2000.0F;
    for (const Kernels* kernels : runnable_kernels()) {
      CHECK(kernels->largest(values.data(), count) == *std::ranges::max_element(values));
    }
  }
}

}  // namespace kernels_test
