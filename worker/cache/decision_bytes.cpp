#include "worker/cache/decision_bytes.h"

#include <cstring>
#include <type_traits>

namespace tenantd {
namespace {

template <class T>
void append(std::string& out, const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void append_text(std::string& out, std::string_view text) {
  append(out, static_cast<std::uint32_t>(text.size()));
  out += text;
}

void append_texts(std::string& out, std::span<const std::string_view> texts) {
  append(out, static_cast<std::uint32_t>(texts.size()));
  for (const std::string_view text : texts) append_text(out, text);
}

void append_others(std::string& out, const std::vector<Alternative>& others) {
  append(out, static_cast<std::uint32_t>(others.size()));
  for (const Alternative& other : others) {
    append_text(out, other.route);
    append(out, other.confidence);
    append(out, other.scores);
  }
}

class Cursor {
 public:
  explicit Cursor(std::string_view bytes) noexcept : bytes_(bytes) {}

  template <class T>
  [[nodiscard]] bool take(T& value) noexcept {
    if (bytes_.size() < sizeof value) return false;
    std::memcpy(&value, bytes_.data(), sizeof value);
    bytes_.remove_prefix(sizeof value);
    return true;
  }
  [[nodiscard]] bool take_text(std::string& text) {
    std::uint32_t size = 0;
    if (!take(size) || bytes_.size() < size) return false;
    text = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return true;
  }
  [[nodiscard]] bool take_others(std::vector<Alternative>& others) {
    std::uint32_t count = 0;
    if (!take(count) || bytes_.size() < count) return false;  // each takes more than a byte
    others.resize(count);
    for (Alternative& other : others) {
      if (!take_text(other.route) || !take(other.confidence) || !take(other.scores)) return false;
    }
    return true;
  }
  [[nodiscard]] bool at_end() const noexcept { return bytes_.empty(); }

 private:
  std::string_view bytes_;
};

}  // namespace

void QueryKey::assign(const RouteQuery& query) {
  bytes.clear();
  append(bytes, query.alternatives_limit);
  append(bytes, query.limit == 0 ? std::uint32_t{1} : query.limit);
  append(bytes, static_cast<std::uint8_t>(query.text.has_value()));
  append(bytes, static_cast<std::uint32_t>(query.embedding.size()));
  append_text(bytes, query.embedding_encoder);
  append_texts(bytes, query.only_routes);
  append_texts(bytes, query.only_tags);
  options_bytes = bytes.size();
  bytes.append(reinterpret_cast<const char*>(query.embedding.data()), query.embedding.size_bytes());
  if (query.text) bytes += *query.text;
}

void write_decision(const RouteDecision& decision, std::string& out) {
  out.clear();
  append_text(out, decision.route);
  append(out, decision.confidence);
  append(out, static_cast<std::uint8_t>(decision.is_fallback));
  append(out, decision.reason);
  append(out, decision.threshold);
  append(out, decision.scores);
  append_others(out, decision.also);
  append_others(out, decision.alternatives);
  append(out, decision.snapshot_version);
  append_text(out, decision.encoder);
}

bool read_decision(std::string_view bytes, RouteDecision& out) {
  Cursor cursor(bytes);
  std::uint8_t is_fallback = 0;
  const bool whole =
      cursor.take_text(out.route) && cursor.take(out.confidence) && cursor.take(is_fallback) &&
      cursor.take(out.reason) && cursor.take(out.threshold) && cursor.take(out.scores) &&
      cursor.take_others(out.also) && cursor.take_others(out.alternatives) &&
      cursor.take(out.snapshot_version) && cursor.take_text(out.encoder) && cursor.at_end();
  out.is_fallback = is_fallback != 0;
  out.explanation.reset();
  return whole;
}

}  // namespace tenantd
