#include "supervisor/attach/error_frame.h"

#include <sys/socket.h>

#include <cstring>

#include "shared/protocol/frame.h"
#include "shared/protocol/messages.h"

namespace tenantd {

std::vector<std::byte> make_error_frame(const Error& error) {
  std::vector<std::byte> payload;
  if (!encode(ErrorMessage::from(error), payload)) {
    (void)encode(ErrorMessage{}, payload);  // from() cuts to the bounds: never taken
  }
  FrameHeader header;
  header.size = static_cast<std::uint32_t>(payload.size());
  header.type = static_cast<std::uint16_t>(MessageType::error);
  std::vector<std::byte> frame(sizeof header + payload.size());
  std::memcpy(frame.data(), &header, sizeof header);
  std::memcpy(frame.data() + sizeof header, payload.data(), payload.size());
  return frame;
}

void send_error_frame(int socket, const Error& error) {
  const std::vector<std::byte> frame = make_error_frame(error);
  (void)::send(socket, frame.data(), frame.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace tenantd
