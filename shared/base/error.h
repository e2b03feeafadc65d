// The one error object and Result<T>, used by every process and every message that can fail.
//
// Runs in: everything. Trusts nothing; holds only values. Library code returns errors and does not
// log.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace tenantd {

// Stable numbers: they travel in error frames. Append only.
enum class ErrorCode : std::uint16_t {
  internal = 1,              // a bug or an unexpected operating system error
  invalid_argument = 2,      // the caller's value is wrong
  not_found = 3,             // no such tenant, route, file
  already_exists = 4,        // a duplicate id
  permission_denied = 5,     // the credential does not grant this
  unavailable = 6,           // try again: worker starting, restarting or gone
  deadline_exceeded = 7,     // the caller's deadline passed
  invalid_config = 8,        // a configuration file is wrong: file, line, field say where
  resource_exhausted = 9,    // a bound of this tenant is reached
  protocol_error = 10,       // malformed, oversized or unexpected bytes
  encoder_mismatch = 11,     // vectors of different encoders cannot be compared
  encoder_unavailable = 12,  // text needs an encoder that this worker does not have
  wrong_dimension = 13,      // the embedding's length is not the tenant's dimension
  invalid_vector = 14,       // NaN, infinity or zero length
  store_degraded = 15,       // the tenant's database is corrupt, full or read-only
  unsupported = 16,          // a known request that this version or host cannot do
  no_tenant = 17,            // a call outside a tenant context
  draining = 18,             // the worker is going away; the request never ran
  quarantined = 19,          // the worker crash-looped; an operator must look
  layer_missing = 20,        // the host lacks a required confinement layer
};

// snake_case name of a code, as shown in JSON and logs; "unknown" for a number outside the list.
[[nodiscard]] std::string_view error_code_name(ErrorCode code) noexcept;
// Exit status of a command that ends with this error: 1 failed, 3 not found, 4 refused,
// 5 unavailable, 6 invalid configuration (2, usage, is the argument parser's).
[[nodiscard]] int exit_code_for(ErrorCode code) noexcept;

struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;
  std::string tenant;  // id, empty when the error is not about one tenant
  std::string field;   // "router.threshold"
  std::string file;
  std::uint32_t line = 0;    // 1-based; 0: not about a place in a file
  std::uint32_t column = 0;  // 1-based
  std::string hint;          // how to mend it
  std::uint32_t retry_after_ms = 0;
  int os_errno = 0;  // errno where a system call failed; 0 otherwise; never sent to a peer

  // "file:line:column: field: message (hint)" with the parts that are set.
  [[nodiscard]] std::string describe() const;
  friend bool operator==(const Error&, const Error&) = default;
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

[[nodiscard]] inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}
[[nodiscard]] inline tl::unexpected<Error> fail(ErrorCode code, std::string message,
                                                std::string hint = {}) {
  Error error;
  error.code = code;
  error.message = std::move(message);
  error.hint = std::move(hint);
  return tl::unexpected<Error>(std::move(error));
}
// invalid_argument about one field of what was asked.
[[nodiscard]] inline tl::unexpected<Error> fail_field(std::string field, std::string message) {
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.field = std::move(field);
  error.message = std::move(message);
  return tl::unexpected<Error>(std::move(error));
}
// "<what>: <strerror>" with ErrorCode::internal. `saved_errno` must be read before anything else.
[[nodiscard]] tl::unexpected<Error> fail_errno(std::string_view what, int saved_errno);

}  // namespace tenantd
