// What a compiled model makes of texts: for comparing with the reference.
//
// usage: encode_lines MODEL; each line of standard input is a text in hexadecimal digits, each line
// of output its tokens, a bar, and the numbers of its vector (none if it has no vector).
#include <charconv>
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "worker/encoder/model2vec_encoder.h"

namespace {

std::string from_hex(const std::string& line) {
  std::string text;
  for (std::size_t i = 0; i + 1 < line.size(); i += 2) {
    unsigned value = 0;
    (void)std::from_chars(line.data() + i, line.data() + i + 2, value, 16);
    text.push_back(static_cast<char>(value));
  }
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace tenantd;
  if (argc != 2) return 2;
  auto model = ModelFile::open(argv[1]);
  if (!model) {
    std::fprintf(stderr, "%s\n", model.error().describe().c_str());
    return 1;
  }
  const Model2VecEncoder encoder("test", std::move(*model));
  const auto session = encoder.open_session();
  std::vector<float> vector(encoder.dimension());
  for (std::string line; std::getline(std::cin, line);) {
    const std::string text = from_hex(line);
    for (const std::uint32_t token : encoder.tokens(text)) std::printf("%u ", token);
    std::printf("|");
    if (session->encode({text, nullptr}, vector)) {
      for (const float number : vector) std::printf(" %.9g", static_cast<double>(number));
    }
    std::printf("\n");
  }
  return 0;
}
