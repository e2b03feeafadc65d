#include "worker/encoder/model_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>

#include "worker/encoder/hashing.h"

namespace tenantd {
namespace {

tl::unexpected<Error> broken(std::string_view what) {
  return fail(ErrorCode::invalid_config, "the compiled model is broken: " + std::string(what),
              "remove it from the state directory: it is compiled again at the next start");
}

constexpr std::size_t number_bytes(ModelNumbers numbers) noexcept {
  switch (numbers) {
    case ModelNumbers::float32:
      return 4;
    case ModelNumbers::float16:
      return 2;
    case ModelNumbers::int8:
      return 1;
  }
  return 0;
}

// IEEE 754 binary16 of a finite number: the exponent is moved by a multiplication, which also makes
// normal what was denormal. No branch, so that compilers vectorise it.
float widen(std::uint16_t half) noexcept {
  const std::uint32_t magnitude = (half & 0x7FFFU) << 13U;
  const float scaled = std::bit_cast<float>(magnitude) * 0x1p112F;
  const std::uint32_t sign = (half & 0x8000U) << 16U;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(scaled) | sign);
}

template <class T, class Convert>
void add_row(const T* row, float weight, std::span<float> sums, Convert convert) noexcept {
  for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += convert(row[i]) * weight;
}

}  // namespace

void UnmapModel::operator()(const void* address) const noexcept {
  (void)::munmap(const_cast<void*>(address), size);
}

Result<ModelFile> ModelFile::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) {
    auto error = fail_errno("open " + path, errno);
    if (error.value().os_errno == ENOENT) error.value().code = ErrorCode::not_found;
    return error;
  }
  struct stat info {};
  const bool known = ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
                     info.st_size >= static_cast<off_t>(sizeof(ModelHeader));
  const std::size_t size = known ? static_cast<std::size_t>(info.st_size) : 0;
  void* const address = known ? ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
  const int saved_errno = errno;
  (void)::close(fd);
  if (!known) return broken("it is too short");
  if (address == MAP_FAILED) return fail_errno("mmap " + path, saved_errno);
  ModelFile file;
  file.mapping_ = std::unique_ptr<const void, UnmapModel>(address, UnmapModel{size});
  file.bytes_ = {static_cast<const std::byte*>(address), size};
  if (Status checked = file.check(size); !checked) return fail(checked.error());
  return file;
}

Result<ModelFile> ModelFile::view(std::span<const std::byte> bytes) {
  if (bytes.size() < sizeof(ModelHeader)) return broken("it is too short");
  ModelFile file;
  file.bytes_ = bytes;
  if (Status checked = file.check(bytes.size()); !checked) return fail(checked.error());
  return file;
}

Status ModelFile::check(std::size_t size) {
  std::memcpy(static_cast<void*>(&header_), bytes_.data(), sizeof header_);
  const ModelHeader& h = header_;
  if (h.magic != ModelHeader::magic_value) return broken("it is none");
  if (h.version != ModelHeader::version_value) return broken("another version made it");
  if (h.file_bytes != size) return broken("it has another size than it says");
  if (h.dimension == 0 || h.dimension > ModelHeader::max_dimension || h.row_count == 0 ||
      h.token_count == 0 || h.longest_piece_bytes == 0 || number_bytes(h.numbers) == 0) {
    return broken("its shape is impossible");
  }
  const std::uint64_t slots = h.slots.size / sizeof(ModelSlot);
  const std::uint64_t row_bytes = std::uint64_t{h.dimension} * number_bytes(h.numbers);
  const std::uint64_t per_token = std::uint64_t{h.token_count} * 4;
  for (const ModelSection* section : {&h.slots, &h.texts, &h.rows, &h.weights, &h.mapping}) {
    if (section->offset % model_alignment != 0 || section->offset > size ||
        section->size > size - section->offset) {
      return broken("a part is outside of it");
    }
  }
  if (!std::has_single_bit(slots) || h.slots.size != slots * sizeof(ModelSlot)) {
    return broken("its table of pieces has an impossible size");
  }
  if (h.rows.size != row_bytes * h.row_count ||
      (h.weights.size != 0 && h.weights.size != per_token) ||
      (h.mapping.size != 0 && h.mapping.size != per_token) ||
      (h.mapping.size == 0 && h.token_count != h.row_count)) {
    return broken("its parts do not fit together");
  }
  slot_mask_ = slots - 1;
  return {};
}

std::optional<std::uint32_t> ModelFile::find_piece(std::string_view text, bool continues,
                                                   std::uint64_t state) const noexcept {
  const std::uint64_t mixed = mix_bits(state);
  const auto wanted = static_cast<std::uint32_t>(mixed >> 32U);
  const ModelSlot* const slots = at<ModelSlot>(header_.slots);
  const char* const texts = at<char>(header_.texts);
  // A table without a free slot ends the walk after one round.
  for (std::uint64_t i = mixed & slot_mask_, seen = 0; seen <= slot_mask_; ++seen) {
    const ModelSlot slot = slots[i];
    if (slot.text_bytes == 0) return std::nullopt;
    const bool fits = slot.text_offset <= header_.texts.size &&
                      slot.text_bytes <= header_.texts.size - slot.text_offset;
    if (slot.hash == wanted && (slot.continues != 0) == continues && fits &&
        text == std::string_view(texts + slot.text_offset, slot.text_bytes)) {
      return slot.token < header_.token_count ? std::optional(slot.token) : std::nullopt;
    }
    i = (i + 1) & slot_mask_;
  }
  return std::nullopt;
}

void ModelFile::add_token(std::uint32_t token, std::span<float> sums) const noexcept {
  std::uint32_t row = token;
  if (header_.mapping.size != 0) row = at<std::uint32_t>(header_.mapping)[token];
  if (row >= header_.row_count) return;
  const float weight = header_.weights.size == 0 ? 1.0F : at<float>(header_.weights)[token];
  const std::size_t first = std::size_t{row} * header_.dimension;
  switch (header_.numbers) {
    case ModelNumbers::float32:
      return add_row(at<float>(header_.rows) + first, weight, sums, [](float x) { return x; });
    case ModelNumbers::float16:
      return add_row(at<std::uint16_t>(header_.rows) + first, weight, sums, widen);
    case ModelNumbers::int8:
      return add_row(at<std::int8_t>(header_.rows) + first, weight, sums,
                     [](std::int8_t x) { return static_cast<float>(x); });
  }
}

}  // namespace tenantd
