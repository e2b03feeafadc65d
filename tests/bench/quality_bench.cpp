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

void report(const char* name, const std::vector<RouteDefinition>& routes,
            const TenantSettings& tenant, const std::vector<LabelledQuery>& queries, bool text,
            bool embedding) {
  const std::vector<Answer> closed = ask(routes, tenant, queries, text, embedding);
  ReliabilityBins bins;
  for (const Answer& answer : closed) bins.add(answer.confidence, answer.right, 1);
  std::array<double, 3> open{};
  for (std::size_t way = 0; way < 3; ++way) {
    std::vector<RouteDefinition> kept;
    for (std::size_t r = 0; r < routes.size(); ++r) {
      if (r % 3 != way) kept.push_back(routes[r]);
    }
    const std::vector<Answer> answers = ask(kept, tenant, queries, text, embedding);
    open[0] += percent(answers, is_refused, is_stranger) / 3;
    open[1] += percent(answers, is_served, is_in_scope) / 3;
    open[2] += area_under_curve(answers) / 3;
  }
  std::printf("  %-28s %6.1f %8.1f %7.3f %9.1f %8.1f %7.3f\n", name,
              percent(closed, is_right, is_in_scope), percent(closed, is_served, is_in_scope),
              static_cast<double>(bins.expected_error()), open[0], open[1], open[2]);
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
