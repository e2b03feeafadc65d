#include "worker/encoder/compile/model_json.h"

#include <utility>

#include "worker/encoder/compile/safetensors.h"

namespace tenantd {
namespace {

using nlohmann::json;

tl::unexpected<Error> wrong_type(const char* key, const char* expected) {
  return fail(ErrorCode::invalid_config, std::string(key) + " is not " + expected);
}

}  // namespace

Result<json> parse_model_json(std::string_view text) {
  bool too_deep = false;
  const auto bounded = [&too_deep](int depth, json::parse_event_t, json&) {
    too_deep = too_deep || depth > max_model_json_depth;
    return !too_deep;
  };
  json document = json::parse(text.begin(), text.end(), bounded, false);
  if (too_deep) return fail(ErrorCode::invalid_config, "is nested too deep");
  if (document.is_discarded()) return fail(ErrorCode::invalid_config, "is not JSON");
  if (!document.is_object()) return fail(ErrorCode::invalid_config, "is not a JSON object");
  return document;
}

Result<bool> json_flag(const json& object, const char* key, bool fallback) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return fallback;
  if (!found->is_boolean()) return wrong_type(key, "true or false");
  return found->get<bool>();
}

Result<std::string> json_text(const json& object, const char* key, const std::string& fallback) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return fallback;
  if (!found->is_string()) return wrong_type(key, "a string");
  return found->get<std::string>();
}

Result<std::uint64_t> json_number(const json& object, const char* key, std::uint64_t fallback) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return fallback;
  if (!found->is_number_unsigned()) return wrong_type(key, "a whole number");
  return found->get<std::uint64_t>();
}

const json* json_object(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_object() ? &*found : nullptr;
}

}  // namespace tenantd
