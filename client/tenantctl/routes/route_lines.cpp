#include "client/tenantctl/routes/route_lines.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "client/tenantctl/routes/rule_lines.h"
#include "shared/base/suggest.h"

namespace tenantd {
namespace {

using Json = nlohmann::ordered_json;

tl::unexpected<Error> bad_field(std::string field, std::string message, std::string hint = {}) {
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.field = std::move(field);
  error.message = std::move(message);
  error.hint = std::move(hint);
  return fail(std::move(error));
}

Status check_keys(const Json& object, std::span<const std::string_view> allowed,
                  const std::string& place) {
  for (const auto& [key, value] : object.items()) {
    if (std::find(allowed.begin(), allowed.end(), key) != allowed.end()) continue;
    const auto near = nearest_word(key, allowed);
    return bad_field(place + key, "unknown key",
                     near ? "did you mean \"" + std::string(*near) + "\"?" : "");
  }
  return {};
}

// Leaves `out` alone when the key is absent.
Status read_text(const Json& object, const char* key, const std::string& place, std::size_t max,
                 std::string& out) {
  const auto found = object.find(key);
  if (found == object.end()) return {};
  if (!found->is_string()) return bad_field(place + key, "must be a string");
  const auto& text = found->get_ref<const std::string&>();
  if (text.size() > max) {
    return bad_field(place + key, "is longer than " + std::to_string(max) + " bytes");
  }
  out = text;
  return {};
}

Status read_embedding(const Json& value, const std::string& field, std::vector<float>& out) {
  if (!value.is_array()) return bad_field(field, "must be an array of numbers");
  if (value.empty() || value.size() > max_dimension) {
    return bad_field(field, "must have 1 to " + std::to_string(max_dimension) + " numbers");
  }
  for (const Json& number : value) {
    const float converted = number.is_number() ? number.get<float>() : 0.0F;
    if (!number.is_number() || !std::isfinite(converted)) {
      return bad_field(field, "must hold finite numbers only");
    }
    out.push_back(converted);
  }
  return {};
}

Result<UtteranceMessage> read_utterance(const Json& value, std::size_t index) {
  static constexpr std::array<std::string_view, 3> keys = {"text", "embedding", "encoder"};
  const std::string field = "utterances[" + std::to_string(index) + "]";
  UtteranceMessage utterance;
  if (value.is_string()) {
    utterance.text = value.get<std::string>();
  } else if (value.is_object()) {
    const std::string place = field + ".";
    for (Status status :
         {check_keys(value, keys, place),
          read_text(value, "text", place, max_text_bytes, utterance.text),
          read_text(value, "encoder", place, max_encoder_id_bytes, utterance.encoder)}) {
      if (!status) return fail(status.error());
    }
    if (const auto found = value.find("embedding"); found != value.end()) {
      const Status read = read_embedding(*found, place + "embedding", utterance.embedding);
      if (!read) return fail(read.error());
    }
  } else {
    return bad_field(field, "must be a string or an object");
  }
  if (utterance.text.size() > max_text_bytes) {
    return bad_field(field, "is longer than " + std::to_string(max_text_bytes) + " bytes");
  }
  if (utterance.text.empty() && utterance.embedding.empty()) {
    return bad_field(field, "has neither text nor embedding");
  }
  return utterance;
}

Status read_fraction(const Json& object, const char* key, bool& is_there, float& out) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return {};
  const double value = found->is_number() ? found->get<double>() : -1.0;
  if (!(value >= 0.0 && value <= 1.0)) return bad_field(key, "must be a number from 0 to 1");
  is_there = true;
  out = static_cast<float>(value);
  return {};
}

Status read_tags(const Json& object, RouteMessage& route) {
  const auto found = object.find("tags");
  if (found == object.end()) return {};
  if (!found->is_array() || found->size() > 64) {
    return bad_field("tags", "must be an array of at most 64 strings");
  }
  for (const Json& tag : *found) {
    if (!tag.is_string() || tag.get_ref<const std::string&>().size() > 1024) {
      return bad_field("tags", "must hold strings of at most 1024 bytes");
    }
    route.tags.push_back(tag.get<std::string>());
  }
  return {};
}

Status read_metadata(const Json& object, RouteMessage& route) {
  const auto found = object.find("metadata");
  if (found == object.end()) return {};
  route.metadata = found->dump();
  if (route.metadata.size() > 16384) return bad_field("metadata", "is longer than 16384 bytes");
  return {};
}

Status read_utterances(const Json& object, RouteMessage& route) {
  const auto found = object.find("utterances");
  if (found == object.end()) return {};
  if (!found->is_array()) return bad_field("utterances", "must be an array");
  for (std::size_t i = 0; i < found->size(); ++i) {
    auto utterance = read_utterance((*found)[i], i);
    if (!utterance) return fail(utterance.error());
    route.utterances.push_back(std::move(*utterance));
  }
  return {};
}

Result<RouteMessage> read_route(const Json& object) {
  static constexpr std::array<std::string_view, 13> keys = {
      "id",       "description", "threshold", "tags",     "metadata",    "utterances", "keywords",
      "patterns", "always",      "never",     "priority", "aggregation", "margin"};
  if (!object.is_object()) return bad_field("", "a route must be a JSON object");
  RouteMessage route;
  if (Status known = check_keys(object, keys, ""); !known) return fail(known.error());
  if (!object.contains("id")) return bad_field("id", "is missing");
  for (Status status :
       {read_text(object, "id", "", max_route_id_bytes, route.id),
        read_text(object, "description", "", 4096, route.description),
        read_fraction(object, "threshold", route.has_threshold, route.threshold),
        read_fraction(object, "margin", route.has_margin, route.margin), read_tags(object, route),
        read_metadata(object, route), read_rules(object, route), read_utterances(object, route)}) {
    if (!status) return fail(status.error());
  }
  if (route.id.empty()) return bad_field("id", "is empty");
  return route;
}

Json metadata_json(const std::string& text) {
  Json parsed = Json::parse(text, nullptr, false);
  return parsed.is_discarded() ? Json(text) : parsed;
}

}  // namespace

