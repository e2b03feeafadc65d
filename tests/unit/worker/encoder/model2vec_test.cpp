#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <random>

#include "tests/unit/worker/encoder/model_fixtures.h"
#include "worker/encoder/hash_encoder.h"
#include "worker/encoder/model2vec_encoder.h"

using namespace tenantd;
using namespace tenantd::fixtures;

namespace {

// A compiled model and the encoder that borrows it.
struct Compiled {
  explicit Compiled(const Result<std::vector<std::byte>>& file)
      : bytes(file.value()), encoder("words@1", ModelFile::view(bytes).value()) {}
  Compiled() : Compiled(compile(tokenizer_json(), word_tensors())) {}

  Status encode(std::string_view text) {
    out.assign(encoder.dimension(), -1.0F);
    return encoder.open_session()->encode({text, nullptr}, out);
  }

  std::vector<std::byte> bytes;
  Model2VecEncoder encoder;
  std::vector<float> out;
};

using Tokens = std::vector<std::uint32_t>;

void check_direction(const std::vector<float>& out, double x, double y) {
  const double length = std::sqrt(x * x + y * y);
  REQUIRE(out.size() == 2);
  CHECK(static_cast<double>(out[0]) == doctest::Approx(x / length).epsilon(1e-6));
  CHECK(static_cast<double>(out[1]) == doctest::Approx(y / length).epsilon(1e-6));
}

std::string reason(const std::string& tokenizer, const std::vector<std::byte>& tensors,
                   const std::string& config = model_config) {
  const auto compiled = compile(tokenizer, tensors, config);
  if (compiled) return "it was compiled";
  CHECK(compiled.error().code == ErrorCode::invalid_config);
  return compiled.error().message;
}

std::uint16_t half_of(float value) {  // of small whole numbers
  if (value == 0) return 0;
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<std::uint16_t>(((bits >> 16U) & 0x8000U) |
                                    ((((bits >> 23U) & 0xFFU) - 112U) << 10U) |
                                    ((bits >> 13U) & 0x3FFU));
}

}  // namespace

TEST_CASE("words are cut into the longest pieces, and what is unknown is unknown whole") {
  Compiled words;
  CHECK(words.encoder.tokens("print printer printers") == Tokens{2, 2, 3, 2, 3, 5});
  CHECK(words.encoder.tokens("PRINT! er") == Tokens{2, 1, 1});
  CHECK(words.encoder.tokens("jams jamx") == Tokens{4, 5, 1});
  CHECK(words.encoder.tokens("[UNK] ##er") == Tokens{1, 1, 1, 1, 1, 1});  // spelled, not meant
  CHECK(words.encoder.tokens("printersss printerssss") == Tokens{2, 3, 5, 5, 5, 1});  // 10 letters
  CHECK(words.encoder.tokens("").empty());
  CHECK(words.encoder.tokens("prin\xff\x80t") == Tokens{2});
}

TEST_CASE("the flags of the normalizer are kept apart") {
  const auto tokens = [](const std::string& flags, std::string_view text) {
    const Compiled words(
        compile(tokenizer_json(word_vocabulary, "", R"({"type":"BertNormalizer",)" + flags + "}"),
                word_tensors()));
    return words.encoder.tokens(text);
  };
  CHECK(tokens(R"("lowercase":true)", "É Print") == Tokens{1, 2});
  CHECK(tokens(R"("lowercase":true,"strip_accents":false)", "É Print") == Tokens{6, 2});
  CHECK(tokens(R"("lowercase":false)", "é Print print") == Tokens{6, 1, 2});
  CHECK(tokens(R"("lowercase":false,"strip_accents":true)", "prínt") == Tokens{2});
  CHECK(tokens(R"("clean_text":true)", "pri\u200bnt") == Tokens{2});
  CHECK(tokens(R"("clean_text":false)", "pri\u200bnt") == Tokens{1});
  CHECK(tokens(R"("handle_chinese_chars":true)", "print漢print") == Tokens{2, 1, 2});
  CHECK(tokens(R"("handle_chinese_chars":false)", "print漢print") == Tokens{1});
}

