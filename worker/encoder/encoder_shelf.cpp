#include "worker/encoder/encoder_shelf.h"

#include <algorithm>
#include <utility>

#include "shared/contract/model_file.h"
#include "worker/encoder/hash_encoder.h"
#include "worker/encoder/model2vec_encoder.h"

namespace tenantd {
namespace {

// What a file of ours can be called: nothing that leads elsewhere.
bool is_digest(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
}

bool is_name(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
  });
}

}  // namespace

Result<EncoderPtr> EncoderShelf::open(std::string_view id, std::uint32_t dimension) const {
  if (id == HashEncoder::vector_id) return make_hash_encoder(dimension);
  const std::size_t at = id.rfind('@');
  if (directory_.empty() || at == id.npos || !is_digest(id.substr(at + 1))) return EncoderPtr();
  std::string path = directory_ + '/';
  if (layout_ == Layout::by_name) {
    if (!is_name(id.substr(0, at))) return EncoderPtr();
    path.append(id.substr(0, at)).append("/");
  }
  path.append(id.substr(at + 1)).append(model_file_suffix);
  auto model = ModelFile::open(path);
  if (!model) {
    if (model.error().code == ErrorCode::not_found) return EncoderPtr();
    return fail(std::move(model.error()));
  }
  if (model->header().dimension != dimension) {
    return fail(ErrorCode::wrong_dimension, "the encoder " + std::string(id) +
                                                " makes vectors of " +
                                                std::to_string(model->header().dimension) +
                                                " floats, not of " + std::to_string(dimension));
  }
  return EncoderPtr(std::make_shared<Model2VecEncoder>(std::string(id), std::move(*model)));
}

}  // namespace tenantd
