// JSON from a message's one description: what --json prints and what the HTTP API will carry.
//
// Runs in: tenantctl, control, gateway; never in the supervisor or a worker. Numbers that JSON
// cannot hold (NaN, infinity) become null.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "shared/protocol/codec.h"

namespace tenantd {

template <class T>
[[nodiscard]] nlohmann::ordered_json to_json(const T& message);

class JsonWriter {
 public:
  explicit JsonWriter(nlohmann::ordered_json& out) noexcept : out_(out) {}

  template <Scalar T>
  void operator()(const char* name, const T& value, Bound = {}) {
    if constexpr (std::is_enum_v<T>) {
      out_[name] = static_cast<std::underlying_type_t<T>>(value);
    } else {
      out_[name] = value;
    }
  }
  void operator()(const char* name, const std::string& value, Bound) { out_[name] = value; }
  void operator()(const char* name, std::string_view value, Bound) { out_[name] = value; }
  void operator()(const char* name, const std::vector<float>& values, Bound) {
    out_[name] = values;
  }
  void operator()(const char* name, std::span<const float> values, Bound) {
    out_[name] = std::vector<float>(values.begin(), values.end());
  }
  void operator()(const char* name, const std::vector<std::string>& values, Bound) {
    out_[name] = values;
  }
  void operator()(const char* name, const std::vector<std::string_view>& values, Bound) {
    out_[name] = values;
  }
  template <class T>
  requires Message<const T, JsonWriter>
  void operator()(const char* name, const T& message, Bound = {}) { out_[name] = to_json(message); }
  template <class T>
  requires Message<const T, JsonWriter>
  void operator()(const char* name, const std::vector<T>& items, Bound) {
    auto& array = out_[name] = nlohmann::ordered_json::array();
    for (const T& item : items) array.push_back(to_json(item));
  }

 private:
  nlohmann::ordered_json& out_;
};

template <class T>
nlohmann::ordered_json to_json(const T& message) {
  auto out = nlohmann::ordered_json::object();
  JsonWriter writer(out);
  T::describe(message, writer);
  return out;
}

}  // namespace tenantd
