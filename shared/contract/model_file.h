// The compiled form of an encoder's model: one file that every worker maps read-only, so that all
// share one copy in the page cache and none parses anything.
//
// Written by tenantd-encoder (confined), put in place by the supervisor, which looks at the header
// only, read by workers. Private to one build: the version is checked. Little endian, this
// machine's own layout.
#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>

namespace tenantd {

enum class ModelNumbers : std::uint32_t { float32 = 0, float16 = 1, int8 = 2 };

// What the text goes through before it is cut into pieces (BertNormalizer's flags).
inline constexpr std::uint32_t model_cleans_text = 1;
inline constexpr std::uint32_t model_spaces_ideographs = 2;
inline constexpr std::uint32_t model_strips_accents = 4;
inline constexpr std::uint32_t model_lower_cases = 8;

// Bytes [offset, offset + size) of the file.
struct ModelSection {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

// One entry of the hash table of pieces. Free: text_bytes is 0.
struct ModelSlot {
  std::uint32_t hash = 0;         // high half of the piece's 64-bit hash
  std::uint32_t text_offset = 0;  // into the texts
  std::uint32_t token = 0;        // < token_count
  std::uint16_t text_bytes = 0;
  std::uint16_t continues = 0;  // 1: only behind the beginning of a word; its text lacks the prefix
};
static_assert(sizeof(ModelSlot) == 16);

struct ModelHeader {
  static constexpr std::uint64_t magic_value = 0x6c65646f4d646e74;  // "tndModel"
  static constexpr std::uint32_t version_value = 1;
  static constexpr std::uint32_t max_dimension = 8192;
  static constexpr std::uint32_t no_token = 0xFFFFFFFF;

  std::uint64_t magic = magic_value;
  std::uint32_t version = version_value;
  std::uint32_t flags = 0;
  std::uint32_t dimension = 0;  // floats of a vector
  std::uint32_t row_count = 0;
  std::uint32_t token_count = 0;  // above every token; row_count unless there is a mapping
  std::uint32_t unknown_token = no_token;
  std::uint32_t longest_piece_bytes = 0;
  std::uint32_t max_word_letters = 0;  // a longer word is unknown
  ModelNumbers numbers = ModelNumbers::float32;
  std::uint32_t reserved = 0;
  std::uint64_t file_bytes = 0;
  ModelSection slots;    // ModelSlot, a power of two of them, at least one free
  ModelSection texts;    // bytes
  ModelSection rows;     // row_count × dimension numbers
  ModelSection weights;  // float32, token_count of them; empty: all 1
  ModelSection mapping;  // uint32, token_count of them, each < row_count; empty: token = row
};
static_assert(std::is_trivially_copyable_v<ModelHeader> && sizeof(ModelHeader) == 136);

// Sections begin at multiples of this.
inline constexpr std::uint64_t model_alignment = 4096;
// Where the files of one encoder are inside a worker's root: <digest>.model
inline constexpr std::string_view model_file_suffix = ".model";

}  // namespace tenantd
