// Which names in the tenants directory are tenant files.
//
// Runs in: the supervisor, on names that anybody who may write the directory chose.
#pragma once

#include <string_view>

#include "shared/base/error.h"
#include "shared/base/tenant_id.h"

namespace tenantd {

enum class FileNameKind : std::uint8_t {
  tenant,   // <valid id>.toml
  ignored,  // an editor's or a package manager's temporary, a backup, a hidden file
  other,    // neither: worth a warning (a misspelt id, a .tml)
};

// Ignored are: hidden (".x"), "x~", "#x#", "4913" (vim probes with it), and the suffixes .swp .swo
// .swx .tmp .temp .bak .orig .rej .new .part .lock .dpkg-* .rpm* .ucf-*.
[[nodiscard]] FileNameKind classify_file_name(std::string_view name);
[[nodiscard]] bool is_tenant_file_name(std::string_view name);
// The id in "<id>.toml". Errors: invalid_argument with what is wrong.
[[nodiscard]] Result<TenantId> tenant_id_of_file(std::string_view name);

}  // namespace tenantd
