#include "worker/store/rows.h"

#include <bit>
#include <cstring>

#include "worker/encoder/hashing.h"

namespace tenantd {
namespace {

static_assert(std::endian::native == std::endian::little && sizeof(float) == 4);

// Length first, so that two texts cannot trade bytes; eight bytes at a time, as embeddings are
// long.
std::uint64_t fold_bytes(std::uint64_t state, std::span<const std::byte> bytes) noexcept {
  state = mix_bits(state ^ bytes.size()) + 0x9e3779b97f4a7c15ULL;
  while (!bytes.empty()) {
    std::uint64_t word = 0;
    const std::size_t taken = std::min<std::size_t>(bytes.size(), sizeof word);
    std::memcpy(&word, bytes.data(), taken);
    state = mix_bits(state ^ word) + 0x9e3779b97f4a7c15ULL;
    bytes = bytes.subspan(taken);
  }
  return state;
}

std::uint64_t fold_text(std::uint64_t state, std::string_view text) noexcept {
  return fold_bytes(state, std::as_bytes(std::span(text.data(), text.size())));
}

}  // namespace

std::string encode_tags(std::span<const std::string> tags) {
  std::string column;
  for (const std::string& tag : tags) column += tag + '\n';
  return column;
}

std::vector<std::string> decode_tags(std::string_view column) {
  std::vector<std::string> tags;
  for (std::size_t end = column.find('\n'); end != std::string_view::npos;
       end = column.find('\n')) {
    tags.emplace_back(column.substr(0, end));
    column.remove_prefix(end + 1);
  }
  return tags;
}

std::span<const std::byte> embedding_bytes(std::span<const float> embedding) noexcept {
  return std::as_bytes(embedding);
}

bool decode_embedding(std::span<const std::byte> column, std::vector<float>& out) {
  if (column.size() % sizeof(float) != 0) return false;
  out.resize(column.size() / sizeof(float));
  if (!column.empty()) std::memcpy(out.data(), column.data(), column.size());
  return true;
}

std::int64_t route_checksum(const RouteDefinition& route) {
  std::uint64_t state = fold_text(1, route.id);
  state = fold_text(state, route.description);
  state = fold_text(state, route.metadata);
  state = fold_text(state, encode_tags(route.tags));
  // As the column's type: REAL is a double.
  const double threshold = static_cast<double>(route.threshold.value_or(-1.0F));
  state = mix_bits(state ^ std::bit_cast<std::uint64_t>(threshold));
  return static_cast<std::int64_t>(state);
}

std::int64_t utterance_checksum(std::string_view route_id, std::int64_t ordinal,
                                const Utterance& utterance) {
  std::uint64_t state = fold_text(static_cast<std::uint64_t>(ordinal), route_id);
  state = fold_text(state, utterance.text);
  state = fold_text(state, utterance.encoder);
  state = fold_bytes(state, embedding_bytes(utterance.embedding));
  return static_cast<std::int64_t>(state);
}

}  // namespace tenantd
