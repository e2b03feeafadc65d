#include "worker/store/rows.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>

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

constexpr std::array<std::string_view, 2> kind_names{"keyword", "pattern"};
constexpr std::array<std::string_view, 3> mode_names{"signal", "always", "never"};

// Takes one of `names` and a space from the front of `line`; its number, or nothing.
template <std::size_t count>
std::optional<std::uint8_t> take_name(const std::array<std::string_view, count>& names,
                                      std::string_view& line) {
  const std::size_t space = line.find(' ');
  const auto found = std::ranges::find(names, line.substr(0, space));
  if (space == std::string_view::npos || found == names.end()) return std::nullopt;
  line.remove_prefix(space + 1);
  return static_cast<std::uint8_t>(found - names.begin());
}

}  // namespace

std::string encode_rules(std::span<const Rule> rules) {
  std::string column;
  for (const Rule& rule : rules) {
    column += mode_names[static_cast<std::size_t>(rule.mode)];
    column += ' ';
    column += kind_names[static_cast<std::size_t>(rule.kind)];
    column += ' ';
    column += rule.text;
    column += '\n';
  }
  return column;
}

bool decode_rules(std::string_view column, std::vector<Rule>& out) {
  out.clear();
  while (!column.empty()) {
    const std::size_t end = column.find('\n');
    if (end == std::string_view::npos) return false;
    std::string_view line = column.substr(0, end);
    const auto mode = take_name(mode_names, line);
    const auto kind = mode ? take_name(kind_names, line) : std::nullopt;
    if (!kind) return false;
    out.push_back({static_cast<RuleKind>(*kind), static_cast<RuleMode>(*mode), std::string(line)});
    column.remove_prefix(end + 1);
  }
  return true;
}

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
  // Rows of older schemas have none of these, and keep the checksum that they have.
  if (!route.rules.empty()) state = fold_text(state ^ 1, encode_rules(route.rules));
  if (route.priority != 0) {
    state = mix_bits(state ^ 2 ^ static_cast<std::uint64_t>(route.priority) << 8U);
  }
  if (route.aggregation) {
    state = mix_bits(state ^ 3 ^ static_cast<std::uint64_t>(*route.aggregation) << 8U);
  }
  if (route.margin) {
    const auto margin = std::bit_cast<std::uint64_t>(static_cast<double>(*route.margin));
    state = mix_bits(mix_bits(state ^ 4) ^ margin);
  }
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
