#include "client/tenantctl/analyse/labelled_queries.h"

#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

namespace tenantd {
namespace {

tl::unexpected<Error> wrong(std::string field, std::string message, std::string hint) {
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.field = std::move(field);
  error.message = std::move(message);
  error.hint = std::move(hint);
  return fail(std::move(error));
}

constexpr const char* line_forms = "sentence<TAB>route, or {\"text\": \"…\", \"route\": \"…\"}";

Result<LabelledQuery> parse_json(std::string_view line) {
  const nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
  if (!json.is_object()) return wrong("", "not a JSON object", line_forms);
  LabelledQuery query;
  for (const auto& [key, value] : json.items()) {
    if (key == "text" && value.is_string()) {
      query.text = value.get<std::string>();
    } else if (key == "route" && (value.is_string() || value.is_null())) {
      if (value.is_string()) query.route = value.get<std::string>();
    } else if (key == "embedding" && value.is_array()) {
      for (const nlohmann::json& number : value) {
        if (!number.is_number()) return wrong(key, "holds something else than numbers", line_forms);
        query.embedding.push_back(number.get<float>());
      }
    } else if (key == "text" || key == "route" || key == "embedding") {
      return wrong(key, "has the wrong type", line_forms);
    } else {
      return wrong(key, "unknown key \"" + key + "\"", "text, embedding and route are known");
    }
  }
  if (query.text.empty() && query.embedding.empty()) {
    return wrong("text", "neither a text nor an embedding", line_forms);
  }
  return query;
}

Result<LabelledQuery> parse_tsv(std::string_view line) {
  const std::size_t tab = line.find('\t');
  if (tab == std::string_view::npos || line.find('\t', tab + 1) != std::string_view::npos) {
    return wrong("", "not two columns", line_forms);
  }
  LabelledQuery query{std::string(line.substr(0, tab)), {}, std::string(line.substr(tab + 1))};
  if (query.text.empty()) return wrong("text", "no sentence", line_forms);
  if (query.route.empty()) return wrong("route", "no route", "\"-\" stands for out of scope");
  if (query.route == "-") query.route.clear();
  return query;
}

}  // namespace

Result<std::vector<LabelledQuery>> read_labelled_queries(std::istream& in,
                                                         const std::string& file_name) {
  std::vector<LabelledQuery> queries;
  std::uint32_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || line.front() == '#') continue;
    auto query = line.front() == '{' ? parse_json(line) : parse_tsv(line);
    if (query && queries.size() == max_labelled_queries) {
      query = wrong("", "too many queries", "a million at most");
    }
    if (!query) {
      Error error = std::move(query.error());
      error.file = file_name;
      error.line = number;
      return fail(std::move(error));
    }
    queries.push_back(std::move(*query));
  }
  if (!queries.empty()) return queries;
  auto none = wrong("", "no queries", line_forms);
  none.value().file = file_name;
  return none;
}

}  // namespace tenantd
