// The histogram's figures and the report; the load itself runs in tests/integration/test_load.py.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "client/tenantctl/load/load_report.h"

using namespace tenantd;

TEST_CASE("percentiles are exact to 0.8 % over seven orders of magnitude") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  LoadHistogram histogram;
  std::vector<std::uint64_t> all;
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t ns = random() >> (24 + random() % 30);
    all.push_back(ns);
    histogram.record(ns);
  }
  std::sort(all.begin(), all.end());
  CHECK(histogram.min_ns() == all.front());
  CHECK(histogram.max_ns() == all.back());
  for (const double percent : {1.0, 50.0, 90.0, 99.0, 99.9}) {
    CAPTURE(percent);
    const auto rank = static_cast<std::size_t>(percent / 100 * static_cast<double>(all.size()));
    const auto exact = static_cast<double>(all[rank - 1]);
    const auto found = static_cast<double>(histogram.percentile_ns(percent));
    CHECK(found >= exact);
    CHECK(found <= exact * 1.008 + 1);
  }
  CHECK(histogram.percentile_ns(100) == all.back());
}

TEST_CASE("merged histograms are the histogram of all, and an empty one changes nothing") {
  LoadHistogram left;
  LoadHistogram right;
  left.record(1'000);
  right.record(5);
  right.record(9'000'000);
  left.merge(right);
  left.merge(LoadHistogram{});
  CHECK(left.count() == 3);
  CHECK(left.min_ns() == 5);
  CHECK(left.max_ns() == 9'000'000);
  CHECK(left.mean_ns() == doctest::Approx(3'000'335));
  const LoadHistogram empty;
  CHECK(empty.min_ns() == 0);
  CHECK(empty.percentile_ns(99) == 0);
}

TEST_CASE("what took longer than any bucket is not lost") {
  LoadHistogram histogram;
  histogram.record(~std::uint64_t{0});
  CHECK(histogram.percentile_ns(50) == ~std::uint64_t{0});
}

TEST_CASE("the report names failures, what was not sent, and where latency counts from") {
  LoadPlan plan;
  plan.tenant = "acme";
  plan.rate_per_second = 100;
  LoadResult result;
  result.answered = 50;
  result.elapsed_ns = 500'000'000;
  result.unsent = 3;
  result.errors["deadline_exceeded"] = 2;
  result.latency.record(1'000);
  const std::string text = load_text(plan, result);
  CHECK(text.find("open loop, 100 requests/s") != std::string::npos);
  CHECK(text.find("2 deadline_exceeded") != std::string::npos);
  CHECK(text.find("3 were due") != std::string::npos);
  CHECK(text.find("from when each was due") != std::string::npos);
  const Json json = load_json(plan, result);
  CHECK(json["failed"] == 2);
  CHECK(json["unsent"] == 3);
  CHECK(json["answered_per_second"] == 100.0);
  CHECK(json["latency_us"]["p50"] == 1.0);
}
