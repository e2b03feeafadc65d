#include "supervisor/config/list_reader.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "supervisor/config/schema_reader.h"

namespace tenantd {
namespace {

using Kind = TomlNode::Kind;

struct IoFields {
  std::string device;
  std::uint64_t read_bps = 0;
  std::uint64_t write_bps = 0;
  std::uint64_t read_iops = 0;
  std::uint64_t write_iops = 0;
};

// Reads the items of one list; keeps going after a wrong one so that all are reported.
class ListReader {
 public:
  ListReader(const FieldSpec& row, const TomlNode& list, const std::string& field,
             ReadContext& context)
      : row_(row), list_(list), field_(field), context_(context) {}

  std::optional<ConfigValue> read() {
    if (list_.items.size() > row_.max) {
      context_.diagnostics.add(list_.place, field_,
                               std::to_string(list_.items.size()) + " entries are too many",
                               "at most " + std::to_string(row_.max));
      return std::nullopt;
    }
    switch (row_.type) {
      case ValueType::text_list:
        return each<std::string>(&ListReader::word);
      case ValueType::path_list:
        return each<std::string>(&ListReader::path);
      case ValueType::cidr_list:
        return each<std::string>(&ListReader::cidr);
      case ValueType::digest_list:
        return each<Sha256Digest>(&ListReader::digest);
      case ValueType::user_list:
      case ValueType::group_list:
        return each<std::uint32_t>(&ListReader::account);
      default:
        return each<IoLimit>(&ListReader::io_limit);
    }
  }

 private:
  template <class T>
  std::optional<ConfigValue> each(std::optional<T> (ListReader::*read_item)(const TomlNode&)) {
    std::vector<T> values;
    bool all_good = true;
    for (const TomlNode& item : list_.items) {
      std::optional<T> value = (this->*read_item)(item);
      if (value) {
        values.push_back(*std::move(value));
      } else {
        all_good = false;
      }
    }
    if (!all_good) return std::nullopt;
    return values;
  }

  std::nullopt_t refuse(const TomlNode& item, std::string message, std::string hint = {}) {
    context_.diagnostics.add(item.place, field_, std::move(message), std::move(hint));
    return std::nullopt;
  }

  std::nullopt_t refuse_kind(const TomlNode& item, std::string_view wanted) {
    return refuse(item, "expected " + std::string(wanted) + " in the list, got " +
                            std::string(kind_name(item.kind)));
  }

  std::optional<std::string> word(const TomlNode& item) {
    if (item.kind != Kind::text) return refuse_kind(item, "a string");
    const std::string& text = item.text;
    if (row_.choices.empty()) {
      if (text.empty() || text.size() > 63 || has_control_characters(text)) {
        return refuse(item, quoted(text) + " is empty, too long or holds control characters",
                      "1 to 63 bytes");
      }
      return text;
    }
    if (std::find(row_.choices.begin(), row_.choices.end(), text) != row_.choices.end()) {
      return text;
    }
    const auto near = nearest_name(text, row_.choices);
    return refuse(item, "unknown name " + quoted(text),
                  near ? "did you mean " + quoted(*near) + "?" : "expected " + expectation(row_));
  }

  std::optional<std::string> path(const TomlNode& item) {
    if (item.kind != Kind::text) return refuse_kind(item, "a string");
    if (is_clean_absolute_path(item.text)) return item.text;
    return refuse(item, quoted(item.text) + " is not an absolute path",
                  "begin with /, without \".\", \"..\", \"//\" and a slash at the end");
  }

  std::optional<std::string> cidr(const TomlNode& item) {
    if (item.kind != Kind::text) return refuse_kind(item, "a string");
    if (is_cidr(item.text)) return item.text;
    return refuse(item, quoted(item.text) + " is not a network",
                  "address/prefix with no bits behind the prefix, such as \"203.0.113.0/24\"");
  }

  std::optional<Sha256Digest> digest(const TomlNode& item) {
    if (item.kind != Kind::text) return refuse_kind(item, "a string");
    if (const auto parsed = parse_digest(item.text)) return parsed;
    // The text is not shown: somebody may have pasted the token itself.
    return refuse(item, "not a SHA-256 digest",
                  "64 hexadecimal digits: printf %s \"$TOKEN\" | sha256sum");
  }

  std::optional<std::uint32_t> account(const TomlNode& item) {
    // -1 means "no change" to the kernel and is nobody's id.
    constexpr std::int64_t max_id = 0xFFFFFFFELL;
    const bool is_user = row_.type == ValueType::user_list;
    const std::string noun = is_user ? "user" : "group";
    if (item.kind == Kind::integer) {
      if (item.integer >= 0 && item.integer <= max_id) {
        return static_cast<std::uint32_t>(item.integer);
      }
      return refuse(item, std::to_string(item.integer) + " is not a " + noun + " id");
    }
    if (item.kind != Kind::text) return refuse_kind(item, "a name or a number");
    const std::string& name = item.text;
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (!name.empty() && error == std::errc{} && end == name.data() + name.size() &&
        number <= max_id) {
      return number;
    }
    std::optional<std::uint32_t> id;
    if (!name.empty() && name.size() <= 255 && name.find('\0') == std::string::npos) {
      id = is_user ? context_.accounts.user_id(name) : context_.accounts.group_id(name);
    }
    if (id) return id;
    return refuse(item, "no " + noun + " " + quoted(name) + " on this host",
                  "create the " + noun + ", or give its number");
  }

