#include "supervisor/config/diagnostics.h"

#include <algorithm>
#include <tuple>

#include "shared/base/suggest.h"

namespace tenantd {

void Diagnostics::add(Place place, std::string field, std::string message, std::string hint,
                      ErrorCode code) {
  Error error;
  error.code = code;
  error.message = std::move(message);
  error.field = std::move(field);
  error.line = place.line;
  error.column = place.column;
  error.hint = std::move(hint);
  add(std::move(error));
}

void Diagnostics::add(Error error) {
  if (full()) {
    ++dropped_;
    return;
  }
  if (error.file.empty()) error.file = file_;
  if (error.tenant.empty()) error.tenant = tenant_;
  errors_.push_back(std::move(error));
}

std::vector<Error> Diagnostics::take() {
  std::stable_sort(errors_.begin(), errors_.end(), [](const Error& a, const Error& b) {
    return std::tie(a.line, a.column) < std::tie(b.line, b.column);
  });
  if (dropped_ > 0) {
    Error more;
    more.code = ErrorCode::invalid_config;
    more.file = file_;
    more.tenant = tenant_;
    more.message = "and " + std::to_string(dropped_) + " more problems";
    errors_.push_back(std::move(more));
  }
  dropped_ = 0;
  return std::exchange(errors_, {});
}

std::optional<std::string_view> nearest_name(std::string_view word,
                                             std::span<const std::string_view> candidates) {
  static constexpr std::size_t longest_slip = 64;
  if (word.size() > longest_slip) return std::nullopt;
  return nearest_word(word, candidates);
}

std::string describe_all(const std::vector<Error>& errors) {
  std::string out;
  for (const Error& error : errors) {
    out += error.describe();
    out += '\n';
  }
  return out;
}

namespace {

// Length of the control character at `at`, 0 if there is none. C1 controls are two bytes:
// C2 80..9F.
std::size_t control_length(std::string_view text, std::size_t at) {
  const auto byte = static_cast<unsigned char>(text[at]);
  if (byte < 0x20U || byte == 0x7FU) return 1;
  const bool c1 = byte == 0xC2U && at + 1 < text.size() &&
                  (static_cast<unsigned char>(text[at + 1]) & 0xE0U) == 0x80U;
  return c1 ? 2 : 0;
}

}  // namespace

bool has_control_characters(std::string_view text) {
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (control_length(text, at) != 0) return true;
  }
  return false;
}

std::string printable(std::string_view text, std::size_t max_shown) {
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    // Cut only between characters: a continuation byte is 10xxxxxx.
    const auto byte = static_cast<unsigned char>(text[at]);
    if (out.size() >= max_shown && (byte & 0xC0U) != 0x80U) return out + "...";
    const std::size_t control = control_length(text, at);
    if (control == 0) out += text[at];
    for (const std::size_t end = at + control; at < end; ++at) {
      const auto escaped = static_cast<unsigned char>(text[at]);
      out += "\\x";
      out += digits[escaped >> 4U];
      out += digits[escaped & 0xFU];
    }
    if (control != 0) --at;
  }
  return out;
}

std::string quoted(std::string_view text) { return '"' + printable(text) + '"'; }

}  // namespace tenantd
