// Every problem of a configuration file, collected: a file is reported whole, not one mistake at a
// time.
//
// Runs in: the supervisor and `tenantd --check-config`. File content that gets into a message is
// made printable first, so that a file cannot write control sequences to a terminal or a log.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/error.h"

namespace tenantd {

// A place in a file, both 1-based; 0: none.
struct Place {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

class Diagnostics {
 public:
  // Further problems are counted, not kept.
  static constexpr std::size_t max_kept = 64;

  // `file` is shown in front of every problem; `tenant` may be empty.
  explicit Diagnostics(std::string file, std::string tenant = {})
      : file_(std::move(file)), tenant_(std::move(tenant)) {}

  void add(Place place, std::string field, std::string message, std::string hint = {},
           ErrorCode code = ErrorCode::invalid_config);
  // An error made elsewhere (reading the file): file and tenant are filled in where empty.
  void add(Error error);

  // What is added from now on is only counted: suggestions for it would be work for nothing.
  [[nodiscard]] bool full() const noexcept { return errors_.size() >= max_kept; }
  [[nodiscard]] bool empty() const noexcept { return errors_.empty(); }
  // Sorted by place. The last entry says how many more there were, if any. Leaves this empty.
  [[nodiscard]] std::vector<Error> take();

 private:
  std::string file_;
  std::string tenant_;
  std::vector<Error> errors_;
  std::size_t dropped_ = 0;
};

// Value or all problems (never an empty list).
template <class T>
using Checked = tl::expected<T, std::vector<Error>>;

// shared/base/suggest.h for a file's word: nothing for one too long to be a slip (the search takes
// time in proportion to its length).
[[nodiscard]] std::optional<std::string_view> nearest_name(
    std::string_view word, std::span<const std::string_view> candidates);
// One line a problem, each ended by '\n', as Error::describe gives it.
[[nodiscard]] std::string describe_all(const std::vector<Error>& errors);
// Control characters as \xNN, at most `max_shown` bytes (then "..."); other UTF-8 is left alone.
[[nodiscard]] std::string printable(std::string_view text, std::size_t max_shown = 80);
// C0, DEL or C1 controls (U+0000..U+001F, U+007F..U+009F).
[[nodiscard]] bool has_control_characters(std::string_view text);
// printable() in double quotes.
[[nodiscard]] std::string quoted(std::string_view text);

}  // namespace tenantd
