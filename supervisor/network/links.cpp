#include "supervisor/network/links.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace tenantd {
namespace {

// Every request here is far shorter; an answer about one link is a few thousand bytes.
using Buffer = std::array<char, 32768>;

nlmsghdr& begin(Buffer& buffer, std::uint16_t type, int flags) {
  nlmsghdr* const message = mnl_nlmsg_put_header(buffer.data());
  message->nlmsg_type = type;
  message->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  return *message;
}

template <class Header>
Header& extra(nlmsghdr& message) {
  return *static_cast<Header*>(mnl_nlmsg_put_extra_header(&message, sizeof(Header)));
}

// A change of one link.
nlmsghdr& begin_change(Buffer& buffer, int index, unsigned flags = 0) {
  nlmsghdr& message = begin(buffer, RTM_NEWLINK, NLM_F_ACK);
  auto& header = extra<ifinfomsg>(message);
  header.ifi_index = index;
  header.ifi_flags = flags;
  header.ifi_change = flags;
  return message;
}

std::uint8_t family_of(const IpNetwork& address) {
  return static_cast<std::uint8_t>(address.version == 4 ? AF_INET : AF_INET6);
}

void put_address(nlmsghdr& message, std::uint16_t type, const IpNetwork& address) {
  mnl_attr_put(&message, type, address.bits() / 8, address.bytes.data());
}

std::string text_of(const nlattr* attribute) {
  const auto* const text = static_cast<const char*>(mnl_attr_get_payload(attribute));
  return {text, ::strnlen(text, mnl_attr_get_payload_len(attribute))};
}

int read_link_info(const nlattr* attribute, void* out) {
  if (mnl_attr_get_type(attribute) == IFLA_INFO_KIND) {
    static_cast<LinkInfo*>(out)->kind = text_of(attribute);
  }
  return MNL_CB_OK;
}

int read_attribute(const nlattr* attribute, void* out) {
  auto& link = *static_cast<LinkInfo*>(out);
  switch (mnl_attr_get_type(attribute)) {
    case IFLA_IFALIAS:
      link.alias = text_of(attribute);
      break;
    case IFLA_MASTER:
      link.enslaved = true;
      break;
    case IFLA_LINKINFO:
      return mnl_attr_parse_nested(attribute, read_link_info, out);
    default:
      break;
  }
  return MNL_CB_OK;
}

int read_link(const nlmsghdr* message, void* out) {
  if (out == nullptr || message->nlmsg_type != RTM_NEWLINK) return MNL_CB_OK;
  const auto* const header = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
  auto& link = *static_cast<LinkInfo*>(out);
  link.index = header->ifi_index;
  link.loopback = (header->ifi_flags & IFF_LOOPBACK) != 0;
  return mnl_attr_parse(message, sizeof *header, read_attribute, out);
}

struct Overlap {
  IpNetwork wanted;
  IpNetwork found;  // version 0: none yet
};

int read_bytes(const nlattr* attribute, void* out) {
  auto& address = *static_cast<IpNetwork*>(out);
  const std::size_t size = mnl_attr_get_payload_len(attribute);
  if (mnl_attr_get_type(attribute) == IFA_ADDRESS && size == address.bits() / 8) {
    std::memcpy(address.bytes.data(), mnl_attr_get_payload(attribute), size);
  }
  return MNL_CB_OK;
}

int read_address(const nlmsghdr* message, void* out) {
  auto& overlap_of = *static_cast<Overlap*>(out);
  if (message->nlmsg_type != RTM_NEWADDR || overlap_of.found.version != 0) return MNL_CB_OK;
  const auto* const header = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(message));
  IpNetwork address{static_cast<std::uint8_t>(header->ifa_family == AF_INET ? 4 : 6),
                    header->ifa_prefixlen,
                    0,
                    {}};
  (void)mnl_attr_parse(message, sizeof *header, read_bytes, &address);
  if (overlap(address, overlap_of.wanted)) overlap_of.found = address;
  return MNL_CB_OK;
}

}  // namespace

Result<Links> Links::open() {
  Socket socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC), mnl_socket_close);
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) != 0) {
    return fail_errno("rtnetlink", errno);
  }
  return Links(std::move(socket));
}

