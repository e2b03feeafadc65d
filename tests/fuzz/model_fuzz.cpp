// A model's files against their readers, and compiled models against those who map them. The first
// byte chooses: t tokenizer.json, s model.safetensors, c config.json, m a compiled model.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/unit/worker/encoder/model_fixtures.h"
#include "worker/encoder/model2vec_encoder.h"

namespace {

using namespace tenantd;

void use(std::span<const std::byte> bytes, bool must_open) {
  auto model = ModelFile::view(bytes);
  if (!model) {
    if (must_open) std::abort();  // what the compiler writes its reader takes
    return;
  }
  const Model2VecEncoder encoder("fuzz", std::move(*model));
  std::vector<float> out(encoder.dimension());
  const auto session = encoder.open_session();
  for (const char* text : {"printers jam", "É 漢字 \xff x", "a"}) {
    const bool encoded = session->encode({text, nullptr}, out).has_value();
    for (const float x : out) {
      if (encoded && !(x >= -1.001F && x <= 1.001F)) std::abort();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto rest = std::as_bytes(std::span(data + 1, size - 1));
  const std::string text(reinterpret_cast<const char*>(rest.data()), rest.size());
  Result<std::vector<std::byte>> compiled;
  switch (data[0]) {
    case 't':
      compiled = fixtures::compile(text, fixtures::word_tensors());
      break;
    case 's':
      compiled = fixtures::compile(fixtures::tokenizer_json(), {rest.begin(), rest.end()});
      break;
    case 'c':
      compiled = fixtures::compile(fixtures::tokenizer_json(), fixtures::word_tensors(), text);
      break;
    case 'm': {
      // The reader needs alignment, as mappings have it.
      std::vector<std::uint64_t> aligned((rest.size() + 7) / 8);
      if (!rest.empty()) std::memcpy(aligned.data(), rest.data(), rest.size());
      use(std::as_bytes(std::span(aligned)).first(rest.size()), false);
      return 0;
    }
    default:
      return 0;
  }
  if (compiled) use(*compiled, true);
  return 0;
}