TEST_CASE("a vector is the direction of the mean of the known pieces") {
  Compiled words;
  REQUIRE(words.encode("printer"));
  check_direction(words.out, 2 + 3, 8 + 7);
  REQUIRE(words.encode("nobody knows jam"));
  check_direction(words.out, 4, 6);
  REQUIRE(words.encode("jam jam jam print"));
  check_direction(words.out, 4 * 3 + 2, 6 * 3 + 8);
  CHECK(words.encode("nothing of this").error().code == ErrorCode::invalid_argument);
  CHECK(words.out == std::vector<float>{-1.0F, -1.0F});
  CHECK(words.encode(std::string(max_tokenized_bytes + 1, 'a')).error().code ==
        ErrorCode::invalid_argument);
  std::vector<float> three(3);
  CHECK(words.encoder.open_session()->encode({"jam", nullptr}, three).error().code ==
        ErrorCode::wrong_dimension);
}

TEST_CASE("float16, int8, weights and mappings give the vectors of float32") {
  Compiled plain;
  REQUIRE(plain.encode("printers jam"));
  const auto expected = plain.out;
  const auto rows = word_rows();
  std::vector<std::uint16_t> halves;
  std::vector<std::int8_t> bytes;
  for (const float value : rows) {
    halves.push_back(half_of(value));
    bytes.push_back(static_cast<std::int8_t>(value));
  }
  const auto check = [&expected](const std::vector<NamedTensor>& tensors) {
    Compiled words(compile(tokenizer_json(), safetensors_of(tensors)));
    REQUIRE(words.encode("printers jam"));
    CHECK(words.out == expected);
  };
  check({{"embeddings", "F16", "7,2", bytes_of(halves)}});
  check({{"embeddings", "I8", "7,2", bytes_of(bytes)}});
  check({{"embeddings", "F32", "7,2", bytes_of(rows)},
         {"weights", "F64", "7", bytes_of(std::vector<double>(7, 0.5))}});
  // Rows in reverse order, and a type that nobody needs.
  std::vector<float> reversed;
  for (std::size_t row = 7; row-- > 0;) {
    reversed.insert(reversed.end(), {rows[2 * row], rows[2 * row + 1]});
  }
  check({{"embeddings", "F32", "7,2", bytes_of(reversed)},
         {"mapping", "I64", "7", bytes_of(std::vector<std::int64_t>{6, 5, 4, 3, 2, 1, 0})},
         {"other", "BF16", "1", std::vector<std::byte>(2)}});
  Compiled weighted(compile(
      tokenizer_json(), safetensors_of({{"embeddings", "F32", "7,2", bytes_of(rows)},
                                        {"weights", "F16", "7",
                                         bytes_of(std::vector<std::uint16_t>{
                                             0, 0, half_of(2), 0, half_of(0.5F), 0, 0x0001})}})));
  REQUIRE(weighted.encode("printers jam"));
  check_direction(weighted.out, 2 * 2 + 0.5 * 4, 2 * 8 + 0.5 * 6);
  Compiled denormal(compile(tokenizer_json(),
                            safetensors_of({{"embeddings", "F16", "7,2",
                                             bytes_of(std::vector<std::uint16_t>(14, 0x0001))}})));
  REQUIRE(denormal.encode("jam"));
  check_direction(denormal.out, 1, 1);
}

