// Is a text JSON? A recogniser without a tree, a locale or an exception. RFC 8259.
#include "worker/encoder/unicode.h"
#include "worker/router/validate.h"

namespace tenantd {
namespace {

constexpr int max_depth = 32;

class Recogniser {
 public:
  explicit Recogniser(std::string_view text) noexcept : rest_(text) {}

  bool document() noexcept {
    if (!value(0)) return false;
    skip_space();
    return rest_.empty();
  }

 private:
  void skip_space() noexcept {
    while (!rest_.empty() && std::string_view(" \t\r\n").find(rest_.front()) != rest_.npos) {
      rest_.remove_prefix(1);
    }
  }
  bool take(char c) noexcept {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool take_spaced(char c) noexcept {
    skip_space();
    return take(c);
  }
  bool word(std::string_view expected) noexcept {
    if (!rest_.starts_with(expected)) return false;
    rest_.remove_prefix(expected.size());
    return true;
  }
  bool digits() noexcept {
    std::size_t n = 0;
    while (n < rest_.size() && rest_[n] >= '0' && rest_[n] <= '9') ++n;
    rest_.remove_prefix(n);
    return n > 0;
  }
  bool number() noexcept {
    (void)take('-');
    if (!take('0') && !digits()) return false;
    if (take('.') && !digits()) return false;
    if (take('e') || take('E')) {
      if (!take('+')) (void)take('-');
      return digits();
    }
    return true;
  }
  bool string() noexcept {
    if (!take('"')) return false;
    while (!rest_.empty()) {
      const char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '"') return true;
      if (static_cast<unsigned char>(c) < 0x20) return false;
      if (c == '\\' && !escape()) return false;
    }
    return false;
  }
  bool escape() noexcept {
    if (rest_.empty()) return false;
    const char c = rest_.front();
    rest_.remove_prefix(1);
    if (c != 'u') return std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos;
    if (rest_.size() < 4) return false;
    const bool hex = rest_.substr(0, 4).find_first_not_of("0123456789abcdefABCDEF") == rest_.npos;
    rest_.remove_prefix(4);
    return hex;
  }
  bool members(char close, bool named, int depth) noexcept {
    if (take_spaced(close)) return true;
    do {
      skip_space();
      if (named && (!string() || !take_spaced(':'))) return false;
      if (!value(depth)) return false;
    } while (take_spaced(','));
    return take_spaced(close);
  }
  bool value(int depth) noexcept {
    if (depth >= max_depth) return false;
    skip_space();
    if (rest_.empty()) return false;
    switch (rest_.front()) {
      case '{':
        return take('{') && members('}', true, depth + 1);
      case '[':
        return take('[') && members(']', false, depth + 1);
      case '"':
        return string();
      case 't':
        return word("true");
      case 'f':
        return word("false");
      case 'n':
        return word("null");
      default:
        return number();
    }
  }

  std::string_view rest_;
};

}  // namespace

bool is_json(std::string_view text) noexcept {
  return is_valid_utf8(text) && Recogniser(text).document();
}

}  // namespace tenantd
