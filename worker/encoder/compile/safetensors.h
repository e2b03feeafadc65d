// The safetensors format: a length, a JSON header of names, types, shapes and places, then numbers.
// https://github.com/huggingface/safetensors#format
//
// Runs in: tenantd-encoder, on a file that the host's owner put there. Nothing in it is believed
// before it is checked: a file is read whole or refused with the reason.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/error.h"

namespace tenantd {

enum class TensorType : std::uint8_t { float64, float32, float16, int8, int32, int64 };

struct Tensor {
  std::string name;
  TensorType type{};
  std::vector<std::uint64_t> shape;
  std::span<const std::byte> data;  // of the file; not aligned

  [[nodiscard]] std::uint64_t elements() const noexcept;  // of the data, as checked
};

inline constexpr std::size_t max_safetensors_header_bytes = 1U << 20U;
inline constexpr std::size_t max_tensors = 16;
inline constexpr int max_model_json_depth = 32;

// The tensors of `file`, which is borrowed. Tensors of other types than the above are an error only
// if they have the name of one that is wanted: "embeddings", "weights" or "mapping"; others are
// left out. Errors: invalid_config with the reason.
[[nodiscard]] Result<std::vector<Tensor>> read_safetensors(std::span<const std::byte> file);

}  // namespace tenantd
