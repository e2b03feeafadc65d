#include "worker/encoder/compile/model_compiler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>

#include "shared/contract/model_file.h"
#include "worker/encoder/compile/model_json.h"
#include "worker/encoder/compile/safetensors.h"
#include "worker/encoder/compile/tokenizer_json.h"
#include "worker/encoder/hashing.h"
#include "worker/encoder/model_file.h"

namespace tenantd {
namespace {

tl::unexpected<Error> in_file(std::string_view file, const std::string& message) {
  return fail(ErrorCode::invalid_config, std::string(file) + ": " + message);
}
tl::unexpected<Error> in_tensors(const std::string& message) {
  return in_file("model.safetensors", message);
}

// Numbers of a tensor, whatever their alignment.
template <class T>
T number_at(const Tensor& tensor, std::uint64_t index) noexcept {
  T value;
  std::memcpy(&value, tensor.data.data() + index * sizeof(T), sizeof(T));
  return value;
}

bool is_finite_half(std::uint16_t half) noexcept { return (half & 0x7C00U) != 0x7C00U; }

bool all_finite(const Tensor& tensor) noexcept {
  const std::uint64_t count = tensor.elements();
  for (std::uint64_t i = 0; i < count; ++i) {
    if (tensor.type == TensorType::float32 && !std::isfinite(number_at<float>(tensor, i))) {
      return false;
    }
    if (tensor.type == TensorType::float16 &&
        !is_finite_half(number_at<std::uint16_t>(tensor, i))) {
      return false;
    }
  }
  return true;
}

float half_to_float(std::uint16_t half) noexcept {
  const int exponent = (half >> 10U) & 0x1F;
  const auto fraction = static_cast<float>(half & 0x3FFU);
  const float magnitude =
      exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(fraction + 1024.0F, exponent - 25);
  return (half & 0x8000U) != 0 ? -magnitude : magnitude;
}

std::optional<float> weight_at(const Tensor& tensor, std::uint64_t i) {
  float weight = 0;
  switch (tensor.type) {
    case TensorType::float64:
      weight = static_cast<float>(number_at<double>(tensor, i));
      break;
    case TensorType::float32:
      weight = number_at<float>(tensor, i);
      break;
    case TensorType::float16:
      if (!is_finite_half(number_at<std::uint16_t>(tensor, i))) return std::nullopt;
      weight = half_to_float(number_at<std::uint16_t>(tensor, i));
      break;
    default:
      return std::nullopt;
  }
  return std::isfinite(weight) ? std::optional(weight) : std::nullopt;
}

// The three tensors; the optional ones null where they are absent.
struct ModelTensors {
  const Tensor* rows = nullptr;
  const Tensor* weights = nullptr;
  const Tensor* mapping = nullptr;
};

Result<ModelTensors> pick_tensors(const std::vector<Tensor>& all) {
  ModelTensors tensors;
  for (const Tensor& tensor : all) {
    if (tensor.name == "embeddings") tensors.rows = &tensor;
    if (tensor.name == "weights") tensors.weights = &tensor;
    if (tensor.name == "mapping") tensors.mapping = &tensor;
  }
  if (tensors.rows == nullptr) return in_tensors("has no tensor \"embeddings\"");
  const Tensor& rows = *tensors.rows;
  const bool readable = rows.type == TensorType::float32 || rows.type == TensorType::float16 ||
                        rows.type == TensorType::int8;
  if (!readable) return in_tensors("\"embeddings\" is neither F32, F16 nor I8");
  if (rows.shape.size() != 2 || rows.shape[0] == 0 || rows.shape[0] > UINT32_MAX - 1 ||
      rows.shape[1] == 0 || rows.shape[1] > ModelHeader::max_dimension) {
    return in_tensors("\"embeddings\" has an impossible shape");
  }
  if (!all_finite(rows)) return in_tensors("\"embeddings\" holds NaN or infinity");
  const std::uint64_t tokens =
      tensors.mapping != nullptr ? tensors.mapping->elements() : rows.shape[0];
  if (tensors.mapping != nullptr) {
    const TensorType type = tensors.mapping->type;
    if (tensors.mapping->shape.size() != 1 || tokens == 0 || tokens > UINT32_MAX - 1 ||
        (type != TensorType::int32 && type != TensorType::int64)) {
      return in_tensors("\"mapping\" is not a list of whole numbers");
    }
  }
  if (tensors.weights != nullptr &&
      (tensors.weights->shape.size() != 1 || tensors.weights->elements() != tokens)) {
    return in_tensors("\"weights\" are not one a token");
  }
  return tensors;
}

// The file in the making: sections behind each other, each at its alignment.
class FileBuilder {
 public:
  FileBuilder() { bytes_.resize(model_alignment); }

  ModelSection add(std::span<const std::byte> data) {
    const ModelSection section{bytes_.size(), data.size()};
    bytes_.insert(bytes_.end(), data.begin(), data.end());
    bytes_.resize((bytes_.size() + model_alignment - 1) / model_alignment * model_alignment);
    return section;
  }
  template <class T>
  ModelSection add(const std::vector<T>& values) {
    return add(std::as_bytes(std::span(values)));
  }
  std::vector<std::byte> finish(ModelHeader header) {
    header.file_bytes = bytes_.size();
    std::memcpy(bytes_.data(), &header, sizeof header);
    return std::move(bytes_);
  }

 private:
  std::vector<std::byte> bytes_;
};

// The table that ModelFile::find_piece walks: open addressing, at most half full.
class PieceTable {
 public:
  explicit PieceTable(std::size_t pieces) : slots_(std::bit_ceil(2 * pieces + 2)) {}

