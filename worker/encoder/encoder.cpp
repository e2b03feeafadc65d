#include "worker/encoder/encoder.h"

#include <algorithm>

namespace tenantd {

std::vector<Status> EncoderSession::encode_batch(std::span<const std::string_view> texts,
                                                 std::span<float> out) {
  std::vector<Status> outcomes;
  outcomes.reserve(texts.size());
  const std::size_t dimension = texts.empty() ? 0 : out.size() / texts.size();
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto row = out.subspan(i * dimension, dimension);
    outcomes.push_back(encode({texts[i], nullptr}, row));
    if (!outcomes.back()) std::ranges::fill(row, 0.0F);
  }
  return outcomes;
}

}  // namespace tenantd
