#include "client/tenantctl/analyse/fit.h"

#include <doctest/doctest.h>

#include <random>

using namespace tenantd;

namespace {

constexpr std::uint32_t routes = 4;

FitPlan plan_of(float threshold) {
  FitPlan plan;
  plan.threshold = threshold;
  plan.route_thresholds.resize(routes);
  return plan;
}

// Right answers in `route` have a confidence in [low, 1], strangers that look like it one below.
void plant(std::vector<FitQuestion>& questions, std::uint32_t route, float low, int count,
           std::mt19937& random) {
  std::uniform_real_distribution<float> above(low, 1.0F);
  std::uniform_real_distribution<float> below(0.0F, low - 0.1F);
  for (int i = 0; i < count; ++i) {
    const auto group = static_cast<std::uint32_t>(questions.size());
    questions.push_back({route, 1, group, {{route, above(random)}}});
    questions.push_back({no_route, 1, group, {{route, below(random)}}});
  }
}

std::vector<FitQuestion> random_questions(std::mt19937& random, std::size_t candidates) {
  std::uniform_real_distribution<float> share(0, 1);
  std::vector<FitQuestion> questions;
  const std::size_t count = 20 + random() % 200;
  const float skill = share(random);
  for (std::size_t i = 0; i < count; ++i) {
    FitQuestion question;
    question.expected = share(random) < 0.7F ? random() % routes : no_route;
    question.group = static_cast<std::uint32_t>(i / 2);
    question.weight = question.expected == no_route ? 0.25 : 1;
    for (std::size_t c = 0; c < candidates; ++c) {
      const bool right = question.expected != no_route && share(random) < skill;
      const std::uint32_t route = right ? question.expected : random() % routes;
      question.answers.push_back({route, share(random) * (right ? 1.0F : 0.9F)});
    }
    questions.push_back(std::move(question));
  }
  return questions;
}

}  // namespace

TEST_CASE("the threshold that separates is found, in the middle of the gap") {
  std::mt19937 random(11);
  std::vector<FitQuestion> questions;
  for (std::uint32_t route = 0; route < routes; ++route) plant(questions, route, 0.4F, 60, random);
  const FitResult fitted = fit_plan(questions, plan_of(0.8F), {});
  REQUIRE(fitted.is_better);
  CHECK(fitted.plan.threshold > 0.29F);
  CHECK(fitted.plan.threshold <= 0.41F);
  CHECK(fitted.after.accuracy() > 0.98);
  CHECK(fitted.before.accuracy() < 0.9);
  CHECK(fitted.gain_low > 0);
  CHECK(fitted.gain == doctest::Approx(fitted.after.accuracy() - fitted.before.accuracy()));
  // At that threshold nothing is to gain: the plan stays, to the bit.
  const FitResult again = fit_plan(questions, fitted.plan, {});
  CHECK_FALSE(again.is_better);
  CHECK(again.plan == fitted.plan);
}

TEST_CASE("a route whose confidences lie elsewhere gets a threshold of its own") {
  std::mt19937 random(12);
  std::vector<FitQuestion> questions;
  for (std::uint32_t route = 0; route + 1 < routes; ++route) {
    plant(questions, route, 0.5F, 60, random);
  }
  plant(questions, routes - 1, 0.9F, 60, random);
  const FitResult fitted = fit_plan(questions, plan_of(0.45F), {});
  REQUIRE(fitted.is_better);
  CHECK(fitted.plan.threshold >= 0.39F);
  CHECK(fitted.plan.threshold <= 0.51F);
  REQUIRE(fitted.plan.route_thresholds[routes - 1]);
  CHECK(*fitted.plan.route_thresholds[routes - 1] > 0.79F);
  CHECK(*fitted.plan.route_thresholds[routes - 1] <= 0.91F);
  for (std::uint32_t route = 0; route + 1 < routes; ++route) {
    CHECK_FALSE(fitted.plan.route_thresholds[route]);
  }
}

TEST_CASE("a threshold of 0 is one: it answers everything") {
  FitPlan plan = plan_of(0.5F);
  plan.route_thresholds[1] = 0.0F;
  CHECK_FALSE(falls_back(plan, {1, 0.0F}));
  CHECK(falls_back(plan, {0, 0.49F}));
  CHECK_FALSE(falls_back(plan, {0, 0.5F}));
  CHECK(falls_back(plan, {no_route, 1.0F}));
  // All is in scope and right: nothing may be refused, and the route's own 0 stays.
  std::vector<FitQuestion> questions;
  for (std::uint32_t i = 0; i < 100; ++i) {
    questions.push_back({1, 1, i, {{1, 0.001F * static_cast<float>(i)}}});
  }
  const FitResult kept = fit_plan(questions, plan, {});
  CHECK(kept.plan == plan);
  CHECK(kept.before.in_scope_accuracy() == 1);
}

