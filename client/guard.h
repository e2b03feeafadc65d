// The library's promise to throw nothing: what the standard library throws becomes an error here.
//
// Runs in: client library, around each public call.
#pragma once

#include <exception>

#include "shared/base/error.h"

namespace tenantd::client {

template <class Call>
[[nodiscard]] auto without_exceptions(Call&& call) noexcept -> decltype(call()) {
  try {
    return call();
  } catch (const std::exception& exception) {
    return fail(ErrorCode::resource_exhausted, exception.what());
  }
}

}  // namespace tenantd::client