Result<RouteMessage> parse_route_line(std::string_view line) {
  try {
    return read_route(Json::parse(line));
  } catch (const Json::parse_error& error) {
    return bad_field("", "not valid JSON at byte " + std::to_string(error.byte));
  } catch (const Json::exception& error) {
    return bad_field("", std::string("not usable: ") + error.what());
  }
}

std::string format_route_line(const RouteMessage& route, bool with_embeddings) {
  Json json;
  json["id"] = route.id;
  if (!route.description.empty()) json["description"] = route.description;
  if (route.has_threshold) json["threshold"] = route.threshold;
  if (route.has_margin) json["margin"] = route.margin;
  if (!route.tags.empty()) json["tags"] = route.tags;
  if (!route.metadata.empty()) json["metadata"] = metadata_json(route.metadata);
  write_rules(route, json);
  Json& utterances = json["utterances"] = Json::array();
  for (const UtteranceMessage& utterance : route.utterances) {
    if (!with_embeddings || utterance.embedding.empty()) {
      if (!utterance.text.empty()) utterances.push_back(utterance.text);
      continue;
    }
    Json item;
    if (!utterance.text.empty()) item["text"] = utterance.text;
    item["embedding"] = utterance.embedding;
    if (!utterance.encoder.empty()) item["encoder"] = utterance.encoder;
    utterances.push_back(std::move(item));
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

tl::unexpected<Error> RouteLineReader::at_line(Error error) const {
  error.file = file_name_;
  error.line = line_;
  return fail(std::move(error));
}

Result<bool> RouteLineReader::read_line(std::string& text) {
  text.clear();
  ++line_;
  for (int c = in_.get(); c != std::istream::traits_type::eof(); c = in_.get()) {
    if (c == '\n') return true;
    if (text.size() == max_line_bytes) {
      return at_line(bad_field("", "the line is longer than 64 MiB").value());
    }
    text += static_cast<char>(c);
  }
  if (in_.bad()) return at_line(fail(ErrorCode::internal, "cannot be read").value());
  return !text.empty();
}

Result<std::optional<RouteMessage>> RouteLineReader::next() {
  std::string text;
  for (;;) {
    const auto more = read_line(text);
    if (!more) return fail(more.error());
    if (!*more) return std::nullopt;
    if (text.find_first_not_of(" \t\r") != std::string::npos) break;
  }
  auto route = parse_route_line(text);
  if (!route) return at_line(route.error());
  const auto [known, fresh] = line_of_id_.emplace(route->id, line_);
  if (!fresh) {
    return at_line(bad_field("id", "\"" + route->id + "\" came before, on line " +
                                       std::to_string(known->second))
                       .value());
  }
  return std::optional(std::move(*route));
}

}  // namespace tenantd