TEST_CASE("a tokenizer that would be misread is refused with the reason") {
  const auto tensors = word_tensors();
  CHECK(reason("", tensors) == "tokenizer.json: is not JSON");
  CHECK(reason("[]", tensors) == "tokenizer.json: is not a JSON object");
  CHECK(reason(R"({"a":)" + std::string(100, '[') + std::string(100, ']') + "}", tensors) ==
        "tokenizer.json: is nested too deep");
  CHECK(reason("{}", tensors) == "tokenizer.json: has no model");
  CHECK(reason(R"({"model":{"type":"Unigram"}})", tensors) ==
        "tokenizer.json: model is of the type \"Unigram\"; only \"WordPiece\" is read");
  CHECK(reason(tokenizer_json(word_vocabulary, "", R"({"type":"NFC"})"), tensors) ==
        "tokenizer.json: normalizer is of the type \"NFC\"; only \"BertNormalizer\" is read");
  CHECK(reason(tokenizer_json(word_vocabulary, "", R"({"type":"BertNormalizer"})", "null"),
               tensors) == "tokenizer.json: has no pre_tokenizer");
  CHECK(reason(tokenizer_json(word_vocabulary, "", R"({"type":"BertNormalizer","lowercase":1})"),
               tensors) == "tokenizer.json: normalizer: lowercase is not true or false");
  CHECK(reason(tokenizer_json("[]"), tensors) == "tokenizer.json: model has no vocab");
  CHECK(reason(tokenizer_json(R"({"[UNK]":-1})"), tensors) ==
        "tokenizer.json: the vocabulary has a token that is no number");
  CHECK(reason(tokenizer_json(R"({"a":0})"), tensors) ==
        "tokenizer.json: unk_token is not in the vocabulary");
  CHECK(reason(tokenizer_json(R"({"[UNK]":7})"), tensors) ==
        "tokenizer.json: token 7 has no vector: model.safetensors has 7");
  CHECK(reason(tokenizer_json(R"({"[UNK]":0,")" + std::string(257, 'a') + R"(":1})"), tensors) ==
        "tokenizer.json: the vocabulary has a piece that is too long");
  // A sequence of one is that one.
  CHECK(compile(
      tokenizer_json(word_vocabulary, "",
                     R"({"type":"Sequence","normalizers":[{"type":"BertNormalizer"}]})",
                     R"({"type":"Sequence","pretokenizers":[{"type":"BertPreTokenizer"}]})"),
      tensors));
}

TEST_CASE("tensors that do not fit are refused with the reason") {
  const auto refused = [](const std::vector<std::byte>& file) {
    return reason(tokenizer_json(), file);
  };
  const auto rows = bytes_of(word_rows());
  const auto entry = [](const std::string& type, const std::string& shape, std::size_t end) {
    return R"({"embeddings":{"dtype":")" + type + R"(","shape":[)" + shape +
           R"(],"data_offsets":[0,)" + std::to_string(end) + "]}}";
  };
  CHECK(refused({}) == "model.safetensors: is too short");
  const std::uint64_t huge = 1ULL << 60U;
  CHECK(refused(bytes_of(&huge, 8)) == "model.safetensors: has a header that is too long");
  CHECK(refused(safetensors_file("{")) == "model.safetensors: has a header that is not JSON");
  CHECK(refused(safetensors_file("{}")) == "model.safetensors: has no tensor \"embeddings\"");
  const std::string named = "model.safetensors: tensor \"embeddings\" ";
  CHECK(refused(safetensors_file(entry("F32", "7,2", 57), rows)) ==
        named + "lies outside of the file");
  CHECK(refused(safetensors_file(entry("F32", "7,3", 56), rows)) ==
        named + "has another size than its shape and type say");
  CHECK(refused(safetensors_file(entry("F32", "4294967296,4294967296,4294967296", 56), rows)) ==
        named + "has another size than its shape and type say");
  CHECK(refused(safetensors_file(entry("BF16", "14,2", 56), rows)) ==
        named + "is of the type \"BF16\", which is not read");
  CHECK(refused(safetensors_file(entry("F32", "-7,2", 56), rows)) == named + "has wrong shape");
  CHECK(refused(safetensors_file(R"({"embeddings":[]})")) ==
        named + "is not described by an object");
  const std::string file = "model.safetensors: ";
  CHECK(refused(safetensors_file(entry("F32", "14", 56), rows)) ==
        file + "\"embeddings\" has an impossible shape");
  CHECK(refused(safetensors_file(entry("I32", "7,2", 56), rows)) ==
        file + "\"embeddings\" is neither F32, F16 nor I8");
  auto infinite = word_rows();
  infinite[3] = INFINITY;
  CHECK(refused(safetensors_of({{"embeddings", "F32", "7,2", bytes_of(infinite)}})) ==
        file + "\"embeddings\" holds NaN or infinity");
  const NamedTensor good{"embeddings", "F32", "7,2", rows};
  CHECK(refused(safetensors_of({good, {"weights", "F32", "6", std::vector<std::byte>(24)}})) ==
        file + "\"weights\" are not one a token");
  CHECK(refused(safetensors_of({good, {"weights", "I32", "7", std::vector<std::byte>(28)}})) ==
        file + "\"weights\" are not all finite numbers");
  CHECK(refused(safetensors_of({good, {"mapping", "F32", "7", std::vector<std::byte>(28)}})) ==
        file + "\"mapping\" is not a list of whole numbers");
  CHECK(refused(safetensors_of(
            {good, {"mapping", "I32", "7", bytes_of(std::vector<std::int32_t>(7, 7))}})) ==
        file + "\"mapping\" names a row that is not there");
  CHECK(reason(tokenizer_json(), word_tensors(), "nonsense") == "config.json: is not JSON");
  CHECK(reason(tokenizer_json(), word_tensors(), R"({"normalize":"yes"})") ==
        "config.json: normalize is not true or false");
  CHECK(reason(tokenizer_json(), word_tensors(), R"({"model_type":"bert"})") ==
        "config.json: model_type is \"bert\"; only \"model2vec\" is read");
}

