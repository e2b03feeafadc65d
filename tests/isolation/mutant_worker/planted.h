// Who the mutant workers are about: the two tenants that the verifier plants.
//
// Runs in: the sandbox, in place of a pooled worker. Test only.
#pragma once

#include <string_view>

namespace tenantd {

inline bool is_intruder(std::string_view id) { return id.starts_with("tenantd-verify-a-"); }
inline bool is_owner(std::string_view id) { return id.starts_with("tenantd-verify-b-"); }

}  // namespace tenantd
