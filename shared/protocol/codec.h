// Encoding and decoding of messages from one description of their fields.
//
// A message is a struct with
//     template <class Self, class Visitor> static void describe(Self& self, Visitor& visit);
// that calls visit("name", self.member, Bound{max}) for each field, in wire order. The writer, the
// reader, JSON (json.h), golden tests and fuzz targets follow from it. Types: bool, integers,
// float, double, enums (bounded by enum_limit), strings, spans and vectors of float, nested
// messages and vectors of them.
//
// Wire: fixed-width little-endian scalars; strings and vectors are u32 count + items; float arrays
// are padded with zero bytes so that the first float is at a multiple of four from the payload's
// start. string_view and span members point into the decoded buffer, which must be 4-byte aligned.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "shared/base/error.h"

namespace tenantd {

// The largest count of a variable-length field: bytes of a string, elements of a vector.
struct Bound {
  std::uint32_t max = 0;
};

template <class T>
concept Scalar = std::is_arithmetic_v<T> || std::is_enum_v<T>;

template <class T, class Visitor>
concept Message = requires(T& message, Visitor& visitor) {
  T::describe(message, visitor);
};

template <class T>
inline constexpr bool is_text =
    std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view>;

class Writer {
 public:
  // Appends to `out`; what is there already is not the payload's. `out` holds just what was written
  // once the writer has gone.
  explicit Writer(std::vector<std::byte>& out) noexcept
      : out_(out), start_(out.size()), used_(start_) {}
  ~Writer() { out_.resize(used_); }  // never grows here
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  template <Scalar T>
  void operator()(const char*, const T& value, Bound = {}) {
    append(value);
  }
  void operator()(const char*, const bool& value, Bound = {}) {
    append(value ? std::byte{1} : std::byte{0});
  }
  void operator()(const char* name, std::string_view value, Bound bound) {
    count(name, value.size(), bound);
    append(value.data(), value.size());
  }
  void operator()(const char* name, const std::string& value, Bound bound) {
    (*this)(name, std::string_view(value), bound);
  }
  void operator()(const char* name, std::span<const float> values, Bound bound) {
    count(name, values.size(), bound);
    constexpr std::array<std::byte, alignof(float)> zeros{};
    append(zeros.data(), (start_ - used_) % alignof(float));  // start_ ≤ used_: wraps on purpose
    append(values.data(), values.size_bytes());
  }
  void operator()(const char* name, const std::vector<float>& values, Bound bound) {
    (*this)(name, std::span<const float>(values), bound);
  }
  template <class T>
  requires Message<const T, Writer>
  void operator()(const char*, const T& message, Bound = {}) { T::describe(message, *this); }
  template <class T>
  requires(Message<const T, Writer> || is_text<T>) void operator()(const char* name,
                                                                   const std::vector<T>& items,
                                                                   Bound bound) {
    count(name, items.size(), bound);
    for (const T& item : items) (*this)(name, item, Bound{item_bound(bound)});
  }

  // The first field over its bound, or null. The output is not to be used then.
  [[nodiscard]] const char* overflowed_field() const noexcept { return overflowed_field_; }

 private:
  static std::uint32_t item_bound(Bound) noexcept { return default_text_bound; }
  static constexpr std::uint32_t default_text_bound = 1024;

  void count(const char* name, std::size_t size, Bound bound) {
    if (size > bound.max && overflowed_field_ == nullptr) overflowed_field_ = name;
    const auto wire = static_cast<std::uint32_t>(size);
    append(wire);
  }
  // Most fields are a few bytes: they go into room that is made for many of them at once.
  template <class T>
  void append(const T& value) {
    if (out_.size() - used_ < sizeof value) out_.resize(used_ + room_bytes);
    std::memcpy(out_.data() + used_, &value, sizeof value);
    used_ += sizeof value;
  }
  void append(const void* data, std::size_t size) {
    if (size == 0) return;
    if (out_.size() - used_ < size) return append_long(data, size);
    std::memcpy(out_.data() + used_, data, size);
    used_ += size;
  }
  [[gnu::noinline]] void append_long(const void* data, std::size_t size) {
    const auto* bytes = static_cast<const std::byte*>(data);
    out_.resize(used_);
    out_.insert(out_.end(), bytes, bytes + size);
    used_ += size;
  }

  static constexpr std::size_t room_bytes = 256;
  std::vector<std::byte>& out_;
  std::size_t start_;
  std::size_t used_;  // bytes of out_ that mean something; the rest is room
  const char* overflowed_field_ = nullptr;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> payload) noexcept : payload_(payload) {}

