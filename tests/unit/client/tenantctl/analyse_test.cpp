// Labelled queries, measures and lint: each against values worked out by hand.
#include <doctest/doctest.h>

#include <cmath>
#include <sstream>
#include <tuple>

#include "client/tenantctl/analyse/analysis_report.h"
#include "client/tenantctl/analyse/labelled_queries.h"

using namespace tenantd;

namespace {

Error refusal(const std::string& text) {
  std::istringstream in(text);
  const auto queries = read_labelled_queries(in, "q.tsv");
  REQUIRE_FALSE(queries);
  return queries.error();
}

std::vector<JudgedQuery> judged() {
  return {{"a", "a", "a", 0.95}, {"a", "a", "a", 0.85}, {"a", "b", "b", 0.75},
          {"b", "b", "b", 0.65}, {"b", "", "b", 0.25},  {"", "", "a", 0.15},
          {"", "a", "a", 0.75}};
}

// Unit vectors in a plane, by angle in degrees.
LintUtterance at(std::uint32_t route, double degrees, const std::string& text) {
  const double radians = degrees * 3.14159265358979 / 180;
  return {
      route, text, {static_cast<float>(std::cos(radians)), static_cast<float>(std::sin(radians))}};
}

std::vector<std::string> lines_of(const std::vector<LintFinding>& findings) {
  std::vector<std::string> lines;
  for (const LintFinding& finding : findings) {
    lines.push_back(std::string(lint_kind_name(finding.kind)) + " " + finding.route + " " +
                    finding.other + " " + finding.utterance);
  }
  return lines;
}

}  // namespace

TEST_CASE("queries come as TSV or JSON lines, mixed, with comments") {
  std::istringstream in(
      "# a comment\n"
      "where is my parcel\tshipping\r\n"
      "\n"
      "what is love\t-\n"
      "{\"text\": \"refund\", \"route\": \"billing\"}\n"
      "{\"embedding\": [0.5, -1], \"route\": null}\n");
  const auto queries = read_labelled_queries(in, "q");
  REQUIRE(queries);
  REQUIRE(queries->size() == 4);
  CHECK((*queries)[0].text == "where is my parcel");
  CHECK((*queries)[0].route == "shipping");
  CHECK((*queries)[1].route.empty());
  CHECK((*queries)[2].route == "billing");
  CHECK((*queries)[3].embedding == std::vector<float>{0.5F, -1.0F});
  CHECK((*queries)[3].route.empty());
}

TEST_CASE("a wrong line is refused with file, line and field") {
  for (const auto& [text, line, field] : {std::tuple{"a\tb\nno tab\n", 2U, ""},
                                          {"a\tb\tc\n", 1U, ""},
                                          {"a\t\n", 1U, "route"},
                                          {"\tb\n", 1U, "text"},
                                          {"{\"text\": 1}\n", 1U, "text"},
                                          {"{\"txet\": \"a\"}\n", 1U, "txet"},
                                          {"{\"embedding\": [\"x\"]}\n", 1U, "embedding"},
                                          {"{broken\n", 1U, ""},
                                          {"{\"route\": \"a\"}\n", 1U, "text"},
                                          {"# nothing\n", 0U, ""}}) {
    CAPTURE(text);
    const Error error = refusal(text);
    CHECK(error.code == ErrorCode::invalid_argument);
    CHECK(error.file == "q.tsv");
    CHECK(error.line == line);
    CHECK(error.field == field);
    CHECK_FALSE(error.hint.empty());
  }
}

TEST_CASE("measures are those of the textbook") {
  const Evaluation found = evaluate(judged());
  CHECK(found.in_scope == 5);
  CHECK(found.out_of_scope == 2);
  CHECK(found.right == 4);
  CHECK(found.in_scope_right == 3);
  CHECK(found.closed_set_right == 4);
  CHECK(found.out_of_scope_found == 1);
  CHECK(found.routes.at("a").precision() == doctest::Approx(2.0 / 3));
  CHECK(found.routes.at("a").recall() == doctest::Approx(2.0 / 3));
  CHECK(found.routes.at("b").precision() == doctest::Approx(0.5));
  CHECK(found.routes.at("b").f1() == doctest::Approx(0.5));
  // 10 pairs: 0.15 is below all five, 0.75 below two, level with one, above two.
  CHECK(found.auroc == doctest::Approx((5 + 2 + 0.5) / 10));
  // |0.95-1| + |0.85-1| + 2·|0.75-0| + |0.65-1| + |0.25-1| + |0.15-0|, all over 7
  CHECK(found.calibration_error == doctest::Approx((0.05 + 0.15 + 1.5 + 0.35 + 0.75 + 0.15) / 7));
  const auto worst = worst_confusions(found, 2);
  REQUIRE(worst.size() == 2);
  CHECK(worst[0].first == std::pair<std::string, std::string>("", "a"));
  CHECK(found.confusions.size() == 3);
}