  std::optional<IoLimit> io_limit(const TomlNode& item) {
    if (item.kind != Kind::table) return refuse_kind(item, "a table { device = ... }");
    const auto index = static_cast<std::size_t>(&item - list_.items.data());
    const std::string prefix = field_ + '[' + std::to_string(index) + "].";
    IoFields fields;
    bool has_device = false;
    for (ReadField& read : read_fields(io_fields(), item, prefix, context_)) {
      has_device = has_device || read.row->type == ValueType::device;
      read.row->store(&fields, std::move(read.value));
    }
    if (!has_device) return std::nullopt;  // reported by read_fields
    IoLimit limit{0, 0, fields.read_bps, fields.write_bps, fields.read_iops, fields.write_iops};
    const char* const text = fields.device.data();
    const auto major_end = std::from_chars(text, text + fields.device.size(), limit.major).ptr;
    (void)std::from_chars(major_end + 1, text + fields.device.size(), limit.minor);
    if (limit == IoLimit{limit.major, limit.minor, 0, 0, 0, 0}) {
      return refuse(item, "no limit for device " + fields.device,
                    "set read_bps, write_bps, read_iops or write_iops");
    }
    return limit;
  }

  const FieldSpec& row_;
  const TomlNode& list_;
  const std::string& field_;
  ReadContext& context_;
};

}  // namespace

std::optional<ConfigValue> read_list(const FieldSpec& row, const TomlNode& node,
                                     const std::string& field, ReadContext& context) {
  return ListReader(row, node, field, context).read();
}

std::span<const FieldSpec> io_fields() {
  static constexpr std::uint64_t max_rate = std::uint64_t{1} << 50U;
  static const std::array<FieldSpec, 5> rows = {bind_field < IoFields,
                                                [](auto& io) -> auto& {return io.device;
}
> ({.key = "device",
    .type = ValueType::device,
    .min = 3,
    .max = 21,
    .required = true,
    .doc = "major:minor of the block device, as in /proc/partitions"}),
    bind_field < IoFields, [](auto& io) -> auto& {
  return io.read_bps;
}
> ({.key = "read_bps",
    .type = ValueType::size,
    .min = 4096,
    .max = max_rate,
    .doc = "bytes read a second"}),
    bind_field < IoFields, [](auto& io) -> auto& {
  return io.write_bps;
}
> ({.key = "write_bps",
    .type = ValueType::size,
    .min = 4096,
    .max = max_rate,
    .doc = "bytes written a second"}),
    bind_field < IoFields, [](auto& io) -> auto& {
  return io.read_iops;
}
> ({.key = "read_iops",
    .type = ValueType::integer,
    .min = 1,
    .max = 1'000'000'000,
    .doc = "reads a second"}),
    bind_field < IoFields, [](auto& io) -> auto& {
  return io.write_iops;
}
> ({.key = "write_iops",
    .type = ValueType::integer,
    .min = 1,
    .max = 1'000'000'000,
    .doc = "writes a second"}),
};  // namespace tenantd
return rows;
}

bool is_cidr(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos || text.find('\0') != std::string_view::npos) return false;
  const std::string address(text.substr(0, slash));
  const std::string_view prefix_text = text.substr(slash + 1);
  unsigned prefix = 0;
  const char* const prefix_end = prefix_text.data() + prefix_text.size();
  const auto [end, error] = std::from_chars(prefix_text.data(), prefix_end, prefix);
  if (error != std::errc{} || end != prefix_end) return false;
  std::array<std::uint8_t, 16> bytes{};
  unsigned bits = 0;
  if (::inet_pton(AF_INET, address.c_str(), bytes.data()) == 1) {
    bits = 32;
  } else if (::inet_pton(AF_INET6, address.c_str(), bytes.data()) == 1) {
    bits = 128;
  } else {
    return false;
  }
  if (prefix > bits) return false;
  for (unsigned bit = prefix; bit < bits; ++bit) {
    if ((bytes[bit / 8] >> (7 - bit % 8) & 1) != 0) return false;
  }
  return true;
}

std::optional<Sha256Digest> parse_digest(std::string_view text) {
  Sha256Digest digest{};
  if (text.size() != 2 * digest.size()) return std::nullopt;
  for (std::size_t i = 0; i < digest.size(); ++i) {
    const char* const pair = text.data() + 2 * i;
    const auto [end, error] = std::from_chars(pair, pair + 2, digest[i], 16);
    if (error != std::errc{} || end != pair + 2) return std::nullopt;
  }
  return digest;
}

bool is_clean_absolute_path(std::string_view text) {
  if (text.empty() || text.front() != '/' || text.size() > 4095) return false;
  if (text == "/") return true;
  if (has_control_characters(text)) return false;
  std::string_view rest = text.substr(1);
  while (true) {
    const std::size_t slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == std::string_view::npos) return true;
    rest.remove_prefix(slash + 1);
  }
}

}  // namespace tenantd
