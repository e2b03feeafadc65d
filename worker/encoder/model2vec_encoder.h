// The encoder "model2vec": a text's vector is the mean of its pieces' vectors (Tulkens and van
// Dongen 2024, https://github.com/MinishLab/model2vec), normalised. No network, no matrix product.
//
// Runs in: worker, on text that clients wrote and a model that the host's owner put there.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "worker/encoder/encoder.h"
#include "worker/encoder/model_file.h"

namespace tenantd {

class Model2VecEncoder final : public Encoder {
 public:
  Model2VecEncoder(std::string id, ModelFile model)
      : id_(std::move(id)), model_(std::move(model)) {}

  [[nodiscard]] std::string_view id() const noexcept override { return id_; }
  [[nodiscard]] std::uint32_t dimension() const noexcept override {
    return model_.header().dimension;
  }
  [[nodiscard]] bool knows_meaning() const noexcept override { return true; }
  [[nodiscard]] std::unique_ptr<EncoderSession> open_session() const override;
  // The tokens of a text, unknown ones included: what tests compare with the reference.
  [[nodiscard]] std::vector<std::uint32_t> tokens(std::string_view text) const;

 private:
  std::string id_;
  ModelFile model_;
};

}  // namespace tenantd