TEST_CASE("measures of one kind alone are no division by zero") {
  const std::vector<JudgedQuery> inside = {{"a", "a", "a", 1.0}};
  CHECK(evaluate(inside).auroc == 0);
  CHECK(evaluate(inside).calibration_error == doctest::Approx(0));
  const std::vector<JudgedQuery> outside = {{"", "", "", 0.0}};
  CHECK(evaluate(outside).routes.empty());
  CHECK(evaluate(outside).out_of_scope_found == 1);
}

TEST_CASE("a perfect order has an area of one, the reverse of none") {
  CHECK(evaluate(std::vector<JudgedQuery>{{"a", "a", "a", 0.9}, {"", "", "a", 0.1}}).auroc == 1);
  CHECK(evaluate(std::vector<JudgedQuery>{{"a", "a", "a", 0.1}, {"", "", "a", 0.9}}).auroc == 0);
}

TEST_CASE("lint finds each kind, and nothing in tidy routes") {
  const std::vector<std::string> names = {"east", "north", "west"};
  LintLimits limits;
  limits.min_examples = 2;
  const std::vector<LintUtterance> tidy = {at(0, 0, "e1"),   at(0, 10, "e2"),  at(1, 90, "n1"),
                                           at(1, 100, "n2"), at(2, 180, "w1"), at(2, 190, "w2")};
  CHECK(lint_routes(names, tidy, limits, {}).empty());

  std::vector<LintUtterance> untidy = tidy;
  untidy.push_back(at(0, 96, "lost"));   // of east, amid north
  untidy.push_back(at(2, 180, "twin"));  // the same as w1
  std::size_t told = 0;
  const auto findings = lint_routes(names, untidy, limits, [&told](std::size_t) { ++told; });
  CHECK(told == 1);
  const std::vector<std::string> expected = {
      "duplicate west west twin", "misplaced east north lost", "misplaced north east n1",
      "misplaced north east n2",  "overlap east north ",       "unreachable north  ",
  };
  CHECK(lines_of(findings) == expected);
  CHECK(findings[4].share == doctest::Approx(3.0 / 5));

  const auto small = lint_routes(names, std::vector<LintUtterance>{at(0, 0, "only")}, limits, {});
  CHECK(lines_of(small) == std::vector<std::string>{"few_examples east  ", "few_examples north  ",
                                                    "few_examples west  ", "unreachable north  ",
                                                    "unreachable west  "});
}

TEST_CASE("reports say it to people and to machines") {
  const EvaluationReport report{evaluate(judged()), 12.34, 56.78};
  const std::string text = evaluation_text(report, false);
  CHECK(text.find("right            57.1 % (4 of 7)\n") == 0);
  CHECK(text.find("out of scope     50.0 % (1 of 2)\n") != std::string::npos);
  CHECK(text.find("AUROC            0.750") != std::string::npos);
  CHECK(text.find("(out of scope)  a           1\n") != std::string::npos);
  CHECK(text.find("b               (fallback)  1\n") != std::string::npos);
  const auto json = evaluation_json(report);
  CHECK(json["accuracy"] == 0.5714);
  CHECK(json["routes"][0]["route"] == "a");
  CHECK(json["confusions"][0]["expected"].is_null());
  CHECK(json["reliability"].size() == 10);
  const std::vector<LintFinding> findings = {
      {LintKind::misplaced, "a", "b\033[31m", "x", "y", 0.9, 0}};
  const std::string lint = lint_text(findings, 2, 9, false);
  CHECK(lint.find("\033") == std::string::npos);
  CHECK(lint.ends_with("1 findings in 2 routes with 9 examples\n"));
  CHECK(lint_json(findings)[0]["kind"] == "misplaced");
}
