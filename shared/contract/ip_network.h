// Addresses and networks of IPv4 and IPv6, as fixed-size values.
//
// Runs in: the supervisor, which reads them from files, and tenantd-network, which gives them to
// the kernel. Text is parsed elsewhere (supervisor/config/network_rules.h).
#pragma once

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

namespace tenantd {

// An address has all its bits; a network none behind its prefix; an interface's address may have
// both.
struct IpNetwork {
  std::uint8_t version = 0;  // 4 or 6; 0: none
  std::uint8_t prefix = 0;   // bits
  std::uint16_t reserved = 0;
  std::array<std::uint8_t, 16> bytes{};  // network order; of IPv4 the first four

  [[nodiscard]] constexpr unsigned bits() const noexcept { return version == 4 ? 32 : 128; }
  [[nodiscard]] constexpr bool bit(unsigned index) const noexcept {
    return (bytes[index / 8] >> (7 - index % 8) & 1U) != 0;
  }
  [[nodiscard]] constexpr bool valid() const noexcept {
    return (version == 4 || version == 6) && prefix <= bits();
  }
  friend bool operator==(const IpNetwork&, const IpNetwork&) = default;
};

// The same address with all its bits.
[[nodiscard]] constexpr IpNetwork host_of(IpNetwork address) noexcept {
  address.prefix = static_cast<std::uint8_t>(address.bits());
  return address;
}

// Whether the first bits are the same, as many as the shorter prefix has.
[[nodiscard]] constexpr bool overlap(const IpNetwork& a, const IpNetwork& b) noexcept {
  if (a.version != b.version) return false;
  const unsigned shorter = std::min(a.prefix, b.prefix);
  for (unsigned i = 0; i < shorter; ++i) {
    if (a.bit(i) != b.bit(i)) return false;
  }
  return true;
}

// Whether all of `inner` is in `outer`.
[[nodiscard]] constexpr bool contains(const IpNetwork& outer, const IpNetwork& inner) noexcept {
  return outer.prefix <= inner.prefix && overlap(outer, inner);
}

// Whether every bit behind the prefix is `value`; false for an address with all its bits.
[[nodiscard]] constexpr bool rest_is(const IpNetwork& address, bool value) noexcept {
  for (unsigned i = address.prefix; i < address.bits(); ++i) {
    if (address.bit(i) != value) return false;
  }
  return address.prefix < address.bits();
}

// ::ffff:0:0/96: IPv4 in the clothes of IPv6, which sockets of both versions could use.
[[nodiscard]] constexpr bool is_mapped(const IpNetwork& address) noexcept {
  if (address.version != 6) return false;
  for (unsigned i = 0; i < 12; ++i) {
    if (address.bytes[i] != (i < 10 ? 0 : 0xff)) return false;
  }
  return true;
}

// "10.77.0.2"
[[nodiscard]] inline std::string address_text(const IpNetwork& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = address.version == 4 ? AF_INET : AF_INET6;
  const char* const done = ::inet_ntop(family, address.bytes.data(), text.data(), text.size());
  return done == nullptr ? std::string() : std::string(done);
}

// "10.77.0.0/30"
[[nodiscard]] inline std::string network_text(const IpNetwork& network) {
  return address_text(network) + '/' + std::to_string(network.prefix);
}

}  // namespace tenantd
