// What turns text into vectors, whoever does it: built in, a model on this host, or (to come) a
// service that is asked.
//
// Runs in: worker. An Encoder is immutable and shared between threads; a session is one thread's
// scratch memory for it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "shared/base/error.h"
#include "worker/encoder/tokenizer.h"

namespace tenantd {

// A text, and its words where the caller has cut them already (tokenize()); borrowed for the call.
struct EncoderText {
  std::string_view text;
  const TokenList* words = nullptr;
};

class EncoderSession {
 public:
  EncoderSession() = default;
  EncoderSession(const EncoderSession&) = delete;
  EncoderSession& operator=(const EncoderSession&) = delete;
  EncoderSession(EncoderSession&&) = default;
  EncoderSession& operator=(EncoderSession&&) = default;
  virtual ~EncoderSession() = default;

  // Writes one vector of Euclidean length 1. Does not block; allocates only until its scratch has
  // grown to the longest text seen. Errors, `out` untouched: invalid_argument (nothing in the text
  // can be encoded, or it is longer than max_tokenized_bytes), wrong_dimension (out.size()).
  [[nodiscard]] virtual Status encode(const EncoderText& text, std::span<float> out) = 0;
  // One vector a text, one after the other in `out` (texts.size() · dimension floats), one outcome
  // a text; a text that fails has zeros. What an encoder that is asked over a socket would override
  // to send all in one request.
  [[nodiscard]] virtual std::vector<Status> encode_batch(std::span<const std::string_view> texts,
                                                         std::span<float> out);
};

class Encoder {
 public:
  Encoder() = default;
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;
  virtual ~Encoder() = default;

  // Stored with every vector: a name and a version. Vectors of different ids are never compared.
  [[nodiscard]] virtual std::string_view id() const noexcept = 0;
  [[nodiscard]] virtual std::uint32_t dimension() const noexcept = 0;
  // Whether alike vectors mean alike texts. Hashed ones know letters only: without a word in common
  // they must not vouch for a route.
  [[nodiscard]] virtual bool knows_meaning() const noexcept = 0;
  // The session borrows this encoder, which must outlive it.
  [[nodiscard]] virtual std::unique_ptr<EncoderSession> open_session() const = 0;
};
using EncoderPtr = std::shared_ptr<const Encoder>;

}  // namespace tenantd
