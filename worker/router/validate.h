// The gate before the router: what a route, a text and a vector must be.
//
// Runs in: worker. Everything here was written by a client. Errors carry the field's name; nothing
// is kept and nothing changed.
#pragma once

#include <span>
#include <string_view>

#include "shared/base/error.h"
#include "shared/base/id_limits.h"
#include "shared/contract/tenant_settings.h"
#include "worker/router/types.h"

namespace tenantd {

inline constexpr std::size_t max_description_bytes = 4096;
inline constexpr std::size_t max_metadata_bytes = 64U * 1024U;
inline constexpr std::size_t max_tags = 32;
inline constexpr std::size_t max_tag_bytes = 64;
inline constexpr std::size_t max_utterance_bytes = 16U * 1024U;
inline constexpr std::uint32_t max_alternatives = 1000;
inline constexpr std::uint32_t max_answers = 1000;
inline constexpr std::size_t max_filter_terms = 64;  // ids, and as many tags

// invalid_argument: empty, too long, not UTF-8, control characters, space at an end.
[[nodiscard]] Status validate_route_id(std::string_view id);
// wrong_dimension, invalid_vector (NaN, infinity, zero length, or too long for its square to be
// finite).
[[nodiscard]] Status validate_vector(std::span<const float> vector, std::uint32_t dimension);
// Everything but what depends on the routes that exist. An embedding may be missing.
[[nodiscard]] Status validate_route(const RouteDefinition& route, std::uint32_t dimension);
[[nodiscard]] Status validate_utterance(const Utterance& utterance, std::uint32_t dimension);
// invalid_argument: neither text nor vector, blank or too long text, too many alternatives, answers
// or terms of the filter; and the vector's errors.
[[nodiscard]] Status validate_query(const RouteQuery& query, std::uint32_t dimension);
// invalid_argument: a dimension of 0 or over 8192, weights negative or not finite or both 0, a
// threshold outside [0,1], top_k 0, an unknown aggregation, text that is not terminated.
[[nodiscard]] Status validate_settings(const TenantSettings& settings);

// True for one complete JSON value (RFC 8259) nested at most 32 deep.
[[nodiscard]] bool is_json(std::string_view text) noexcept;

// The encoder id that vectors of this tenant carry unless stated otherwise: "hash" means "hash-v1".
[[nodiscard]] std::string_view tenant_encoder_id(const RouterSettings& settings) noexcept;
// The id of the encoder that a client has named: "hash", or the tenant's without its version; empty
// is the tenant's.
[[nodiscard]] std::string_view encoder_id_of(const RouterSettings& settings,
                                             std::string_view named) noexcept;
[[nodiscard]] bool uses_hash_encoder(const RouterSettings& settings) noexcept;

}  // namespace tenantd
