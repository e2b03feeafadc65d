// How values become columns: embeddings as bytes, tags as lines, and the checksum of each row.
//
// Runs in: worker. Decoders read a file that may be damaged: they fail, they don't guess.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "worker/router/types.h"

namespace tenantd {

// Tags hold no control characters, so a newline separates them.
[[nodiscard]] std::string encode_tags(std::span<const std::string> tags);
[[nodiscard]] std::vector<std::string> decode_tags(std::string_view column);

// A line a rule: its mode, its kind and its text, such as "always keyword refund". Texts hold no
// control characters either.
[[nodiscard]] std::string encode_rules(std::span<const Rule> rules);
// False for what encode_rules() does not write.
[[nodiscard]] bool decode_rules(std::string_view column, std::vector<Rule>& out);

// Little-endian float32. The view is of `embedding` itself.
[[nodiscard]] std::span<const std::byte> embedding_bytes(std::span<const float> embedding) noexcept;
// False when the length is no multiple of four.
[[nodiscard]] bool decode_embedding(std::span<const std::byte> column, std::vector<float>& out);

// Of everything in the row but counters. Not keyed: it finds damage, not forgery.
[[nodiscard]] std::int64_t route_checksum(const RouteDefinition& route);
[[nodiscard]] std::int64_t utterance_checksum(std::string_view route_id, std::int64_t ordinal,
                                              const Utterance& utterance);

}  // namespace tenantd
