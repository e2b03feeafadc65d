// What the probes attack: made here, so that a success harms nobody.
//
// The driver moves into namespaces of its own first: a probe without any confinement then changes
// the mounts, the name, the networks and the queues of nobody but the driver.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "shared/os/fd.h"
#include "shared/os/socket.h"

namespace tenantd {

inline constexpr uid_t probe_tenant_uid = 600'001;
inline constexpr uid_t probe_victim_uid = 600'002;

class Victims {
 public:
  Victims();
  Victims(const Victims&) = delete;
  Victims& operator=(const Victims&) = delete;
  ~Victims();

  // The tenant's own directory as it is at every start, owned by `uid`.
  void prepare_data(uid_t uid) const;
  // Whether a signal has arrived since the last call; waits a moment for it when `expected`.
  [[nodiscard]] bool was_signalled(bool expected);
  [[nodiscard]] bool was_renamed();
  [[nodiscard]] bool got_datagram();
  // Forgets what other attempts have left: connections, core files.
  void clean_up();

  [[nodiscard]] const std::string& directory() const noexcept { return directory_; }
  [[nodiscard]] std::string data_directory() const { return directory_ + "/tenants/acme-corp"; }
  [[nodiscard]] pid_t process() const noexcept { return process_; }
  [[nodiscard]] pid_t neighbour() const noexcept { return neighbour_; }
  [[nodiscard]] std::uint64_t secret_address() const noexcept;
  [[nodiscard]] std::uint16_t tcp_port() const noexcept { return tcp_port_; }
  [[nodiscard]] std::uint16_t udp_port() const noexcept { return udp_port_; }
  [[nodiscard]] std::uint32_t terminal_number() const noexcept { return terminal_number_; }

 private:
  void make_files();
  void make_sockets();
  void make_processes();
  void make_kernel_objects();

  std::string directory_;
  std::string old_directory_;
  pid_t process_ = 0;
  pid_t neighbour_ = 0;
  volatile std::uint32_t* signals_ = nullptr;  // shared with process_
  std::uint32_t signals_seen_ = 0;
  UniqueFd tcp_;
  UniqueFd udp_;
  UniqueFd abstract_;
  UniqueFd path_;
  UniqueFd terminal_;
  UniqueFd leaked_;  // inheritable on purpose
  std::uint16_t tcp_port_ = 0;
  std::uint16_t udp_port_ = 0;
  std::uint32_t terminal_number_ = 0;
  int shared_memory_ = -1;
  int semaphore_ = -1;
  std::string queue_name_;
};

// Namespaces and resource limits of the driver itself: once, before anything else. False where it
// cannot: an unprivileged driver stays where it is.
bool enter_own_namespaces();

}  // namespace tenantd
