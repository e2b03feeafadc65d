#include "worker/encoder/compile/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "worker/encoder/compile/model_json.h"

namespace tenantd {
namespace {

using nlohmann::json;

struct TypeRow {
  std::string_view name;
  TensorType type;
  std::uint64_t bytes;
};
constexpr std::array<TypeRow, 6> types{{{"F64", TensorType::float64, 8},
                                        {"F32", TensorType::float32, 4},
                                        {"F16", TensorType::float16, 2},
                                        {"I8", TensorType::int8, 1},
                                        {"I32", TensorType::int32, 4},
                                        {"I64", TensorType::int64, 8}}};

tl::unexpected<Error> refuse(std::string_view name, std::string_view what) {
  return fail(ErrorCode::invalid_config,
              "tensor \"" + std::string(name) + "\" " + std::string(what));
}

bool is_wanted(std::string_view name) noexcept {
  return name == "embeddings" || name == "weights" || name == "mapping";
}

// The product of the shape's numbers, if it can be a size.
std::optional<std::uint64_t> count_elements(std::span<const std::uint64_t> shape) noexcept {
  constexpr std::uint64_t most = 1ULL << 40U;
  std::uint64_t count = 1;
  for (const std::uint64_t length : shape) {
    if (length > most || (length != 0 && count > most / length)) return std::nullopt;
    count *= length;
  }
  return count;
}

Result<std::vector<std::uint64_t>> read_numbers(const json& entry, const char* key,
                                                std::string_view name, std::size_t most) {
  const auto found = entry.find(key);
  if (found == entry.end() || !found->is_array() || found->size() > most) {
    return refuse(name, std::string("has no ") + key);
  }
  std::vector<std::uint64_t> numbers;
  for (const json& number : *found) {
    if (!number.is_number_unsigned()) return refuse(name, std::string("has wrong ") + key);
    numbers.push_back(number.get<std::uint64_t>());
  }
  return numbers;
}

Result<std::optional<Tensor>> read_tensor(const std::string& name, const json& entry,
                                          std::span<const std::byte> data) {
  if (!entry.is_object()) return refuse(name, "is not described by an object");
  const auto type_name = json_text(entry, "dtype", "");
  if (!type_name) return refuse(name, "has no dtype");
  const auto type = std::find_if(types.begin(), types.end(), [&type_name](const TypeRow& row) {
    return row.name == *type_name;
  });
  if (type == types.end()) {
    if (!is_wanted(name)) return std::optional<Tensor>();
    return refuse(name, "is of the type \"" + *type_name + "\", which is not read");
  }
  const auto shape = read_numbers(entry, "shape", name, 8);
  if (!shape) return fail(shape.error());
  const auto place = read_numbers(entry, "data_offsets", name, 2);
  if (!place) return fail(place.error());
  if (place->size() != 2 || (*place)[0] > (*place)[1] || (*place)[1] > data.size()) {
    return refuse(name, "lies outside of the file");
  }
  const std::uint64_t bytes = (*place)[1] - (*place)[0];
  const auto elements = count_elements(*shape);
  if (!elements || *elements * type->bytes != bytes) {
    return refuse(name, "has another size than its shape and type say");
  }
  return std::optional(Tensor{name, type->type, *shape, data.subspan((*place)[0], bytes)});
}

}  // namespace

std::uint64_t Tensor::elements() const noexcept { return count_elements(shape).value_or(0); }

Result<std::vector<Tensor>> read_safetensors(std::span<const std::byte> file) {
  std::uint64_t header_bytes = 0;
  if (file.size() < sizeof header_bytes) return fail(ErrorCode::invalid_config, "is too short");
  std::memcpy(&header_bytes, file.data(), sizeof header_bytes);
  if (header_bytes > max_safetensors_header_bytes ||
      header_bytes > file.size() - sizeof header_bytes) {
    return fail(ErrorCode::invalid_config, "has a header that is too long");
  }
  const auto header = file.subspan(sizeof header_bytes, header_bytes);
  const auto parsed = parse_model_json(
      std::string_view(reinterpret_cast<const char*>(header.data()), header.size()));
  if (!parsed)
    return fail(ErrorCode::invalid_config, "has a header that " + parsed.error().message);
  const auto data = file.subspan(sizeof header_bytes + header_bytes);
  std::vector<Tensor> tensors;
  for (const auto& [name, entry] : parsed->items()) {
    if (name == "__metadata__") continue;
    if (tensors.size() == max_tensors)
      return fail(ErrorCode::invalid_config, "has too many tensors");
    auto tensor = read_tensor(name, entry, data);
    if (!tensor) return fail(tensor.error());
    if (*tensor) tensors.push_back(std::move(**tensor));
  }
  return tensors;
}

}  // namespace tenantd
