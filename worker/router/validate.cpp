#include "worker/router/validate.h"

#include <algorithm>
#include <cmath>

#include "worker/encoder/hash_encoder.h"
#include "worker/encoder/unicode.h"
#include "worker/router/dot.h"
#include "worker/router/kernels/kernels.h"
#include "worker/router/rule_index.h"

namespace tenantd {
namespace {

tl::unexpected<Error> refuse(std::string_view field, std::string message) {
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.field = field;
  error.message = std::move(message);
  return fail(std::move(error));
}

// C0, DEL, and C1 (U+0080 to U+009F, in valid UTF-8 always C2 80 to C2 9F): terminals obey both.
bool has_control_character(std::string_view text) noexcept {
  unsigned char before = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F || (before == 0xC2 && byte < 0xA0)) return true;
    before = byte;
  }
  return false;
}

// A short name that people read in one line of output.
Status validate_label(std::string_view field, std::string_view text, std::size_t max_bytes) {
  if (text.empty()) return refuse(field, "is empty");
  if (text.size() > max_bytes) {
    return refuse(field, "is longer than " + std::to_string(max_bytes) + " bytes");
  }
  if (!is_valid_utf8(text)) return refuse(field, "is not UTF-8");
  if (has_control_character(text)) return refuse(field, "holds a control character");
  if (text.front() == ' ' || text.back() == ' ')
    return refuse(field, "begins or ends with a space");
  return {};
}

Status validate_text(std::string_view field, std::string_view text, std::size_t max_bytes) {
  if (text.size() > max_bytes) {
    return refuse(field, "is longer than " + std::to_string(max_bytes) + " bytes");
  }
  if (text.find('\0') != std::string_view::npos) return refuse(field, "holds a NUL byte");
  return {};
}

bool is_blank(std::string_view text) noexcept {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

bool is_fraction(float value) noexcept { return value >= 0.0F && value <= 1.0F; }

}  // namespace

Status validate_route_id(std::string_view id) {
  return validate_label("id", id, max_route_id_bytes);
}

Status validate_vector(std::span<const float> vector, std::uint32_t dimension) {
  if (vector.size() != dimension) {
    return fail(ErrorCode::wrong_dimension, "the embedding has " + std::to_string(vector.size()) +
                                                " floats, this tenant's have " +
                                                std::to_string(dimension));
  }
  // NaN and infinity are the largest of all: without their sign, floats have the order of their
  // bits.
  const float largest = best_kernels().largest_magnitude(vector.data(), vector.size());
  if (!std::isfinite(largest)) {
    return fail(ErrorCode::invalid_vector, "the embedding holds NaN or infinity");
  }
  // Below this the direction is noise of denormal floats. One float is mostly enough to know.
  const bool long_enough = largest > 1e-15F || sum_of_squares(vector) >= 1e-30;
  if (!long_enough) return fail(ErrorCode::invalid_vector, "the embedding has zero length");
  return {};
}

Status validate_utterance(const Utterance& utterance, std::uint32_t dimension) {
  if (utterance.embedding.empty()) {
    if (is_blank(utterance.text)) return refuse("utterance", "has neither text nor embedding");
    if (!utterance.encoder.empty()) return refuse("encoder", "is given without an embedding");
  } else if (const Status status = validate_vector(utterance.embedding, dimension); !status) {
    return status;
  }
  if (!utterance.encoder.empty()) {
    const Status status = validate_label("encoder", utterance.encoder, max_encoder_id_bytes);
    if (!status) return status;
  }
  return validate_text("utterance", utterance.text, max_utterance_bytes);
}

Status validate_route(const RouteDefinition& route, std::uint32_t dimension) {
  if (Status status = validate_route_id(route.id); !status) return status;
  const auto can_find = [](const Rule& rule) { return rule.mode != RuleMode::never; };
  if (route.utterances.empty() && std::ranges::none_of(route.rules, can_find)) {
    return refuse("utterances", "a route needs at least one utterance, or a rule that finds it");
  }
  if (route.threshold && !is_fraction(*route.threshold)) {
    return refuse("threshold", "is outside 0 to 1");
  }
  if (route.margin && !is_fraction(*route.margin)) return refuse("margin", "is outside 0 to 1");
  Status status = validate_text("description", route.description, max_description_bytes);
  if (!status) return status;
  if (status = validate_text("metadata", route.metadata, max_metadata_bytes); !status)
    return status;
  if (!route.metadata.empty() && !is_json(route.metadata)) {
    return refuse("metadata", "is not JSON nested at most 32 deep");
  }
  if (route.tags.size() > max_tags) {
    return refuse("tags", "are more than " + std::to_string(max_tags));
  }
  for (const std::string& tag : route.tags) {
    if (status = validate_label("tags", tag, max_tag_bytes); !status) return status;
  }
  if (status = validate_rules(route.rules); !status) return status;
  if (route.aggregation && *route.aggregation >= Aggregation::automatic) {
    return refuse("aggregation", "is unknown");
  }
  for (const Utterance& utterance : route.utterances) {
    if (status = validate_utterance(utterance, dimension); !status) return status;
  }
  return {};
}

