#include "client/tenantctl/routes/rule_lines.h"

#include <algorithm>
#include <array>

namespace tenantd {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t max_rules = 64;
constexpr std::size_t max_rule_bytes = 1024;
constexpr std::array<std::string_view, 6> aggregation_codes{
    "", "max", "mean", "top_k_mean", "centroid", "prototype_mix"};

Status bad_rule(std::string field, std::string message) {
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.field = std::move(field);
  error.message = std::move(message);
  return fail(std::move(error));
}

// A string of `kind`, or {"keyword": …} or {"pattern": …}.
Status read_rule(const Json& value, const std::string& field, RuleMessage rule,
                 std::vector<RuleMessage>& out) {
  const Json* text = &value;
  if (value.is_object() && value.size() == 1 && rule.mode != RuleModeCode::signal) {
    const std::string key = value.begin().key();
    if (key == "keyword" || key == "pattern") {
      rule.kind = key == "pattern" ? RuleKindCode::pattern : RuleKindCode::keyword;
      text = &value.begin().value();
    }
  }
  if (!text->is_string()) {
    return bad_rule(field, rule.mode == RuleModeCode::signal
                               ? "must be a string"
                               : R"(must be a string, {"keyword": "…"} or {"pattern": "…"})");
  }
  rule.text = text->get<std::string>();
  if (rule.text.size() > max_rule_bytes) {
    return bad_rule(field, "is longer than " + std::to_string(max_rule_bytes) + " bytes");
  }
  if (out.size() == max_rules) {
    return bad_rule(field, "is one rule more than " + std::to_string(max_rules));
  }
  out.push_back(std::move(rule));
  return {};
}

Status read_list(const Json& object, const char* key, RuleMessage rule,
                 std::vector<RuleMessage>& out) {
  const auto found = object.find(key);
  if (found == object.end()) return {};
  if (!found->is_array()) return bad_rule(key, "must be an array");
  for (std::size_t i = 0; i < found->size(); ++i) {
    const std::string field = std::string(key) + "[" + std::to_string(i) + "]";
    if (Status read = read_rule((*found)[i], field, rule, out); !read) return read;
  }
  return {};
}

Status read_priority(const Json& object, RouteMessage& route) {
  const auto found = object.find("priority");
  if (found == object.end()) return {};
  const std::int64_t value = found->is_number_integer() ? found->get<std::int64_t>() : INT64_MIN;
  if (value < INT32_MIN || value > INT32_MAX) {
    return bad_rule("priority", "must be a whole number of 32 bits");
  }
  route.priority = static_cast<std::int32_t>(value);
  return {};
}

Status read_aggregation(const Json& object, RouteMessage& route) {
  const auto found = object.find("aggregation");
  if (found == object.end()) return {};
  const auto code =
      found->is_string() ? aggregation_code(found->get_ref<const std::string&>()) : std::nullopt;
  if (!code) {
    return bad_rule("aggregation", "must be max, mean, top_k_mean, centroid or prototype_mix");
  }
  route.aggregation = *code;
  return {};
}

}  // namespace

std::optional<std::uint8_t> aggregation_code(std::string_view name) noexcept {
  const auto found = std::ranges::find(aggregation_codes, name);
  if (name.empty() || found == aggregation_codes.end()) return std::nullopt;
  return static_cast<std::uint8_t>(found - aggregation_codes.begin());
}

std::string_view aggregation_name_of(std::uint8_t code) noexcept {
  return code < aggregation_codes.size() ? aggregation_codes[code] : "unknown";
}

std::string rule_text(const RuleMessage& rule) {
  constexpr std::array<std::string_view, 3> modes{"signal", "always", "never"};
  return std::string(modes[static_cast<std::size_t>(rule.mode)]) +
         (rule.kind == RuleKindCode::pattern ? " pattern \"" : " keyword \"") + rule.text + "\"";
}

Status read_rules(const Json& object, RouteMessage& route) {
  using enum RuleModeCode;
  for (Status status :
       {read_list(object, "keywords", {RuleKindCode::keyword, signal, {}}, route.rules),
        read_list(object, "patterns", {RuleKindCode::pattern, signal, {}}, route.rules),
        read_list(object, "always", {RuleKindCode::keyword, always, {}}, route.rules),
        read_list(object, "never", {RuleKindCode::keyword, never, {}}, route.rules),
        read_priority(object, route), read_aggregation(object, route)}) {
    if (!status) return status;
  }
  return {};
}

void write_rules(const RouteMessage& route, Json& object) {
  for (const RuleMessage& rule : route.rules) {
    const bool is_pattern = rule.kind == RuleKindCode::pattern;
    if (rule.mode == RuleModeCode::signal) {
      object[is_pattern ? "patterns" : "keywords"].push_back(rule.text);
      continue;
    }
    Json item = rule.text;
    if (is_pattern) item = Json{{"pattern", rule.text}};
    object[rule.mode == RuleModeCode::always ? "always" : "never"].push_back(std::move(item));
  }
  if (route.priority != 0) object["priority"] = route.priority;
  if (route.aggregation != 0) object["aggregation"] = aggregation_name_of(route.aggregation);
}

}  // namespace tenantd
