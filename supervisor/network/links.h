// Network interfaces of one namespace, by rtnetlink.
//
// Runs in: tenantd-network. A Links talks to the namespace that it was opened in, wherever its
// owner has gone since. Sources: rtnetlink(7), libmnl.
#pragma once

#include <libmnl/libmnl.h>

#include <cstdint>
#include <memory>
#include <string>

#include "shared/base/error.h"
#include "shared/contract/ip_network.h"

namespace tenantd {

struct LinkInfo {
  int index = 0;
  bool loopback = false;
  bool enslaved = false;  // a port of a bridge or a bond
  std::string kind;       // "veth", "vlan"; empty: of a device driver
  std::string alias;
};

// Every error is internal with errno and the step, or not_found: no such link.
class Links {
 public:
  // In the namespace that the process is in.
  [[nodiscard]] static Result<Links> open();

  [[nodiscard]] Result<LinkInfo> find(const std::string& name);
  // A pair: `name` here, `peer` in the namespace that `peer_namespace_fd` is. Both down. Error:
  // already_exists.
  [[nodiscard]] Status make_pair(const std::string& name, const std::string& peer,
                                 int peer_namespace_fd);
  [[nodiscard]] Status remove(int index);
  // Takes it down and its addresses away.
  [[nodiscard]] Status move(int index, int namespace_fd);
  [[nodiscard]] Status set_alias(int index, const std::string& alias);
  // IPv6 gives it no address by itself. Error: unsupported where the kernel has no IPv6.
  [[nodiscard]] Status disable_own_addresses(int index);
  // The first address of this namespace, of any interface, whose network overlaps; none: version 0.
  [[nodiscard]] Result<IpNetwork> find_overlap(const IpNetwork& network);
  // Usable at once: nobody else is asked whether he has it.
  [[nodiscard]] Status add_address(int index, const IpNetwork& address);
  [[nodiscard]] Status set_up(int index);
  // To everywhere else.
  [[nodiscard]] Status add_default_route(int index, const IpNetwork& gateway);

 private:
  using Socket = std::unique_ptr<mnl_socket, int (*)(mnl_socket*)>;
  explicit Links(Socket socket) : socket_(std::move(socket)) {}
  // Sends and waits for the answer, a link or an acknowledgement.
  [[nodiscard]] Status ask(nlmsghdr& message, const std::string& what, LinkInfo* link = nullptr);

  Socket socket_;
  std::uint32_t sequence_ = 0;
};

}  // namespace tenantd