TEST_CASE("a way of scoring that finds more is proposed, one that does by chance is not") {
  std::mt19937 random(13);
  std::vector<FitQuestion> questions;
  for (std::uint32_t i = 0; i < 300; ++i) {
    const std::uint32_t route = i % routes;
    const FitAnswer right{route, 0.9F};
    const FitAnswer wrong{(route + 1) % routes, 0.9F};
    const auto found = [&](std::uint32_t percent) {
      return random() % 100 < percent ? right : wrong;
    };
    questions.push_back({route, 1, i, {found(70), found(70), found(90)}});
  }
  const FitResult fitted = fit_plan(questions, plan_of(0.5F), {});
  CHECK(fitted.is_better);
  CHECK(fitted.plan.candidate == 2);
  for (FitQuestion& question : questions) question.answers.pop_back();
  CHECK_FALSE(fit_plan(questions, plan_of(0.5F), {}).is_better);
}

TEST_CASE("a wanted recall of what is out of scope is reached, at the least cost") {
  std::mt19937 random(14);
  std::uniform_real_distribution<float> share(0, 1);
  std::vector<FitQuestion> questions;
  for (std::uint32_t i = 0; i < 800; ++i) {
    // Overlapping: in scope rises with confidence, out of scope falls.
    const float high = std::max(share(random), share(random));
    const float low = std::min(share(random), share(random));
    questions.push_back({i % routes, 1, i, {{i % routes, high}}});
    questions.push_back({no_route, 1, i, {{i % routes, low}}});
  }
  FitOptions options;
  options.out_of_scope_recall = 0.9;
  const FitResult fitted = fit_plan(questions, plan_of(0.2F), options);
  REQUIRE(fitted.is_better);
  CHECK(fitted.after.out_of_scope_recall() > 0.87);
  CHECK(fitted.after.out_of_scope_recall() < 0.94);
  // P(low > t) = (1-t)² = 0.1 at t = 0.68.
  CHECK(fitted.plan.threshold == doctest::Approx(0.68).epsilon(0.06));
}

TEST_CASE("for any questions: never worse, and the same for the same seed") {
  for (std::uint32_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    const auto questions = random_questions(random, 1 + seed % 3);
    FitPlan current = plan_of(0.01F * static_cast<float>(random() % 101));
    if (seed % 2 == 0) current.route_thresholds[seed % routes] = 0.0F;
    FitOptions options;
    options.seed = seed;
    if (seed % 5 == 0) options.out_of_scope_recall = 0.8;
    const FitResult fitted = fit_plan(questions, current, options);
    CHECK(fitted.plan == fit_plan(questions, current, options).plan);
    if (!fitted.is_better) {
      CHECK(fitted.plan == current);
    } else if (!options.out_of_scope_recall) {
      CHECK(fitted.after.accuracy() > fitted.before.accuracy());
      CHECK(fitted.gain_low > 0);
    } else {
      const bool more = fitted.after.in_scope_accuracy() > fitted.before.in_scope_accuracy();
      const bool nearer = fitted.after.out_of_scope_recall() > fitted.before.out_of_scope_recall();
      CHECK((more || nearer));
    }
  }
}

TEST_CASE("noise is not fitted: of many tenants nobody can help, few get a proposal") {
  int proposed = 0;
  for (std::uint32_t seed = 100; seed < 200; ++seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> share(0, 1);
    std::vector<FitQuestion> questions;
    for (std::uint32_t i = 0; i < 200; ++i) {
      FitQuestion question{static_cast<std::uint32_t>(random() % routes), 1, i, {}};
      for (int c = 0; c < 10; ++c) {
        question.answers.push_back(
            {share(random) < 0.7F ? question.expected : (question.expected + 1) % routes,
             0.5F + share(random) / 2});
      }
      questions.push_back(std::move(question));
    }
    FitOptions options;
    options.seed = seed;
    proposed += fit_plan(questions, plan_of(0.5F), options).is_better ? 1 : 0;
  }
  CHECK(proposed <= 12);
}

TEST_CASE("without questions nothing changes") {
  CHECK(fit_plan({}, plan_of(0.3F), {}).plan == plan_of(0.3F));
  const std::vector<FitQuestion> one{{0, 1, 0, {{0, 0.1F}}}};
  CHECK(fit_plan(one, plan_of(0.3F), {}).plan == plan_of(0.3F));
}
