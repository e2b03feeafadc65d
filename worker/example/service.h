// The worker: waits for its supervisor and its clients, and ends in order.
//
// Runs in: the example worker; one thread, one poll(2). The supervisor is trusted. The end of the
// link is no reason to exit: clients are served on, and the next supervisor is looked for.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shared/contract/launch_spec.h"
#include "shared/contract/link.h"
#include "worker/example/connection.h"

namespace tenantd::example {

class Service {
 public:
  Service(const LaunchSpec& spec, UniqueFd link);

  // Until it has been told to go, or nobody adopts it.
  [[nodiscard]] ExitCode run();

 private:
  void wait();
  void on_link();
  void on_message(std::span<const std::byte> packet, UniqueFd descriptor);
  void attach(const Attach& attach, UniqueFd socket);
  void drain(DrainReason reason, std::uint64_t timeout_ms, ExitCode exit_code);
  void send_status();
  void lose_link();
  void register_again();
  void drop_overdue();
  [[nodiscard]] int wait_ms() const;
  [[nodiscard]] bool done() const;

  LaunchSpec spec_;
  UniqueFd link_;
  Shared shared_;
  std::vector<std::unique_ptr<Connection>> clients_;
  std::uint64_t refused_ = 0;
  bool adopted_ = true;  // the supervisor that launched this worker knows it
  std::uint64_t orphaned_at_ns_ = 0;
  std::uint64_t retry_at_ns_ = 0;
  std::uint64_t retry_ms_ = 0;
  std::optional<std::uint64_t> drain_ends_ns_;
  GoawayReason goaway_ = GoawayReason::stopping;
  ExitCode exit_code_ = ExitCode::clean;
};

}  // namespace tenantd::example
