#include "control/options.h"

#include <charconv>
#include <string_view>

#include "shared/contract/process_contract.h"

namespace tenantd {
namespace {

Status read_number(std::string_view text, std::uint64_t& out) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value == 0) {
    return fail(ErrorCode::invalid_argument, std::string(text) + " is no positive number");
  }
  out = value;
  return {};
}

}  // namespace

Result<ControlOptions> parse_control_options(int count, char** arguments) {
  ControlOptions options;
  options.data_directory = data_path;
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string_view name = arguments[i];
    const std::string_view value = arguments[i + 1];
    Status status;
    if (name == "--data") {
      options.data_directory = value;
    } else if (name == "--frame-timeout-ms") {
      status = read_number(value, options.connection.frame_timeout_ms);
    } else if (name == "--ledger-rows") {
      status = read_number(value, options.ledger.max_rows);
      options.ledger.max_rows_of_tenant = options.ledger.max_rows;
    } else if (name == "--first-sweep-ms") {
      status = read_number(value, options.first_sweep_ms);
    } else {
      return fail(ErrorCode::invalid_argument, "unknown option " + std::string(name));
    }
    if (!status) return fail(status.error());
  }
  if (count % 2 == 0) {
    return fail(ErrorCode::invalid_argument,
                std::string(arguments[count - 1]) + " lacks its value");
  }
  return options;
}

}  // namespace tenantd
