// Models of a handful of words, made in memory: for tests and the fuzz target.
#pragma once

#include <bit>
#include <cstring>
#include <string>
#include <vector>

#include "worker/encoder/compile/model_compiler.h"

namespace tenantd::fixtures {

inline const std::string model_config = R"({"model_type":"model2vec","normalize":true})";

// Tokens 0 to 6. "print" is whole, "printer" is two pieces, "##er" stands only inside a word.
inline const std::string word_vocabulary =
    R"({"[PAD]":0,"[UNK]":1,"print":2,"##er":3,"jam":4,"##s":5,"é":6})";

inline std::string tokenizer_json(
    const std::string& vocabulary = word_vocabulary, const std::string& model_more = "",
    const std::string& normalizer = R"({"type":"BertNormalizer","clean_text":true,)"
                                    R"("handle_chinese_chars":true,"strip_accents":null,)"
                                    R"("lowercase":true})",
    const std::string& splitter = R"({"type":"BertPreTokenizer"})") {
  return R"({"version":"1.0","normalizer":)" + normalizer + R"(,"pre_tokenizer":)" + splitter +
         R"(,"model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##",)" +
         R"("max_input_chars_per_word":10,)" + model_more + R"("vocab":)" + vocabulary + "}}";
}

inline std::vector<std::byte> bytes_of(const void* data, std::size_t size) {
  std::vector<std::byte> bytes(size);
  if (size != 0) std::memcpy(bytes.data(), data, size);
  return bytes;
}
template <class T>
std::vector<std::byte> bytes_of(const std::vector<T>& values) {
  return bytes_of(values.data(), values.size() * sizeof(T));
}

inline std::vector<std::byte> safetensors_file(const std::string& header,
                                               const std::vector<std::byte>& data = {}) {
  const std::uint64_t length = header.size();
  std::vector<std::byte> file = bytes_of(&length, sizeof length);
  const auto text = bytes_of(header.data(), header.size());
  file.insert(file.end(), text.begin(), text.end());
  file.insert(file.end(), data.begin(), data.end());
  return file;
}

struct NamedTensor {
  std::string name;
  std::string type;
  std::string shape;  // "7,2"
  std::vector<std::byte> data;
};

inline std::vector<std::byte> safetensors_of(const std::vector<NamedTensor>& tensors) {
  std::string header = R"({"__metadata__":{"format":"pt"})";
  std::vector<std::byte> data;
  for (const NamedTensor& tensor : tensors) {
    const std::size_t begin = data.size();
    data.insert(data.end(), tensor.data.begin(), tensor.data.end());
    header += ",\"" + tensor.name + R"(":{"dtype":")" + tensor.type + R"(","shape":[)" +
              tensor.shape + R"(],"data_offsets":[)" + std::to_string(begin) + ',' +
              std::to_string(data.size()) + "]}";
  }
  return safetensors_file(header + '}', data);
}

// Seven rows of two numbers: the row of token t is (t, 10 - t).
inline std::vector<float> word_rows() {
  std::vector<float> rows;
  for (int token = 0; token < 7; ++token) {
    rows.push_back(static_cast<float>(token));
    rows.push_back(static_cast<float>(10 - token));
  }
  return rows;
}
inline std::vector<std::byte> word_tensors() {
  return safetensors_of({{"embeddings", "F32", "7,2", bytes_of(word_rows())}});
}

inline Result<std::vector<std::byte>> compile(const std::string& tokenizer,
                                              const std::vector<std::byte>& tensors,
                                              const std::string& config = model_config) {
  return compile_model({config, tokenizer, tensors});
}

}  // namespace tenantd::fixtures
