#include "supervisor/config/value_reader.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "supervisor/config/encoder_reader.h"
#include "supervisor/config/list_reader.h"
#include "supervisor/config/path_table_reader.h"

namespace tenantd {
namespace {

using Kind = TomlNode::Kind;

std::string real_text(double value) {
  char buffer[32];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  return error == std::errc{} ? std::string(buffer, end) : std::string("?");
}

// A bound in the row's own unit.
std::string bound_text(ValueType type, std::uint64_t bound) {
  switch (type) {
    case ValueType::size:
      return format_size(bound);
    case ValueType::duration:
      return format_duration(bound);
    case ValueType::cpu:
      return format_cpu(bound);
    default:
      return std::to_string(bound);
  }
}

std::string range_text(const FieldSpec& row) {
  return "from " + bound_text(row.type, row.min) + " to " + bound_text(row.type, row.max);
}

std::string choices_text(std::span<const std::string_view> choices) {
  std::string out;
  for (const std::string_view choice : choices) {
    if (!out.empty()) out += ", ";
    out += quoted(choice);
  }
  return out;
}

class ValueReader {
 public:
  ValueReader(const FieldSpec& row, const TomlNode& node, const std::string& field,
              ReadContext& context)
      : row_(row), node_(node), field_(field), context_(context) {}

  std::optional<ConfigValue> read() {
    switch (row_.type) {
      case ValueType::boolean:
        if (node_.kind != Kind::boolean) return wrong_type();
        return node_.boolean;
      case ValueType::integer:
        return read_integer();
      case ValueType::real:
        return read_real();
      case ValueType::text:
      case ValueType::path:
      case ValueType::choice:
      case ValueType::device:
      case ValueType::money:
      case ValueType::size:
      case ValueType::duration:
      case ValueType::cpu:
        return node_.kind == Kind::text ? read_text() : wrong_type();
      case ValueType::encoder_tables:
        return node_.kind == Kind::table ? read_encoders(row_, node_, field_, context_)
                                         : wrong_type();
      case ValueType::path_table:
        return node_.kind == Kind::table ? read_path_table(row_, node_, field_, context_)
                                         : wrong_type();
      default:
        return node_.kind == Kind::list ? read_list(row_, node_, field_, context_) : wrong_type();
    }
  }

 private:
  std::nullopt_t refuse(std::string message, std::string hint = {}) {
    context_.diagnostics.add(node_.place, field_, std::move(message), std::move(hint));
    return std::nullopt;
  }

  std::nullopt_t wrong_type() {
    return refuse("expected " + expectation(row_) + ", got " + std::string(kind_name(node_.kind)),
                  conversion_hint());
  }

  // How the value would be written if it only lacks its quotes and unit.
  std::string conversion_hint() const {
    const bool number = node_.kind == Kind::integer || node_.kind == Kind::real;
    const std::string digits =
        node_.kind == Kind::integer ? std::to_string(node_.integer) : real_text(node_.real);
    if (row_.type == ValueType::money && number) {
      return "money is a decimal string with its currency, never a number: such as \"10000.00 "
             "USD\"";
    }
    if (row_.type == ValueType::cpu && number && node_.kind == Kind::real) {
      return "write it as a percentage of one CPU, such as \"50%\"";
    }
    if (node_.kind == Kind::integer && node_.integer >= 0) {
      if (row_.type == ValueType::duration) return "write \"" + digits + "s\" for seconds";
      if (row_.type == ValueType::size) return "write \"" + digits + "M\" or \"" + digits + "G\"";
      if (row_.type == ValueType::cpu) return "write \"" + digits + "%\" for percent of one CPU";
    }
    if (node_.kind == Kind::text) {
      if (row_.type == ValueType::integer || row_.type == ValueType::real) {
        return "write the number without quotes";
      }
      if (row_.type == ValueType::boolean) return "write true or false without quotes";
      if (row_.type >= ValueType::text_list && row_.type < ValueType::encoder_tables)
        return "put it in brackets: [" + quoted(node_.text) + "]";
    }
    return {};
  }

  std::optional<ConfigValue> read_integer() {
    if (node_.kind != Kind::integer) return wrong_type();
    if (node_.integer < 0) return out_of_range(std::to_string(node_.integer));
    return in_range(static_cast<std::uint64_t>(node_.integer));
  }

  std::optional<ConfigValue> in_range(std::uint64_t value) {
    if (value < row_.min || value > row_.max) return out_of_range(bound_text(row_.type, value));
    return value;
  }

  std::nullopt_t out_of_range(const std::string& shown) {
    return refuse(shown + " is out of range", "must be " + range_text(row_));
  }

  std::optional<ConfigValue> read_real() {
    if (node_.kind != Kind::real && node_.kind != Kind::integer) return wrong_type();
    const double value = node_.kind == Kind::real ? node_.real : static_cast<double>(node_.integer);
    // Written so that NaN is refused.
    if (!(value >= row_.real_min && value <= row_.real_max)) {
      return refuse(real_text(value) + " is out of range",
                    "must be from " + real_text(row_.real_min) + " to " + real_text(row_.real_max));
    }
    return value;
  }

