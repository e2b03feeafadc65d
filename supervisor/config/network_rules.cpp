#include "supervisor/config/network_rules.h"

#include <charconv>
#include <optional>

namespace tenantd {
namespace {

constexpr std::string_view egress_form =
    "protocol, address or network, port: \"tcp 203.0.113.0/24:443\", \"udp [2001:db8::53]:53\"";

tl::unexpected<Error> refuse(std::string message, std::string_view hint = {}) {
  return fail(ErrorCode::invalid_config, std::move(message), std::string(hint));
}

// The whole text, decimal digits only, no leading zero.
std::optional<unsigned> parse_number(std::string_view text) {
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  unsigned value = 0;
  const char* const end = text.data() + text.size();
  const auto [parsed, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || parsed != end) return std::nullopt;
  return value;
}

std::optional<IpNetwork> read_bytes(std::string_view text) {
  if (text.size() >= INET6_ADDRSTRLEN || text.find('\0') != std::string_view::npos) {
    return std::nullopt;
  }
  const std::string terminated(text);
  IpNetwork address;
  if (::inet_pton(AF_INET, terminated.c_str(), address.bytes.data()) == 1) {
    address.version = 4;
  } else if (::inet_pton(AF_INET6, terminated.c_str(), address.bytes.data()) == 1) {
    address.version = 6;
  } else {
    return std::nullopt;
  }
  return host_of(address);
}

// "address/prefix"; bits behind the prefix are kept.
Result<IpNetwork> parse_with_prefix(std::string_view text) {
  const std::size_t slash = text.find('/');
  auto address = parse_address(text.substr(0, slash));
  if (!address || slash == std::string_view::npos) return address;
  const auto prefix = parse_number(text.substr(slash + 1));
  if (!prefix || *prefix > address->bits()) {
    return refuse(quoted(text.substr(slash)) + " is no prefix of an address of " +
                  std::to_string(address->bits()) + " bits");
  }
  address->prefix = static_cast<std::uint8_t>(*prefix);
  return address;
}

Status parse_ports(std::string_view text, EgressRule& rule) {
  const std::size_t dash = text.find('-');
  const auto first = parse_number(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : parse_number(text.substr(dash + 1));
  if (!first || !last || *first == 0 || *last > 65535 || *first > *last) {
    return refuse(quoted(text) + " is no port", "1 to 65535, or a range such as 8000-8010");
  }
  rule.first_port = static_cast<std::uint16_t>(*first);
  rule.last_port = static_cast<std::uint16_t>(*last);
  return {};
}

}  // namespace

Result<IpNetwork> parse_address(std::string_view text) {
  const auto address = read_bytes(text);
  if (!address) return refuse(quoted(text) + " is no IPv4 or IPv6 address");
  if (is_mapped(*address)) {
    return refuse(quoted(text) + " is an IPv4 address mapped into IPv6", "write it as IPv4");
  }
  return *address;
}

Result<IpNetwork> parse_interface_address(std::string_view text) {
  if (text.find('/') == std::string_view::npos) {
    return refuse(quoted(text) + " does not say its network",
                  "address/prefix, such as \"10.77.0.2/30\"");
  }
  return parse_with_prefix(text);
}

Result<EgressRule> parse_egress(std::string_view text) {
  EgressRule rule;
  const std::size_t space = text.find(' ');
  const std::string_view protocol = text.substr(0, space);
  if (protocol == "tcp") rule.protocol = EgressProtocol::tcp;
  if (protocol == "udp") rule.protocol = EgressProtocol::udp;
  if (rule.protocol == EgressProtocol::none || space == std::string_view::npos) {
    return refuse(quoted(text) + " does not begin with \"tcp \" or \"udp \"", egress_form);
  }
  const std::string_view place = text.substr(space + 1);
  const std::size_t colon = place.rfind(':');
  const bool bracketed = place.starts_with('[');
  const std::size_t closing = place.find(']');
  if (colon == std::string_view::npos ||
      (bracketed && (closing == std::string_view::npos || colon != closing + 1))) {
    return refuse(quoted(text) + " names no port", egress_form);
  }
  const std::string_view where = bracketed ? place.substr(1, closing - 1) : place.substr(0, colon);
  if (!bracketed && where.find(':') != std::string_view::npos) {
    return refuse(quoted(text) + ": an IPv6 address is written in brackets", egress_form);
  }
  const auto destination = parse_with_prefix(where);
  if (!destination) return tl::unexpected(destination.error());
  if (bracketed != (destination->version == 6)) {
    return refuse(quoted(text) + ": only an IPv6 address is written in brackets", egress_form);
  }
  if (destination->prefix < destination->bits() && !rest_is(*destination, false)) {
    return refuse(quoted(where) + " has bits behind its prefix",
                  "a network such as 203.0.113.0/24, or an address without a prefix");
  }
  rule.destination = *destination;
  if (Status ports = parse_ports(place.substr(colon + 1), rule); !ports) {
    return tl::unexpected(ports.error());
  }
  return rule;
}

}  // namespace tenantd