  void add(std::string_view text, bool continues, std::uint32_t token) {
    std::uint64_t state = piece_seed(continues);
    for (const char byte : text) state = add_to_piece(state, byte);
    const std::uint64_t mixed = mix_bits(state);
    std::size_t i = mixed & (slots_.size() - 1);
    while (slots_[i].text_bytes != 0) i = (i + 1) & (slots_.size() - 1);
    slots_[i] = {
        static_cast<std::uint32_t>(mixed >> 32U), static_cast<std::uint32_t>(texts_.size()), token,
        static_cast<std::uint16_t>(text.size()), static_cast<std::uint16_t>(continues ? 1 : 0)};
    texts_.insert(texts_.end(), text.begin(), text.end());
    longest_ = std::max(longest_, text.size());
  }

  [[nodiscard]] const std::vector<ModelSlot>& slots() const noexcept { return slots_; }
  [[nodiscard]] const std::vector<char>& texts() const noexcept { return texts_; }
  [[nodiscard]] std::uint32_t longest() const noexcept {
    return static_cast<std::uint32_t>(longest_);
  }

 private:
  std::vector<ModelSlot> slots_;
  std::vector<char> texts_;
  std::size_t longest_ = 0;
};

Result<PieceTable> index_pieces(const WordPieceTokenizer& tokenizer, std::uint64_t token_count) {
  PieceTable table(2 * tokenizer.vocabulary.size());
  for (const VocabularyEntry& entry : tokenizer.vocabulary) {
    if (entry.token >= token_count) {
      return in_file("tokenizer.json", "token " + std::to_string(entry.token) +
                                           " has no vector: model.safetensors has " +
                                           std::to_string(token_count));
    }
    table.add(entry.text, false, entry.token);
    if (entry.text.size() > tokenizer.prefix.size() && entry.text.starts_with(tokenizer.prefix)) {
      table.add(std::string_view(entry.text).substr(tokenizer.prefix.size()), true, entry.token);
    }
  }
  if (table.longest() == 0) return in_file("tokenizer.json", "the vocabulary is empty");
  return table;
}

Result<std::vector<float>> read_weights(const Tensor* tensor) {
  std::vector<float> weights;
  if (tensor == nullptr) return weights;
  const std::uint64_t count = tensor->elements();
  weights.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto weight = weight_at(*tensor, i);
    if (!weight) return in_tensors("\"weights\" are not all finite numbers");
    weights.push_back(*weight);
  }
  return weights;
}

Result<std::vector<std::uint32_t>> read_mapping(const Tensor* tensor, std::uint64_t row_count) {
  std::vector<std::uint32_t> mapping;
  if (tensor == nullptr) return mapping;
  const std::uint64_t count = tensor->elements();
  mapping.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::int64_t row = tensor->type == TensorType::int32
                                 ? number_at<std::int32_t>(*tensor, i)
                                 : number_at<std::int64_t>(*tensor, i);
    if (row < 0 || static_cast<std::uint64_t>(row) >= row_count) {
      return in_tensors("\"mapping\" names a row that is not there");
    }
    mapping.push_back(static_cast<std::uint32_t>(row));
  }
  return mapping;
}

ModelNumbers numbers_of(TensorType type) noexcept {
  if (type == TensorType::float16) return ModelNumbers::float16;
  return type == TensorType::int8 ? ModelNumbers::int8 : ModelNumbers::float32;
}

// Vectors are stored and compared with length 1 anyway: `normalize` says nothing more, but must be
// what it should be.
Status check_config(std::string_view text) {
  const auto config = parse_model_json(text);
  if (!config) return in_file("config.json", config.error().message);
  const auto normalize = json_flag(*config, "normalize", true);
  if (!normalize) return in_file("config.json", normalize.error().message);
  const auto type = json_text(*config, "model_type", "model2vec");
  if (!type) return in_file("config.json", type.error().message);
  if (*type != "model2vec") {
    return in_file("config.json", "model_type is \"" + *type + "\"; only \"model2vec\" is read");
  }
  return {};
}

}  // namespace

Result<std::vector<std::byte>> compile_model(const ModelSources& sources) {
  if (Status checked = check_config(sources.config); !checked) return fail(checked.error());
  const auto tokenizer = read_tokenizer(sources.tokenizer);
  if (!tokenizer) return in_file("tokenizer.json", tokenizer.error().message);
  const auto all = read_safetensors(sources.embeddings);
  if (!all) return in_tensors(all.error().message);
  const auto tensors = pick_tensors(*all);
  if (!tensors) return fail(tensors.error());
  const std::uint64_t row_count = tensors->rows->shape[0];
  const std::uint64_t token_count =
      tensors->mapping != nullptr ? tensors->mapping->elements() : row_count;
  const auto table = index_pieces(*tokenizer, token_count);
  if (!table) return fail(table.error());
  const auto weights = read_weights(tensors->weights);
  if (!weights) return fail(weights.error());
  const auto mapping = read_mapping(tensors->mapping, row_count);
  if (!mapping) return fail(mapping.error());

  ModelHeader header;
  header.flags = tokenizer->flags;
  header.dimension = static_cast<std::uint32_t>(tensors->rows->shape[1]);
  header.row_count = static_cast<std::uint32_t>(row_count);
  header.token_count = static_cast<std::uint32_t>(token_count);
  header.unknown_token = tokenizer->unknown_token;
  header.longest_piece_bytes = table->longest();
  header.max_word_letters = tokenizer->max_word_letters;
  header.numbers = numbers_of(tensors->rows->type);
  FileBuilder file;
  header.slots = file.add(table->slots());
  header.texts = file.add(table->texts());
  header.rows = file.add(tensors->rows->data);
  header.weights = file.add(*weights);
  header.mapping = file.add(*mapping);
  return file.finish(header);
}

}  // namespace tenantd