Status validate_query(const RouteQuery& query, std::uint32_t dimension) {
  if (!query.text && query.embedding.empty()) {
    return refuse("query", "has neither text nor embedding");
  }
  if (query.text) {
    if (query.embedding.empty() && is_blank(*query.text)) return refuse("text", "is empty");
    if (query.text->size() > max_tokenized_bytes) {
      return refuse("text", "is longer than " + std::to_string(max_tokenized_bytes) + " bytes");
    }
  }
  if (query.embedding_encoder.size() > max_encoder_id_bytes) {
    return refuse("encoder", "is longer than " + std::to_string(max_encoder_id_bytes) + " bytes");
  }
  if (query.alternatives_limit > max_alternatives) {
    return refuse("alternatives", "are more than " + std::to_string(max_alternatives));
  }
  if (query.limit > max_answers) {
    return refuse("limit", "is more than " + std::to_string(max_answers));
  }
  if (query.only_routes.size() > max_filter_terms || query.only_tags.size() > max_filter_terms) {
    return refuse("filter", "has more than " + std::to_string(max_filter_terms) + " ids or tags");
  }
  if (query.embedding.empty()) return {};
  return validate_vector(query.embedding, dimension);
}

Status validate_settings(const TenantSettings& settings) {
  const RouterSettings& router = settings.router;
  if (router.dimension == 0 || router.dimension > 8192) {
    return refuse("router.dimension", "is outside 1 to 8192");
  }
  if (!is_fraction(router.threshold)) return refuse("router.threshold", "is outside 0 to 1");
  for (const float weight : {router.dense_weight, router.lexical_weight, router.rule_weight}) {
    if (!(weight >= 0.0F) || !std::isfinite(weight)) {
      return refuse("router.weights", "are negative or not finite");
    }
  }
  if (router.dense_weight + router.lexical_weight <= 0.0F) {
    return refuse("router.weights", "are both 0");
  }
  if (router.top_k == 0) return refuse("router.top_k", "is 0");
  if (router.margin_e4 > 10'000) return refuse("router.margin", "is outside 0 to 1");
  if (router.prototype_weight_e4 > 10'000) {
    return refuse("router.prototype_weight", "is outside 0 to 1");
  }
  if (static_cast<std::uint8_t>(router.aggregation) >
      static_cast<std::uint8_t>(Aggregation::automatic)) {
    return refuse("router.aggregation", "is unknown");
  }
  if (router.index > VectorIndexKind::ivf) return refuse("router.index", "is unknown");
  if (router.index_recall_e4 > 10'000) {
    return refuse("router.index_recall", "is outside 0 to 1");
  }
  if (settings.executions_sample_e6 > 1'000'000) {
    return refuse("executions.sample", "is outside 0 to 1");
  }
  if (!router.encoder.valid() || !router.fallback_route.valid() || !settings.tenant_id.valid()) {
    return refuse("router", "holds text that is not terminated");
  }
  return {};
}

bool uses_hash_encoder(const RouterSettings& settings) noexcept {
  return tenant_encoder_id(settings) == HashEncoder::vector_id;
}

std::string_view tenant_encoder_id(const RouterSettings& settings) noexcept {
  const std::string_view name = settings.encoder.view();
  return name.empty() || name == HashEncoder::config_name ? HashEncoder::vector_id : name;
}

std::string_view encoder_id_of(const RouterSettings& settings, std::string_view named) noexcept {
  if (named == HashEncoder::config_name) return HashEncoder::vector_id;
  const std::string_view tenants = tenant_encoder_id(settings);
  const bool is_tenants = tenants.starts_with(named) &&
                          (named.empty() || tenants.substr(named.size()).starts_with('@'));
  return is_tenants ? tenants : named;
}

}  // namespace tenantd
