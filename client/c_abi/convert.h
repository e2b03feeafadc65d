// Between the C structures of tenantd.h and the C++ messages.
//
// Runs in: client library. The caller's structures are believed as far as C lets one: sizes are
// looked at, pointers are followed.
#pragma once

#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "client/include/tenantd/async_client.h"
#include "client/include/tenantd/client_pool.h"
#include "client/include/tenantd/tenantd.h"

struct tenantd_error {
  tenantd::Error error;
};

namespace tenantd::client {

// What one reply's pointers point into.
class ReplyView {
 public:
  ReplyView() = default;
  explicit ReplyView(RouteReply reply) { assign(std::move(reply)); }
  ReplyView(ReplyView&&) = delete;
  void assign(RouteReply reply);
  [[nodiscard]] const tenantd_route_reply* get() const noexcept { return &view_; }

 private:
  RouteReply reply_;
  std::vector<tenantd_scored_route> alternatives_;
  std::vector<tenantd_matched_word> words_;
  std::vector<tenantd_scored_route> also_;
  std::vector<tenantd_matched_rule> rules_;
  tenantd_route_reply view_{};
};

[[nodiscard]] inline std::string_view text_of(const char* text) noexcept {
  return text == nullptr ? std::string_view() : std::string_view(text);
}

// A caller's structure, of its version, as one of ours: what it does not know has its default.
// Error: invalid_argument (no size, or fields set that this version does not know).
template <class T>
[[nodiscard]] Result<T> versioned(const T* given, T defaults, std::size_t least_bytes) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (given == nullptr) return defaults;
  std::size_t size = 0;
  std::memcpy(&size, given, sizeof size);
  const auto* bytes = reinterpret_cast<const unsigned char*>(given);
  bool known = size >= least_bytes && size <= 4096;
  for (std::size_t i = sizeof(T); known && i < size; ++i) known = bytes[i] == 0;
  if (!known) {
    return fail(ErrorCode::invalid_argument, "a structure of another version than this library's",
                "initialise it with its _INIT, and link a newer libtenantd");
  }
  std::memcpy(static_cast<void*>(&defaults), given, std::min(size, sizeof(T)));
  return defaults;
}

[[nodiscard]] Result<tenantd_options> options_of(const tenantd_options* given);
[[nodiscard]] ConnectOptions connect_options(const tenantd_options& options);
[[nodiscard]] inline tenantd_rule view_of(const RuleMessage& rule) noexcept {
  return {static_cast<std::uint32_t>(rule.kind), static_cast<std::uint32_t>(rule.mode),
          rule.text.c_str()};
}
// Number `index` of an array whose items have the size that the first one says.
template <class T>
[[nodiscard]] const T* item_of(const T* items, std::size_t index) noexcept {
  std::size_t size = 0;
  std::memcpy(&size, items, sizeof size);
  return reinterpret_cast<const T*>(reinterpret_cast<const unsigned char*>(items) + index * size);
}

// Views into `given`.
[[nodiscard]] Result<RouteRequest> request_of(const tenantd_route_request* given,
                                              std::uint64_t& timeout_ms);
[[nodiscard]] Result<RoutesEdit> edit_of(const tenantd_route_edit* edits, std::size_t count);

// The error's code, and the error to whoever wants it.
int report(Error error, tenantd_error** out) noexcept;
int report_no_tenant(tenantd_error** out) noexcept;

// Runs `call`, which returns a Status; nothing escapes.
template <class Call>
int guarded(tenantd_error** error, Call&& call) noexcept {
  if (error != nullptr) *error = nullptr;
  try {
    Status done = call();
    return done ? TENANTD_OK : report(std::move(done.error()), error);
  } catch (const std::bad_alloc&) {
    return TENANTD_RESOURCE_EXHAUSTED;
  } catch (const std::exception& exception) {
    Error thrown;
    thrown.message = exception.what();
    return report(std::move(thrown), error);
  }
}

}  // namespace tenantd::client
