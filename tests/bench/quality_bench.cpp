// How well routes are found, on real sentences: default settings, each aggregation, the built-in
// encoder; and, with every third route taken away, how well texts are told that belong nowhere.
//
// `quality_bench DIRECTORY`: data sets NAME.tsv with NAME.d384.f32. Nothing is fitted to queries.
// Columns: accuracy of the best route, answered or not; with the default threshold of 0.5: queries
// that got their own route, expected calibration error; then with a third of the routes taken away
// (mean of three ways): out-of-scope queries that got the fallback, queries that got their own
// route, and the area under the ROC curve of confidence as a test for being in scope.
#include <algorithm>
#include <cstdio>
#include <random>

#include "tests/unit/worker/router/banking_data.h"
#include "tests/unit/worker/router/fixtures.h"
#include "worker/router/reliability.h"

using namespace tenantd;
using namespace tenantd::fixtures;

namespace {

struct Answer {
  float confidence;
  bool right;
  bool in_scope;
};

std::vector<Answer> ask(const std::vector<RouteDefinition>& routes, const TenantSettings& tenant,
                        const std::vector<LabelledQuery>& queries, bool text, bool embedding) {
  const SnapshotPtr current = snapshot(routes, tenant);
  TenantRouter router(TenantId::parse("acme").value(), current);
  const TenantBinding acme = binding("acme");
  std::vector<Answer> answers;
  for (const LabelledQuery& labelled : queries) {
    RouteQuery query;
    if (text) query.text = labelled.text;
    if (embedding) query.embedding = labelled.embedding;
    query.alternatives_limit = 1;
    const auto decision = router.route(acme.context(), query);
    if (!decision || (decision->is_fallback && decision->alternatives.empty())) continue;
    const std::string& best =
        decision->is_fallback ? decision->alternatives.front().route : decision->route;
    answers.push_back({decision->confidence, best == labelled.route,
                       current->set->find(labelled.route).has_value()});
  }
  return answers;
}

double percent(const std::vector<Answer>& answers, bool (*counts)(const Answer&),
               bool (*of)(const Answer&)) {
  double all = 0;
  double some = 0;
  for (const Answer& answer : answers) {
    if (!of(answer)) continue;
    all += 1;
    some += counts(answer) ? 1 : 0;
  }
  return all > 0 ? 100 * some / all : 0;
}

bool is_in_scope(const Answer& answer) { return answer.in_scope; }
bool is_stranger(const Answer& answer) { return !answer.in_scope; }
bool is_right(const Answer& answer) { return answer.right; }
bool is_served(const Answer& answer) { return answer.right && answer.confidence >= 0.5F; }
bool is_refused(const Answer& answer) { return answer.confidence < 0.5F; }

double area_under_curve(std::vector<Answer> answers) {
  std::ranges::sort(answers, {}, &Answer::confidence);
  double strangers = 0;
  double sum = 0;
  double count = 0;
  for (const Answer& answer : answers) {
    if (!answer.in_scope) {
      strangers += 1;
      continue;
    }
    sum += strangers;
    count += 1;
  }
  return strangers * count > 0 ? sum / strangers / count : 0;
}

// Queries in scope that got their own route, at the confidence that refuses nine strangers of ten.
double served_at_nine_tenths(const std::vector<Answer>& answers) {
  std::vector<float> strangers;
  for (const Answer& answer : answers) {
    if (!answer.in_scope) strangers.push_back(answer.confidence);
  }
  if (strangers.empty()) return 0;
  std::ranges::sort(strangers);
  const float bar = strangers[std::min(strangers.size() * 9 / 10, strangers.size() - 1)];
  double all = 0;
  double served = 0;
  for (const Answer& answer : answers) {
    if (!answer.in_scope) continue;
    all += 1;
    served += answer.right && answer.confidence > bar ? 1 : 0;
  }
  return all > 0 ? 100 * served / all : 0;
}

void report(const char* name, const std::vector<RouteDefinition>& routes,
            const TenantSettings& tenant, const std::vector<LabelledQuery>& queries, bool text,
            bool embedding) {
  const std::vector<Answer> closed = ask(routes, tenant, queries, text, embedding);
  ReliabilityBins bins;
  for (const Answer& answer : closed) bins.add(answer.confidence, answer.right, 1);
  std::array<double, 4> open{};
  for (std::size_t way = 0; way < 3; ++way) {
    std::vector<RouteDefinition> kept;
    for (std::size_t r = 0; r < routes.size(); ++r) {
      if (r % 3 != way) kept.push_back(routes[r]);
    }
    const std::vector<Answer> answers = ask(kept, tenant, queries, text, embedding);
    open[0] += percent(answers, is_refused, is_stranger) / 3;
    open[1] += percent(answers, is_served, is_in_scope) / 3;
    open[2] += area_under_curve(answers) / 3;
    open[3] += served_at_nine_tenths(answers) / 3;
  }
  std::printf("  %-28s %6.1f %8.1f %7.3f %9.1f %8.1f %7.3f %8.1f\n", name,
              percent(closed, is_right, is_in_scope), percent(closed, is_served, is_in_scope),
              static_cast<double>(bins.expected_error()), open[0], open[1], open[2], open[3]);
}

// `count` routes of `routes` with `utterances` each.
std::vector<RouteDefinition> some_of(const std::vector<RouteDefinition>& routes, std::size_t count,
                                     std::size_t utterances, std::mt19937& random) {
  std::vector<RouteDefinition> some;
  std::ranges::sample(routes, std::back_inserter(some), static_cast<std::ptrdiff_t>(count), random);
  for (RouteDefinition& route : some) {
    std::ranges::shuffle(route.utterances, random);
    route.utterances.resize(std::min(utterances, route.utterances.size()));
  }
  return some;
}

// Tenants as they begin: few routes of few utterances. Strangers are the queries of all other
// routes; `same`: confidence in utterances that are asked as they stand, on average.
void report_small(const char* name, const std::vector<RouteDefinition>& routes,
                  const TenantSettings& tenant, const std::vector<LabelledQuery>& queries,
                  bool embedding) {
  constexpr std::size_t rounds = 10;
  constexpr std::array<std::array<std::size_t, 2>, 7> sizes{
      {{2, 3}, {3, 3}, {3, 5}, {5, 3}, {8, 5}, {10, 10}, {20, 12}}};
  for (const auto& [count, utterances] : sizes) {
    std::mt19937 random(7);
    std::array<double, 7> mean{};
    ReliabilityBins bins;
    for (std::size_t round = 0; round < rounds; ++round) {
      const auto some = some_of(routes, count, utterances, random);
      const auto answers = ask(some, tenant, queries, true, embedding);
      std::vector<LabelledQuery> same;
      for (const RouteDefinition& route : some) {
        for (const Utterance& own : route.utterances) {
          same.push_back({route.id, own.text, own.embedding});
        }
      }
      float sum = 0;
      for (const Answer& answer : ask(some, tenant, same, true, embedding)) {
        sum += answer.confidence;
      }
      for (const Answer& answer : answers) {
        if (answer.in_scope) bins.add(answer.confidence, answer.right, 1);
      }
      mean[0] += percent(answers, is_right, is_in_scope);
      mean[1] += percent(answers, is_served, is_in_scope);
      mean[2] += percent(answers, is_refused, is_stranger);
      mean[3] += area_under_curve(answers);
      mean[4] += served_at_nine_tenths(answers);
      mean[5] += static_cast<double>(sum) / static_cast<double>(same.size());
    }
    for (double& value : mean) value /= rounds;
    std::printf("  %-20s %2zu x %2zu %6.1f %8.1f %7.3f %9.1f %8.2f %7.3f %8.1f\n", name, count,
                utterances, mean[0], mean[1], static_cast<double>(bins.expected_error()), mean[2],
                mean[5], mean[3], mean[4]);
  }
}

void report_set(const std::string& directory, const char* name) {
  const BankingData data = read_labelled_data(directory + '/' + name);
  if (data.queries.empty()) {
    std::printf("%s: skipped, not in %s\n", name, directory.c_str());
    return;
  }
  std::printf("%s: %zu routes, %zu queries\n  %-28s %6s %8s %7s %9s %8s %7s\n", name,
              data.routes.size(), data.queries.size(), "", "right", "served", "ECE", "refused",
              "served", "AUROC");
  const auto report_dense = [&](const char* how, Aggregation aggregation) {
    TenantSettings tenant = settings(384, "potion");
    tenant.router.aggregation = aggregation;
    tenant.router.lexical_weight = 0;
    report(how, data.routes, tenant, data.queries, false, true);
  };
  report_dense("embeddings, max", Aggregation::max);
  report_dense("embeddings, top 3", Aggregation::top_k_mean);
  report_dense("embeddings, centroid", Aggregation::centroid);
  report_dense("embeddings, auto", Aggregation::automatic);
  report("embeddings and words, auto", data.routes, settings(384, "potion"), data.queries, true,
         true);
  std::vector<RouteDefinition> hashed;
  for (const RouteDefinition& route : data.routes) {
    std::vector<std::string> texts;
    for (const Utterance& utterance : route.utterances) texts.push_back(utterance.text);
    hashed.push_back(text_route(route.id, texts, 384));
  }
  report("text, built-in encoder", hashed, settings(384), data.queries, true, false);
  std::printf("  %-28s %6s %8s %7s %9s %8s %7s %8s\n", "small tenants", "right", "served", "ECE",
              "refused", "same", "AUROC", "at 90 %");
  report_small("embeddings and words", data.routes, settings(384, "potion"), data.queries, true);
  report_small("built-in encoder", hashed, settings(384), data.queries, false);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: quality_bench DIRECTORY\n");
    return 2;
  }
  report_set(argv[1], "banking77_dev_potion");
  report_set(argv[1], "capdocs_minilm");
  return 0;
}
