// The tables [encoders.NAME]: models that the host's owner offers to tenants. See value_reader.h.
//
// Runs in: the supervisor and `tenantd --check-config`. Neither reads a model: what is checked here
// is whose the files are.
#pragma once

#include <sys/types.h>

#include "supervisor/config/value_reader.h"

namespace tenantd {

// The files of a Model2Vec directory that are read.
inline constexpr std::array<std::string_view, 3> model_source_files = {
    "config.json", "tokenizer.json", "model.safetensors"};

// `node` is known to be a table.
[[nodiscard]] std::optional<ConfigValue> read_encoders(const FieldSpec& row, const TomlNode& node,
                                                       const std::string& field,
                                                       ReadContext& context);

// The directory and its files are as secure_file.h wants them: nobody else can have written them,
// no symlink leads to them. On success one line that changes whenever one of the files does.
// Errors: not_found, permission_denied, invalid_argument, internal.
[[nodiscard]] Result<std::string> stamp_model_directory(const std::string& path, uid_t daemon_uid);

}  // namespace tenantd
