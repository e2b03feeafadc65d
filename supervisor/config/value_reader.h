// One value of a configuration file, checked against its row.
//
// Runs in: the supervisor, on untrusted values.
#pragma once

#include <optional>
#include <string>

#include "supervisor/config/account_resolver.h"
#include "supervisor/config/diagnostics.h"
#include "supervisor/config/field_spec.h"
#include "supervisor/config/toml_document.h"

namespace tenantd {

// What reading needs beside the file. Refers to objects that outlive it.
struct ReadContext {
  const AccountResolver& accounts;
  Diagnostics& diagnostics;
};

// nullopt: the value is wrong and every reason has been added to the diagnostics under `field`.
[[nodiscard]] std::optional<ConfigValue> read_value(const FieldSpec& row, const TomlNode& node,
                                                    const std::string& field, ReadContext& context);
// What a row takes, for people: `a size such as "64M", from 16M to 1024G`.
[[nodiscard]] std::string expectation(const FieldSpec& row);

// "50%" of one CPU to 500; "250%" to 2500. Errors: invalid_argument.
[[nodiscard]] Result<std::uint64_t> parse_cpu_millicores(std::string_view text);
[[nodiscard]] std::string format_cpu(std::uint64_t millicores);
// "7d", "36h", "250ms": the largest unit that is exact.
[[nodiscard]] std::string format_duration(std::uint64_t duration_ms);

// The keys of one table of resources.io.
[[nodiscard]] std::span<const FieldSpec> io_fields();
// The rows of one table [encoders.NAME] in tenantd.toml.
[[nodiscard]] std::span<const FieldSpec> encoder_fields();

}  // namespace tenantd
