#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "worker/encoder/hash_encoder.h"
#include "worker/encoder/hashing.h"
#include "worker/encoder/tokenizer.h"
#include "worker/encoder/unicode.h"

using namespace tenantd;

namespace {

std::string words_of(std::string_view text) {
  TokenList list;
  tokenize(text, list);
  std::string joined;
  for (const Token& token : list.tokens) {
    if (!joined.empty()) joined += ' ';
    joined += list.view(token);
    CHECK(token.hash == hash_text(list.view(token)));
  }
  return joined;
}

std::vector<float> encoded(std::string_view text, std::uint32_t dimension = 256) {
  HashEncoder encoder(dimension);
  std::vector<float> out(dimension);
  REQUIRE(encoder.encode(text, out));
  return out;
}

double cosine(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  }
  return sum;
}

}  // namespace

TEST_CASE("words are folded, stemmed and cut without a locale") {
  CHECK(words_of("The CARDS, cancelled!") == "the card cancel");
  CHECK(words_of("caf\xC3\xA9 \xC3\x89t\xC3\xA9") == "caf ete");
  CHECK(words_of("can't don\xE2\x80\x99t") == "cant dont");
  CHECK(words_of("copies copy") == "cop cop");
  CHECK(words_of("stopping adding missed") == "stop add miss");
  CHECK(words_of("\xD0\x9F\xD0\xA0\xD0\x98\xD0\x92\xD0\x95\xD0\xA2") ==
        "\xD0\xBF\xD1\x80\xD0\xB8\xD0\xB2\xD0\xB5\xD1\x82");
  CHECK(words_of("\xE9\x80\x80\xE6\xAC\xBE") == "\xE9\x80\x80 \xE6\xAC\xBE");
  CHECK(words_of(" .,;!?\t") == "");
}

TEST_CASE("malformed bytes separate words and nothing more") {
  CHECK(words_of("ab\xFFxy") == "ab xy");
  CHECK(words_of("\xC0\x80\xED\xA0\x80\xF8zz\xE2\x82") == "zz");
  CHECK_FALSE(is_valid_utf8("\xC0\x80"));
  CHECK_FALSE(is_valid_utf8("a\xE2\x82"));
  CHECK(is_valid_utf8("\xF0\x9F\x8F\xA2 ok"));
  std::mt19937 random(7);
  HashEncoder encoder(64);
  std::vector<float> out(64);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes(random() % 80, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    TokenList list;
    tokenize(bytes, list);
    for (const Token& token : list.tokens) CHECK(list.view(token).size() <= max_token_bytes);
    CHECK(encoder.encode(bytes, out).has_value() == !list.tokens.empty());
  }
}

TEST_CASE("vectors have length one, repeat themselves and put like with like") {
  const auto lost = encoded("I lost my card");
  CHECK(cosine(lost, lost) == doctest::Approx(1.0).epsilon(1e-6));
  CHECK(lost == encoded("i LOST my card!"));
  CHECK(cosine(lost, encoded("my card is lost")) >
        cosine(lost, encoded("what is the exchange rate")));
  CHECK(cosine(encoded("password"), encoded("passwrod")) >
        cosine(encoded("password"), encoded("cheque")) + 0.02);
  HashEncoder reused(256);
  std::vector<float> out(256);
  REQUIRE(reused.encode("something much longer, said before, with other words", out));
  REQUIRE(reused.encode("I lost my card", out));
  CHECK(out == lost);
}

TEST_CASE("the bits are the same on every machine") {
  // Golden: changes only together with HashEncoder::vector_id.
  const auto vector = encoded("Where is my refund?", 8);
  std::uint64_t digest = 0;
  for (const float value : vector) {
    std::uint32_t bits = 0;
    static_assert(sizeof bits == sizeof value);
    __builtin_memcpy(&bits, &value, sizeof bits);
    digest = mix_bits(digest ^ bits);
  }
  CHECK(digest == 13563312715821136780ULL);
}

TEST_CASE("what cannot be encoded is refused and leaves the output alone") {
  HashEncoder encoder(16);
  std::vector<float> out(16, 42.0F);
  for (const std::string& text : {std::string(), std::string("  ?! "), std::string(65537, 'a')}) {
    const Status status = encoder.encode(text, out);
    REQUIRE_FALSE(status);
    CHECK(status.error().code == ErrorCode::invalid_argument);
  }
  std::vector<float> short_out(8, 42.0F);
  CHECK(encoder.encode("hello", short_out).error().code == ErrorCode::wrong_dimension);
  CHECK(out == std::vector<float>(16, 42.0F));
}