  std::optional<ConfigValue> read_text() {
    const std::string& text = node_.text;
    switch (row_.type) {
      case ValueType::size:
        return read_unit(parse_size_bytes(text));
      case ValueType::duration:
        return read_unit(parse_duration_ms(text));
      case ValueType::cpu:
        return read_unit(parse_cpu_millicores(text));
      case ValueType::choice:
        return read_choice();
      case ValueType::money: {
        Result<Money> money = parse_money(text);
        if (!money)
          return refuse(quoted(text) + " is " + money.error().message, money.error().hint);
        return *std::move(money);
      }
      case ValueType::path:
        if (!is_clean_absolute_path(text)) {
          return refuse(quoted(text) + " is not an absolute path",
                        "begin with /, without \".\", \"..\", \"//\" and a slash at the end");
        }
        return text;
      default:
        return read_plain_text();
    }
  }

  std::optional<ConfigValue> read_unit(const Result<std::uint64_t>& parsed) {
    if (!parsed)
      return refuse(quoted(node_.text) + " is " + parsed.error().message, parsed.error().hint);
    return in_range(*parsed);
  }

  std::optional<ConfigValue> read_choice() {
    const auto found = std::find(row_.choices.begin(), row_.choices.end(), node_.text);
    if (found == row_.choices.end()) {
      const auto near = nearest_name(node_.text, row_.choices);
      return refuse(quoted(node_.text) + " is not one of " + choices_text(row_.choices),
                    near ? "did you mean " + quoted(*near) + "?" : std::string());
    }
    return static_cast<std::uint64_t>(found - row_.choices.begin());
  }

  std::optional<ConfigValue> read_plain_text() {
    const std::string& text = node_.text;
    if (text.size() < row_.min || text.size() > row_.max) {
      return refuse(std::to_string(text.size()) + " bytes are " +
                        (text.size() < row_.min ? "too few" : "too many"),
                    "must be " + range_text(row_) + " bytes");
    }
    if (has_control_characters(text)) {
      return refuse(quoted(text) + " holds a control character");
    }
    if (row_.type == ValueType::device && !is_device(text)) {
      return refuse(quoted(text) + " is not a device",
                    "major:minor as in /proc/partitions: \"8:0\"");
    }
    return text;
  }

  static bool is_device(std::string_view text) {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) return false;
    const auto is_number = [](std::string_view part) {
      std::uint32_t number = 0;
      const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number);
      return !part.empty() && error == std::errc{} && end == part.data() + part.size();
    };
    return is_number(text.substr(0, colon)) && is_number(text.substr(colon + 1));
  }

  const FieldSpec& row_;
  const TomlNode& node_;
  const std::string& field_;
  ReadContext& context_;
};

}  // namespace

std::optional<ConfigValue> read_value(const FieldSpec& row, const TomlNode& node,
                                      const std::string& field, ReadContext& context) {
  return ValueReader(row, node, field, context).read();
}

std::string expectation(const FieldSpec& row) {
  const std::string most = "at most " + std::to_string(row.max) + ' ';
  switch (row.type) {
    case ValueType::text:
      return "a string of " + std::to_string(row.min) + " to " + std::to_string(row.max) + " bytes";
    case ValueType::boolean:
      return "true or false";
    case ValueType::integer:
      return "a whole number " + range_text(row);
    case ValueType::real:
      return "a number from " + real_text(row.real_min) + " to " + real_text(row.real_max);
    case ValueType::size:
      return "a size such as \"64M\", " + range_text(row);
    case ValueType::duration:
      return "a time such as \"30s\", " + range_text(row);
    case ValueType::cpu:
      return "a percentage of one CPU such as \"50%\", " + range_text(row);
    case ValueType::money:
      return "an amount such as \"10000.00 USD\"";
    case ValueType::choice:
      return "one of " + choices_text(row.choices);
    case ValueType::text_list:
      if (!row.choices.empty()) return "a list of " + choices_text(row.choices);
      return "a list of " + most + "strings";
    case ValueType::cidr_list:
      return "a list of " + most + "networks such as \"203.0.113.0/24\"";
    case ValueType::digest_list:
      return "a list of " + most + "SHA-256 digests (64 hex digits)";
    case ValueType::path:
      return "an absolute path";
    case ValueType::path_list:
      return "a list of " + most + "absolute paths";
    case ValueType::user_list:
      return "a list of " + most + "user names or numbers";
    case ValueType::group_list:
      return "a list of " + most + "group names or numbers";
    case ValueType::io_list:
      return "a list of " + most + "tables, one a block device";
    case ValueType::device:
      return "a device such as \"8:0\"";
    case ValueType::encoder_tables:
      return most + "tables `[encoders.NAME]`";
    case ValueType::path_table:
      return "a table of " + most + "names with absolute paths";
  }
  return "a value";
}

Result<std::uint64_t> parse_cpu_millicores(std::string_view text) {
  std::uint64_t percent = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), percent);
  const bool is_percent = error == std::errc{} && end + 1 == text.data() + text.size() &&
                          *end == '%' && percent <= 1'000'000;
  if (!is_percent) {
    return fail(ErrorCode::invalid_argument, "not a share of CPU time",
                "a whole percentage of one CPU, such as \"50%\" or \"200%\"");
  }
  return percent * 10;
}

std::string format_cpu(std::uint64_t millicores) { return std::to_string(millicores / 10) + '%'; }

std::string format_duration(std::uint64_t duration_ms) {
  struct Unit {
    std::uint64_t factor;
    std::string_view name;
  };
  static constexpr Unit units[] = {{86'400'000, "d"}, {3'600'000, "h"}, {60'000, "m"}, {1000, "s"}};
  for (const Unit& unit : units) {
    if (duration_ms != 0 && duration_ms % unit.factor == 0) {
      return std::to_string(duration_ms / unit.factor) + std::string(unit.name);
    }
  }
  return std::to_string(duration_ms) + "ms";
}

}  // namespace tenantd
