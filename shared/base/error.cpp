#include "shared/base/error.h"

#include <cstring>

namespace tenantd {

std::string_view error_code_name(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::internal:
      return "internal";
    case ErrorCode::invalid_argument:
      return "invalid_argument";
    case ErrorCode::not_found:
      return "not_found";
    case ErrorCode::already_exists:
      return "already_exists";
    case ErrorCode::permission_denied:
      return "permission_denied";
    case ErrorCode::unavailable:
      return "unavailable";
    case ErrorCode::deadline_exceeded:
      return "deadline_exceeded";
    case ErrorCode::invalid_config:
      return "invalid_config";
    case ErrorCode::resource_exhausted:
      return "resource_exhausted";
    case ErrorCode::protocol_error:
      return "protocol_error";
    case ErrorCode::encoder_mismatch:
      return "encoder_mismatch";
    case ErrorCode::encoder_unavailable:
      return "encoder_unavailable";
    case ErrorCode::wrong_dimension:
      return "wrong_dimension";
    case ErrorCode::invalid_vector:
      return "invalid_vector";
    case ErrorCode::store_degraded:
      return "store_degraded";
    case ErrorCode::unsupported:
      return "unsupported";
    case ErrorCode::no_tenant:
      return "no_tenant";
    case ErrorCode::draining:
      return "draining";
    case ErrorCode::quarantined:
      return "quarantined";
    case ErrorCode::layer_missing:
      return "layer_missing";
  }
  return "unknown";
}

int exit_code_for(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::not_found:
      return 3;
    case ErrorCode::permission_denied:
    case ErrorCode::already_exists:
    case ErrorCode::resource_exhausted:
    case ErrorCode::no_tenant:
    case ErrorCode::layer_missing:
      return 4;
    case ErrorCode::unavailable:
    case ErrorCode::deadline_exceeded:
    case ErrorCode::draining:
    case ErrorCode::quarantined:
    case ErrorCode::store_degraded:
      return 5;
    case ErrorCode::invalid_config:
      return 6;
    default:
      return 1;
  }
}

std::string Error::describe() const {
  std::string out;
  if (!file.empty()) {
    out += file;
    if (line != 0) out += ':' + std::to_string(line);
    if (column != 0) out += ':' + std::to_string(column);
    out += ": ";
  }
  if (!tenant.empty()) out += "tenant " + tenant + ": ";
  if (!field.empty()) out += field + ": ";
  out += message;
  if (!hint.empty()) out += " (" + hint + ")";
  return out;
}

tl::unexpected<Error> fail_errno(std::string_view what, int saved_errno) {
  Error error;
  error.os_errno = saved_errno;
  error.message = std::string(what) + ": " + std::strerror(saved_errno);
  return tl::unexpected<Error>(std::move(error));
}

}  // namespace tenantd
