// Texts one behind the other: a chunk's, which never change and mostly are short.
//
// Runs in: worker. Four bytes a text beside its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenantd {

class TextList {
 public:
  // `bytes`: of all of them, if that is known.
  void reserve(std::size_t count, std::size_t bytes) {
    ends_.reserve(count);
    bytes_.reserve(bytes);
  }
  // All together less than 4 GiB.
  void push_back(std::string_view text) {
    bytes_.append(text);
    ends_.push_back(static_cast<std::uint32_t>(bytes_.size()));
  }
  [[nodiscard]] std::size_t size() const noexcept { return ends_.size(); }
  [[nodiscard]] std::size_t byte_count() const noexcept { return bytes_.size(); }
  // Valid as long as the list is neither changed nor gone.
  [[nodiscard]] std::string_view operator[](std::size_t i) const noexcept {
    const std::size_t begin = i == 0 ? 0 : ends_[i - 1];
    return std::string_view(bytes_).substr(begin, ends_[i] - begin);
  }
  [[nodiscard]] std::size_t count_empty() const noexcept {
    std::size_t count = 0;
    for (std::size_t i = 0; i < size(); ++i) count += (*this)[i].empty() ? 1 : 0;
    return count;
  }

 private:
  std::string bytes_;
  std::vector<std::uint32_t> ends_;
};

}  // namespace tenantd
