// A Model2Vec directory as published into one file that workers map: see model_file.h.
//
// Runs in: tenantd-encoder, confined, once a model; tests and the bench call it, too. The same
// directory gives the same bytes.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/error.h"

namespace tenantd {

// The content of the three files.
struct ModelSources {
  std::string_view config;                // config.json
  std::string_view tokenizer;             // tokenizer.json
  std::span<const std::byte> embeddings;  // model.safetensors
};

inline constexpr std::size_t max_model_config_bytes = 1U << 20U;
inline constexpr std::size_t max_tokenizer_bytes = 128U << 20U;
inline constexpr std::size_t max_embeddings_bytes = std::size_t{4} << 30U;

// Errors: invalid_config; the message begins with the file's name.
[[nodiscard]] Result<std::vector<std::byte>> compile_model(const ModelSources& sources);

// Reads `directory`, compiles and writes `output`, which is truncated if it is there. Blocks.
[[nodiscard]] Status compile_model_directory(const std::string& directory,
                                             const std::string& output);

}  // namespace tenantd
