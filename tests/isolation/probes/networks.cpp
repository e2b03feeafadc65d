// Networks: TCP, UDP, raw and packet sockets, netlink, vsock, kernel cryptography.
#include <arpa/inet.h>
#include <linux/if_alg.h>
#include <linux/if_ether.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/isolation/probes/probe.h"

namespace tenantd::probe {
namespace {

sockaddr_in loopback(unsigned port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<unsigned short>(port));
  return address;
}
const sockaddr* as_address(const void* address) { return static_cast<const sockaddr*>(address); }

int tcp_connect(const Surroundings& around) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const sockaddr_in address = loopback(around.tcp_port);
  return outcome(connect(fd, as_address(&address), sizeof address));
}
int tcp_bind(const Surroundings&) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const sockaddr_in address = loopback(0);
  if (bind(fd, as_address(&address), sizeof address) != 0) return errno;
  return outcome(listen(fd, 1));
}
int tcp6_bind(const Surroundings&) {
  const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  if (bind(fd, as_address(&address), sizeof address) != 0) return errno;
  return outcome(listen(fd, 1));
}
int udp_send(const Surroundings& around) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const sockaddr_in address = loopback(around.udp_port);
  return outcome(sendto(fd, secret, sizeof secret, 0, as_address(&address), sizeof address));
}
int raw(const Surroundings&) {
  const int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
  if (fd < 0) return errno;
  return outcome(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
}
int packet(const Surroundings&) {
  const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
  if (fd < 0) return errno;
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = 1;
  return outcome(bind(fd, as_address(&address), sizeof address));
}
// Devices of the host: its loopback device is up, that of a new network namespace is not.
int netlink(const Surroundings&) {
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return errno;
  struct {
    nlmsghdr header;
    ifinfomsg body;
  } request = {};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_GETLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  request.body.ifi_index = 1;
  if (send(fd, &request, sizeof request, 0) < 0) return errno;
  alignas(nlmsghdr) char reply[8192] = {};
  if (recv(fd, reply, sizeof reply, 0) < 0) return errno;
  nlmsghdr header;
  (void)memcpy(&header, reply, sizeof header);
  if (header.nlmsg_type != RTM_NEWLINK) return no_effect;
  ifinfomsg body;
  (void)memcpy(&body, reply + NLMSG_HDRLEN, sizeof body);
  return (body.ifi_flags & IFF_UP) != 0 ? 0 : no_effect;
}
int vsock(const Surroundings&) {
  const int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_port = VMADDR_PORT_ANY;
  address.svm_cid = VMADDR_CID_ANY;
  if (bind(fd, as_address(&address), sizeof address) != 0) return errno;
  return outcome(listen(fd, 1));
}
int kernel_cryptography(const Surroundings&) {
  const int fd = socket(AF_ALG, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  sockaddr_alg address{};
  address.salg_family = AF_ALG;
  (void)memcpy(address.salg_type, "hash", 5);
  (void)memcpy(address.salg_name, "sha256", 7);
  return outcome(bind(fd, as_address(&address), sizeof address));
}

}  // namespace

const Attempt attempts[] = {{"tcp_connect", tcp_connect},
                            {"tcp_bind", tcp_bind},
                            {"tcp6_bind", tcp6_bind},
                            {"udp_send", udp_send},
                            {"raw", raw},
                            {"packet", packet},
                            {"netlink", netlink},
                            {"vsock", vsock},
                            {"kernel_cryptography", kernel_cryptography}};
const unsigned attempt_count = sizeof attempts / sizeof attempts[0];

}  // namespace tenantd::probe
