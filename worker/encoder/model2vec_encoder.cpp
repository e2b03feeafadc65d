#include "worker/encoder/model2vec_encoder.h"

#include <cmath>

#include "worker/encoder/word_pieces.h"

namespace tenantd {
namespace {

class Model2VecSession final : public EncoderSession {
 public:
  explicit Model2VecSession(const ModelFile& model) : model_(model) {}

  Status encode(const EncoderText& text, std::span<float> out) override {
    const ModelHeader& header = model_.header();
    if (out.size() != header.dimension) {
      return fail(ErrorCode::wrong_dimension,
                  "the encoder makes vectors of " + std::to_string(header.dimension) + " floats");
    }
    if (text.text.size() > max_tokenized_bytes) {
      return fail(ErrorCode::invalid_argument, "the text is longer than 65536 bytes");
    }
    cut_bert_words(text.text, header.flags, words_);
    cut_word_pieces(words_, model_, tokens_);
    sums_.assign(header.dimension, 0.0F);
    for (const std::uint32_t token : tokens_) {
      if (token != header.unknown_token) model_.add_token(token, sums_);
    }
    // The mean is the sum but for its length, which normalising takes away.
    double squares = 0;
    for (const float sum : sums_) squares += static_cast<double>(sum) * static_cast<double>(sum);
    if (!(squares > 1e-30) || !std::isfinite(squares)) {
      return fail(ErrorCode::invalid_argument, "the text holds no word that the encoder knows");
    }
    const double scale = 1.0 / std::sqrt(squares);
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] = static_cast<float>(static_cast<double>(sums_[i]) * scale);
    }
    return {};
  }

 private:
  const ModelFile& model_;
  BertText words_;
  std::vector<std::uint32_t> tokens_;
  std::vector<float> sums_;
};

}  // namespace

std::unique_ptr<EncoderSession> Model2VecEncoder::open_session() const {
  return std::make_unique<Model2VecSession>(model_);
}

std::vector<std::uint32_t> Model2VecEncoder::tokens(std::string_view text) const {
  BertText words;
  std::vector<std::uint32_t> tokens;
  cut_bert_words(text, model_.header().flags, words);
  cut_word_pieces(words, model_, tokens);
  return tokens;
}

}  // namespace tenantd
