// A compiled model, mapped: looked up and read in place.
//
// Runs in: worker, any thread. The file is the supervisor's and is never changed once in place, but
// nothing in it is believed: the header is checked when it is opened, every offset when it is used.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "shared/base/error.h"
#include "shared/contract/model_file.h"

namespace tenantd {

// The hash by which pieces are found: begin with the seed, add a byte at a time.
[[nodiscard]] constexpr std::uint64_t piece_seed(bool continues) noexcept {
  return continues ? 0x9ae16a3b2f90404fULL : 0xcbf29ce484222325ULL;
}
[[nodiscard]] constexpr std::uint64_t add_to_piece(std::uint64_t state, char byte) noexcept {
  return (state ^ static_cast<unsigned char>(byte)) * 0x100000001b3ULL;
}

struct UnmapModel {
  std::size_t size = 0;
  void operator()(const void* address) const noexcept;
};

class ModelFile {
 public:
  // Maps the file; blocks for as long as opening one takes. Errors: not_found; invalid_config
  // (`path` is not a compiled model of this build, or its sizes do not fit together).
  [[nodiscard]] static Result<ModelFile> open(const std::string& path);
  // The same for bytes in memory, which are borrowed and aligned to eight bytes.
  [[nodiscard]] static Result<ModelFile> view(std::span<const std::byte> bytes);

  [[nodiscard]] const ModelHeader& header() const noexcept { return header_; }
  // The piece whose hash state is `state` and whose text is `text`.
  [[nodiscard]] std::optional<std::uint32_t> find_piece(std::string_view text, bool continues,
                                                        std::uint64_t state) const noexcept;
  // sums[i] += weight of the token × number i of its row. `token` < token_count, sums.size() is the
  // dimension.
  void add_token(std::uint32_t token, std::span<float> sums) const noexcept;

 private:
  ModelFile() = default;
  [[nodiscard]] Status check(std::size_t size);
  template <class T>
  [[nodiscard]] const T* at(const ModelSection& section) const noexcept {
    return reinterpret_cast<const T*>(bytes_.data() + section.offset);
  }

  std::unique_ptr<const void, UnmapModel> mapping_;
  std::span<const std::byte> bytes_;
  ModelHeader header_{};  // a copy: checked once, not read again
  std::uint64_t slot_mask_ = 0;
};

}  // namespace tenantd
