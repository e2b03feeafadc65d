// One row of a configuration table: a key, what it may hold, and what becomes of it.
//
// Runs in: the supervisor. Parsing, validation, "did you mean", change classes and the reference
// page all come from these rows, so that they cannot disagree.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "shared/base/units.h"
#include "shared/contract/process_contract.h"
#include "shared/contract/resource_limits.h"

namespace tenantd {

using Sha256Digest = std::array<std::uint8_t, 32>;

enum class ValueType : std::uint8_t {
  text,  // min..max bytes, no control characters
  boolean,
  integer,      // min..max
  real,         // real_min..real_max
  size,         // "64M"; min..max bytes
  duration,     // "30s"; min..max milliseconds
  cpu,          // "50%" of one CPU; min..max millicores
  money,        // "10000.00 USD"
  choice,       // one of `choices`
  text_list,    // at most max strings, each one of `choices` if there are any
  cidr_list,    // at most max networks, IPv4 or IPv6
  digest_list,  // at most max SHA-256 digests, 64 hexadecimal digits
  path,         // absolute, without "." and ".."
  path_list,    // at most max of them
  user_list,    // at most max names or numbers
  group_list,
  io_list,         // at most max tables, see io_fields()
  device,          // "8:0"
  encoder_tables,  // at most max tables [encoders.NAME], see encoder_fields()
  path_table,      // at most max absolute paths by name
};

enum class Enforcement : std::uint8_t {
  enforced,
  not_enforced,            // parsed, shown in status
  refuse_unless_accepted,  // refuses the tenant unless tenantd.toml's accept_unenforced lists the
                           // key
};

// What a change of the key takes.
enum class Applies : std::uint8_t {
  supervisor,      // nothing: only the supervisor uses it
  live_settings,   // a message to the running worker
  live_resources,  // a write to the tenant's cgroup
  access,          // the next hello sees it; attachments stay
  new_worker,      // the worker is replaced
  daemon_reload,   // tenantd.toml, with SIGHUP
  daemon_restart,  // tenantd.toml, with a restart of tenantd (workers go on)
};

// [encoders.NAME] of tenantd.toml.
struct EncoderConfig {
  std::string name;
  std::string path;  // a Model2Vec directory as published
  friend bool operator==(const EncoderConfig&, const EncoderConfig&) = default;
};

// A path of the host that its owner gives a name.
struct NamedPath {
  std::string name;
  std::string path;
  friend bool operator==(const NamedPath&, const NamedPath&) = default;
};

using ConfigValue =
    std::variant<bool, std::uint64_t, double, std::string, Money, std::vector<std::string>,
                 std::vector<std::uint32_t>, std::vector<Sha256Digest>, std::vector<IoLimit>,
                 std::vector<EncoderConfig>, std::vector<NamedPath>>;

struct FieldSpec {
  std::string_view section{};  // empty: the top of the file
  std::string_view key{};
  ValueType type = ValueType::text;
  std::uint64_t min = 0;
  std::uint64_t max = 0;
  double real_min = 0;
  double real_max = 0;
  std::span<const std::string_view> choices{};
  // Defaults as TOML literals; empty: none. `plan_defaults` (standard, premium, platinum) wins if
  // set.
  std::string_view fallback{};
  std::array<std::string_view, 3> plan_defaults{};
  std::string_view example{};  // a TOML literal
  Enforcement enforcement = Enforcement::enforced;
  Applies applies = Applies::supervisor;
  bool required = false;  // of rows without a section only
  std::string_view doc{};
  // How a value gets into the struct that the table belongs to, and whether two structs agree on
  // it. `store` runs only for a value that was read by this row.
  void (*store)(void* config, ConfigValue&& value) = nullptr;
  bool (*same)(const void* a, const void* b) = nullptr;
  // Appends the value, the same text for the same value in every run. Null for money and lists but
  // those of texts: no new_worker row holds them.
  void (*print)(const void* config, std::string& text) = nullptr;

  // "router.threshold"
  [[nodiscard]] std::string full_name() const {
    return section.empty() ? std::string(key) : std::string(section) + '.' + std::string(key);
  }
};

// Assignments from what the reader produces to a struct's member.
template <class T>
void store_value(T& target, ConfigValue&& value) {
  if constexpr (std::is_same_v<T, bool>) {
    target = std::get<bool>(value);
  } else if constexpr (std::is_enum_v<T> || std::is_integral_v<T>) {
    target = static_cast<T>(std::get<std::uint64_t>(value));  // the row's max fits T
  } else if constexpr (std::is_floating_point_v<T>) {
    target = static_cast<T>(std::get<double>(value));
  } else if constexpr (requires {
                         typename T::value_type;
                         target.emplace();
                         target.reset();
                       }) {
    store_value(target.emplace(), std::move(value));
  } else {
    target = std::get<T>(std::move(value));
  }
}

template <class T>
concept PrintableValue = std::is_integral_v<T> || std::is_enum_v<T> ||
    std::is_same_v<T, std::string> || std::is_same_v<T, std::vector<std::string>>;

template <PrintableValue T>
void print_value(const T& value, std::string& text) {
  if constexpr (std::is_same_v<T, std::string>) {
    text += value;
  } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
    for (const std::string& one : value) text += one + '\n';  // no text holds control characters
  } else {
    text += std::to_string(static_cast<std::uint64_t>(value));
  }
}
// Unset prints nothing.
template <PrintableValue T>
void print_value(const std::optional<T>& value, std::string& text) {
  if (value) print_value(*value, text);
}

// A row for the member that `Access` (a captureless generic lambda returning a reference) names.
template <class Config, auto Access>
[[nodiscard]] FieldSpec bind_field(FieldSpec row) {
  row.store = [](void* config, ConfigValue&& value) {
    store_value(Access(*static_cast<Config*>(config)), std::move(value));
  };
  row.same = [](const void* a, const void* b) {
    return Access(*static_cast<const Config*>(a)) == Access(*static_cast<const Config*>(b));
  };
  if constexpr (requires(const Config& config, std::string& text) {
                  print_value(Access(config), text);
                }) {
    row.print = [](const void* config, std::string& text) {
      print_value(Access(*static_cast<const Config*>(config)), text);
    };
  }
  return row;
}

}  // namespace tenantd
