#include "control/attach/admin_server.h"

#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "control/admin/dispatch.h"

namespace tenantd {
namespace {

// One attempt: a peer that cannot take an error frame only sees the end.
void send_error_once(int socket, const Error& error) {
  const std::vector<std::byte> payload = encode_error(error);
  FrameHeader header;
  header.size = static_cast<std::uint32_t>(payload.size());
  header.type = static_cast<std::uint16_t>(MessageType::error);
  std::vector<std::byte> frame(sizeof header + payload.size());
  std::memcpy(frame.data(), &header, sizeof header);
  std::memcpy(frame.data() + sizeof header, payload.data(), payload.size());
  (void)::send(socket, frame.data(), frame.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace

Status AdminServer::admit(const Attach& attach) const {
  if (attach.is_operator != 1) {
    return fail(ErrorCode::permission_denied, "administration is for operators only");
  }
  const auto of_uid =
      std::count_if(connections_.begin(), connections_.end(),
                    [&attach](const auto& entry) { return entry.second.uid == attach.peer_uid; });
  if (connections_.size() >= max_connections ||
      static_cast<std::size_t>(of_uid) >= max_connections_of_uid) {
    return fail(ErrorCode::resource_exhausted, "too many administration connections are open",
                "close some");
  }
  return {};
}

void AdminServer::attach(const Attach& attach, UniqueFd socket, std::uint64_t generation) {
  if (const Status admitted = admit(attach); !admitted) {
    send_error_once(socket.get(), admitted.error());
    log_("refused uid " + std::to_string(attach.peer_uid) + ": " + admitted.error().message);
    return;
  }
  const std::uint64_t key = ++last_key_;
  auto connection = Connection::create(
      loop_, std::move(socket), limits_,
      [this, key](const FrameHeader& header, std::span<const std::byte> payload) {
        return on_request(key, header, payload);
      },
      [this, key] { connections_.erase(key); });
  if (!connection) return log_("attachment: " + connection.error().describe());
  Connection& peer = **connection;
  connections_[key] = Entry{attach.peer_uid, std::move(*connection)};
  Welcome welcome;
  welcome.version = static_cast<std::uint16_t>(attach.protocol_version);
  welcome.generation = generation;
  std::vector<std::byte> payload;
  if (!encode(welcome, payload)) return;  // cannot fail: no text
  peer.send(MessageType::welcome, 0, payload);
}

Status AdminServer::on_request(std::uint64_t key, const FrameHeader& header,
                               std::span<const std::byte> payload) {
  const Requester requester{connections_.at(key).uid};
  // The answer may come when the peer, whom only the key names, is long gone.
  Respond respond = [this, key, request_id = header.request_id](MessageType type,
                                                                std::vector<std::byte> answer) {
    const auto found = connections_.find(key);
    if (found != connections_.end()) found->second.connection->answer(type, request_id, answer);
  };
  return dispatch(*context_, requester, header.type, payload, std::move(respond));
}

void AdminServer::say_goaway(GoawayReason reason) {
  for (auto& [key, entry] : connections_) {
    Goaway goaway;
    goaway.reason = reason;
    goaway.last_request_id = entry.connection->last_request_id();
    std::vector<std::byte> payload;
    if (encode(goaway, payload)) entry.connection->send(MessageType::goaway, 0, payload);
  }
}

}  // namespace tenantd
