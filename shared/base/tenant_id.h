// A validated tenant id: [a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?, at most 63 bytes.
//
// Runs in: everything. The only way to hold one is to have it validated, so a TenantId is safe as a
// file name, a cgroup name and a database key.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "shared/base/error.h"

namespace tenantd {

class TenantId {
 public:
  static constexpr std::size_t max_length = 63;

  // Error: invalid_argument with what is allowed. Copies; never keeps `text`.
  [[nodiscard]] static Result<TenantId> parse(std::string_view text);

  [[nodiscard]] std::string_view view() const noexcept { return {text_.data(), length_}; }
  [[nodiscard]] std::string str() const { return std::string(view()); }

  friend bool operator==(const TenantId& a, const TenantId& b) noexcept {
    return a.view() == b.view();
  }
  friend auto operator<=>(const TenantId& a, const TenantId& b) noexcept {
    return a.view() <=> b.view();
  }

 private:
  TenantId() = default;
  std::array<char, max_length> text_{};
  std::uint8_t length_ = 0;
};

}  // namespace tenantd

template <>
struct std::hash<tenantd::TenantId> {
  std::size_t operator()(const tenantd::TenantId& id) const noexcept {
    return std::hash<std::string_view>{}(id.view());
  }
};
