#include "worker/handlers/frames.h"

namespace tenantd {

void append_error(std::vector<std::byte>& out, std::uint64_t request_id, const Error& error) {
  // ErrorMessage::from cuts every text to its bound, so this cannot fail.
  (void)append_frame(out, request_id, ErrorMessage::from(error));
}

}  // namespace tenantd
