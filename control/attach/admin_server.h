// All operators' connections: takes the sockets that the supervisor hands over and serves requests.
//
// Runs in: control. Who may connect was decided by the supervisor; what was decided is checked
// again here.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "control/admin/operation.h"
#include "control/attach/connection.h"
#include "shared/contract/link.h"

namespace tenantd {

class AdminServer {
 public:
  static constexpr std::size_t max_connections = 64;
  static constexpr std::size_t max_connections_of_uid = 48;  // one user cannot lock root out

  using Log = std::function<void(std::string_view message)>;

  AdminServer(Loop& loop, ConnectionLimits limits, Log log)
      : loop_(loop), limits_(limits), log_(std::move(log)) {}

  // Before the first attachment. The context's parts outlive the server.
  void use(const AdminContext& context) { context_.emplace(context); }
  // Serves the socket, or answers with an error frame and closes it.
  void attach(const Attach& attach, UniqueFd socket, std::uint64_t generation);
  // Tells every peer that nothing more is taken.
  void say_goaway(GoawayReason reason);
  [[nodiscard]] std::size_t connections() const noexcept { return connections_.size(); }

 private:
  struct Entry {
    std::uint32_t uid = 0;
    std::unique_ptr<Connection> connection;
  };
  [[nodiscard]] Status admit(const Attach& attach) const;
  [[nodiscard]] Status on_request(std::uint64_t key, const FrameHeader& header,
                                  std::span<const std::byte> payload);

  Loop& loop_;
  ConnectionLimits limits_;
  Log log_;
  std::optional<AdminContext> context_;
  std::uint64_t last_key_ = 0;
  std::unordered_map<std::uint64_t, Entry> connections_;
};

}  // namespace tenantd