TEST_CASE("a compiled model with any one byte changed is refused or used without harm") {
  const Compiled words;
  std::mt19937 random(7);
  int refused = 0;
  for (std::size_t i = 0; i < 3000; ++i) {
    auto bytes = words.bytes;
    // Every byte of the header, then others.
    const std::size_t at = i < sizeof(ModelHeader) ? i : random() % bytes.size();
    bytes[at] ^= static_cast<std::byte>(1U << (random() % 8));
    auto model = ModelFile::view(bytes);
    if (!model) {
      ++refused;
      continue;
    }
    const Model2VecEncoder encoder("damaged", std::move(*model));
    std::vector<float> out(encoder.dimension());
    if (encoder.open_session()->encode({"printers jam é print", nullptr}, out)) {
      double squares = 0;
      for (const float x : out) squares += static_cast<double>(x) * static_cast<double>(x);
      CHECK(squares == doctest::Approx(1.0).epsilon(1e-4));
    }
  }
  CHECK(refused > 60);
  for (std::size_t size = 0; size < words.bytes.size(); size += 509) {
    CHECK_FALSE(ModelFile::view(std::span(words.bytes).first(size)));
  }
}

TEST_CASE("a model's file is mapped, and what is none is refused") {
  const Compiled words;
  char path[] = "/tmp/tnd-model-XXXXXX";
  const int fd = ::mkstemp(path);
  REQUIRE(fd >= 0);
  REQUIRE(::write(fd, words.bytes.data(), words.bytes.size()) ==
          static_cast<ssize_t>(words.bytes.size()));
  auto model = ModelFile::open(path);
  REQUIRE(model);
  CHECK(Model2VecEncoder("file", std::move(*model)).tokens("jams") == Tokens{4, 5});
  REQUIRE(::ftruncate(fd, 100) == 0);
  CHECK(ModelFile::open(path).error().code == ErrorCode::invalid_config);
  (void)::close(fd);
  (void)::unlink(path);
  CHECK(ModelFile::open(path).error().code == ErrorCode::not_found);
}

TEST_CASE("a batch has one outcome a text, whatever the encoder") {
  const Compiled words;
  const EncoderPtr hash = make_hash_encoder(2);
  for (const Encoder* encoder : {static_cast<const Encoder*>(&words.encoder), hash.get()}) {
    const auto session = encoder->open_session();
    const std::vector<std::string_view> texts = {"jam", "", "printer"};
    std::vector<float> all(3 * 2, 5.0F);
    const auto outcomes = session->encode_batch(texts, all);
    REQUIRE(outcomes.size() == 3);
    CHECK(outcomes[0]);
    CHECK_FALSE(outcomes[1]);
    CHECK(outcomes[2]);
    CHECK(std::vector<float>(all.begin() + 2, all.begin() + 4) == std::vector<float>{0, 0});
    std::vector<float> one(2);
    REQUIRE(session->encode({"printer", nullptr}, one));
    CHECK(std::vector<float>(all.begin() + 4, all.end()) == one);
  }
  CHECK(words.encoder.knows_meaning());
  CHECK_FALSE(hash->knows_meaning());
}