  template <Scalar T>
  void operator()(const char* name, T& value, Bound = {}) {
    take(name, value);
    if constexpr (std::is_enum_v<T>) {
      if (bad_field_ == nullptr && !is_valid(value)) fail_at(name);
    }
  }
  void operator()(const char* name, bool& value, Bound = {}) {
    std::uint8_t byte = 0;
    take(name, byte);
    if (byte > 1) fail_at(name);
    value = byte == 1;
  }
  void operator()(const char* name, std::string_view& value, Bound bound) {
    const std::size_t size = count(name, bound, 1);
    value = {reinterpret_cast<const char*>(payload_.data()) + position_, size};
    position_ += size;
  }
  void operator()(const char* name, std::string& value, Bound bound) {
    std::string_view view;
    (*this)(name, view, bound);
    value = view;
  }
  void operator()(const char* name, std::span<const float>& values, Bound bound) {
    const std::uint32_t wanted = count(name, bound, 0);
    align(name);
    if (bad_field_ != nullptr || (payload_.size() - position_) / sizeof(float) < wanted) {
      return fail_at(name);
    }
    values = {reinterpret_cast<const float*>(payload_.data() + position_), wanted};
    position_ += values.size_bytes();
  }
  void operator()(const char* name, std::vector<float>& values, Bound bound) {
    std::span<const float> view;
    (*this)(name, view, bound);
    values.assign(view.begin(), view.end());
  }
  template <class T>
  requires Message<T, Reader>
  void operator()(const char*, T& message, Bound = {}) { T::describe(message, *this); }
  template <class T>
  requires(Message<T, Reader> || is_text<T>) void operator()(const char* name,
                                                             std::vector<T>& items, Bound bound) {
    // Every item takes at least a byte: a count cannot make us reserve more than the frame's size.
    const std::uint32_t size = count(name, bound, 1);
    items.clear();
    for (std::uint32_t i = 0; i < size && bad_field_ == nullptr; ++i) {
      (*this)(name, items.emplace_back(), Bound{1024});
    }
  }

  // Null when every field was valid and nothing is left over.
  [[nodiscard]] const char* bad_field() const noexcept {
    if (bad_field_ == nullptr && position_ != payload_.size()) return "(trailing bytes)";
    return bad_field_;
  }

 private:
  void fail_at(const char* name) noexcept {
    if (bad_field_ == nullptr) bad_field_ = name;
  }
  template <class T>
  void take(const char* name, T& out) {
    if (bad_field_ != nullptr || payload_.size() - position_ < sizeof out) return fail_at(name);
    std::memcpy(&out, payload_.data() + position_, sizeof out);
    position_ += sizeof out;
  }
  // A count within its bound whose items (of at least item_bytes each) fit the rest; 0 on failure.
  std::uint32_t count(const char* name, Bound bound, std::size_t item_bytes) {
    std::uint32_t value = 0;
    take(name, value);
    if (bad_field_ == nullptr &&
        (value > bound.max || value * item_bytes > payload_.size() - position_)) {
      fail_at(name);
    }
    return bad_field_ == nullptr ? value : 0;
  }
  void align(const char* name) {
    while (position_ % alignof(float) != 0) {
      std::uint8_t pad = 0;
      take(name, pad);
      if (pad != 0) return fail_at(name);
      if (bad_field_ != nullptr) return;
    }
  }

  std::span<const std::byte> payload_;
  std::size_t position_ = 0;
  const char* bad_field_ = nullptr;
};

// Appends the payload of `message` to `out` (cleared by the caller). Error: invalid_argument naming
// the first field over its bound; `out` keeps its size then.
template <class T>
[[nodiscard]] Status encode(const T& message, std::vector<std::byte>& out) {
  const std::size_t before = out.size();
  const char* overflowed_field = nullptr;
  {
    Writer writer(out);
    T::describe(message, writer);
    overflowed_field = writer.overflowed_field();
  }
  if (overflowed_field == nullptr) return {};
  out.resize(before);
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.field = overflowed_field;
  error.message = "too long for a message";
  return fail(std::move(error));
}

// Decodes a whole payload. Error: protocol_error naming the first bad field. T's views point into
// `payload`.
template <class T>
[[nodiscard]] Result<T> decode(std::span<const std::byte> payload) {
  Result<T> message;
  Reader reader(payload);
  T::describe(*message, reader);
  if (reader.bad_field() == nullptr) return message;
  Error error;
  error.code = ErrorCode::protocol_error;
  error.field = reader.bad_field();
  error.message = "malformed message";
  message = fail(std::move(error));
  return message;
}

}  // namespace tenantd
