#include "shared/protocol/messages.h"

namespace tenantd {

const MessageRule* find_message_rule(std::uint16_t type) noexcept {
  for (const MessageRule& rule : message_rules) {
    if (static_cast<std::uint16_t>(rule.type) == type) return &rule;
  }
  return nullptr;
}

ErrorMessage ErrorMessage::from(const Error& error) {
  ErrorMessage wire;
  wire.code = static_cast<std::uint16_t>(error.code);
  wire.message = error.message.substr(0, 1024);
  wire.tenant = error.tenant.substr(0, 64);
  wire.field = error.field.substr(0, 128);
  wire.file = error.file.substr(0, 512);
  wire.line = error.line;
  wire.column = error.column;
  wire.hint = error.hint.substr(0, 1024);
  wire.retry_after_ms = error.retry_after_ms;
  return wire;
}

Error ErrorMessage::to_error() const {
  Error error;
  const auto known = static_cast<ErrorCode>(code);
  error.code = error_code_name(known) == "unknown" ? ErrorCode::internal : known;
  error.message = message;
  error.tenant = tenant;
  error.field = field;
  error.file = file;
  error.line = line;
  error.column = column;
  error.hint = hint;
  error.retry_after_ms = retry_after_ms;
  return error;
}

}  // namespace tenantd