Status Links::ask(nlmsghdr& message, const std::string& what, LinkInfo* link) {
  message.nlmsg_seq = ++sequence_;
  if (mnl_socket_sendto(socket_.get(), &message, message.nlmsg_len) < 0) {
    return fail_errno(what, errno);
  }
  Buffer answer;
  for (;;) {
    const ssize_t got = mnl_socket_recvfrom(socket_.get(), answer.data(), answer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(what, errno);
    const int more = mnl_cb_run(answer.data(), static_cast<std::size_t>(got), sequence_,
                                mnl_socket_get_portid(socket_.get()), read_link, link);
    if (more == MNL_CB_STOP || (more == MNL_CB_OK && link != nullptr)) return {};
    if (more != MNL_CB_ERROR) continue;
    auto error = fail_errno(what, errno);
    if (error.value().os_errno == ENODEV) error.value().code = ErrorCode::not_found;
    if (error.value().os_errno == EEXIST) error.value().code = ErrorCode::already_exists;
    return error;
  }
}

Result<LinkInfo> Links::find(const std::string& name) {
  Buffer buffer;
  nlmsghdr& message = begin(buffer, RTM_GETLINK, 0);
  (void)extra<ifinfomsg>(message);
  mnl_attr_put_strz(&message, IFLA_IFNAME, name.c_str());
  LinkInfo link;
  if (Status found = ask(message, "interface " + name, &link); !found) {
    return tl::unexpected(found.error());
  }
  return link;
}

Status Links::make_pair(const std::string& name, const std::string& peer, int peer_namespace_fd) {
  Buffer buffer;
  nlmsghdr& message = begin(buffer, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  (void)extra<ifinfomsg>(message);
  mnl_attr_put_strz(&message, IFLA_IFNAME, name.c_str());
  nlattr* const info = mnl_attr_nest_start(&message, IFLA_LINKINFO);
  mnl_attr_put_strz(&message, IFLA_INFO_KIND, "veth");
  nlattr* const data = mnl_attr_nest_start(&message, IFLA_INFO_DATA);
  nlattr* const other = mnl_attr_nest_start(&message, VETH_INFO_PEER);
  (void)extra<ifinfomsg>(message);
  mnl_attr_put_strz(&message, IFLA_IFNAME, peer.c_str());
  mnl_attr_put_u32(&message, IFLA_NET_NS_FD, static_cast<std::uint32_t>(peer_namespace_fd));
  mnl_attr_nest_end(&message, other);
  mnl_attr_nest_end(&message, data);
  mnl_attr_nest_end(&message, info);
  return ask(message, "make veth pair " + name);
}

Status Links::remove(int index) {
  Buffer buffer;
  nlmsghdr& message = begin(buffer, RTM_DELLINK, NLM_F_ACK);
  extra<ifinfomsg>(message).ifi_index = index;
  return ask(message, "remove interface");
}

Status Links::move(int index, int namespace_fd) {
  Buffer buffer;
  nlmsghdr& message = begin_change(buffer, index);
  mnl_attr_put_u32(&message, IFLA_NET_NS_FD, static_cast<std::uint32_t>(namespace_fd));
  return ask(message, "move interface");
}

Status Links::set_alias(int index, const std::string& alias) {
  Buffer buffer;
  nlmsghdr& message = begin_change(buffer, index);
  mnl_attr_put_str(&message, IFLA_IFALIAS, alias.c_str());
  return ask(message, "name the owner of an interface");
}

Status Links::disable_own_addresses(int index) {
  Buffer buffer;
  nlmsghdr& message = begin_change(buffer, index);
  nlattr* const all = mnl_attr_nest_start(&message, IFLA_AF_SPEC);
  nlattr* const six = mnl_attr_nest_start(&message, AF_INET6);
  mnl_attr_put_u8(&message, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
  mnl_attr_nest_end(&message, six);
  mnl_attr_nest_end(&message, all);
  Status done = ask(message, "addresses of its own");
  if (!done && done.error().os_errno == EAFNOSUPPORT) {
    return fail(ErrorCode::unsupported, "the kernel has no IPv6");
  }
  return done;
}

Result<IpNetwork> Links::find_overlap(const IpNetwork& network) {
  Buffer buffer;
  nlmsghdr& message = begin(buffer, RTM_GETADDR, NLM_F_DUMP);
  extra<ifaddrmsg>(message).ifa_family = family_of(network);
  message.nlmsg_seq = ++sequence_;
  if (mnl_socket_sendto(socket_.get(), &message, message.nlmsg_len) < 0) {
    return fail_errno("addresses of the host", errno);
  }
  Overlap found{network, {}};
  for (;;) {
    const ssize_t got = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    const int more = got < 0
                         ? MNL_CB_ERROR
                         : mnl_cb_run(buffer.data(), static_cast<std::size_t>(got), sequence_,
                                      mnl_socket_get_portid(socket_.get()), read_address, &found);
    if (more == MNL_CB_ERROR) return fail_errno("addresses of the host", errno);
    if (more == MNL_CB_STOP) return found.found;
  }
}

Status Links::add_address(int index, const IpNetwork& address) {
  Buffer buffer;
  nlmsghdr& message = begin(buffer, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  auto& header = extra<ifaddrmsg>(message);
  header.ifa_family = family_of(address);
  header.ifa_prefixlen = address.prefix;
  header.ifa_flags = address.version == 6 ? IFA_F_NODAD : 0;
  header.ifa_index = static_cast<std::uint32_t>(index);
  put_address(message, IFA_LOCAL, address);
  put_address(message, IFA_ADDRESS, address);
  return ask(message, "address " + network_text(address));
}

Status Links::set_up(int index) {
  Buffer buffer;
  return ask(begin_change(buffer, index, IFF_UP), "set interface up");
}

Status Links::add_default_route(int index, const IpNetwork& gateway) {
  Buffer buffer;
  nlmsghdr& message = begin(buffer, RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  auto& header = extra<rtmsg>(message);
  header.rtm_family = family_of(gateway);
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = RTPROT_STATIC;
  header.rtm_scope = RT_SCOPE_UNIVERSE;
  header.rtm_type = RTN_UNICAST;
  put_address(message, RTA_GATEWAY, gateway);
  mnl_attr_put_u32(&message, RTA_OIF, static_cast<std::uint32_t>(index));
  return ask(message, "route through " + address_text(gateway));
}

}  // namespace tenantd
