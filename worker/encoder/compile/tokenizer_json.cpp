#include "worker/encoder/compile/tokenizer_json.h"

#include <algorithm>

#include "shared/contract/model_file.h"
#include "worker/encoder/compile/model_json.h"

namespace tenantd {
namespace {

using nlohmann::json;

tl::unexpected<Error> refuse(std::string what) {
  return fail(ErrorCode::invalid_config, std::move(what));
}

Status check_type(const json* object, std::string_view name, const std::string& expected) {
  if (object == nullptr) return refuse("has no " + std::string(name));
  const auto type = json_text(*object, "type", "");
  if (!type) return refuse(std::string(name) + ": " + type.error().message);
  if (*type == expected) return {};
  return refuse(std::string(name) + " is of the type \"" + *type + "\"; only \"" + expected +
                "\" is read");
}

// A sequence of one is that one.
const json* unwrap(const json* object, const char* members) {
  if (object == nullptr) return nullptr;
  const auto type = json_text(*object, "type", "");
  if (!type || *type != "Sequence") return object;
  const auto found = object->find(members);
  const bool one = found != object->end() && found->is_array() && found->size() == 1 &&
                   found->front().is_object();
  return one ? &found->front() : object;
}

Result<std::uint32_t> read_flags(const json& normalizer) {
  const auto cleans = json_flag(normalizer, "clean_text", true);
  const auto spaces = json_flag(normalizer, "handle_chinese_chars", true);
  const auto lower = json_flag(normalizer, "lowercase", true);
  for (const auto* flag : {&cleans, &spaces, &lower}) {
    if (!*flag) return refuse("normalizer: " + flag->error().message);
  }
  const auto strips = json_flag(normalizer, "strip_accents", *lower);
  if (!strips) return refuse("normalizer: " + strips.error().message);
  return (*cleans ? model_cleans_text : 0U) | (*spaces ? model_spaces_ideographs : 0U) |
         (*strips ? model_strips_accents : 0U) | (*lower ? model_lower_cases : 0U);
}

Status read_vocabulary(const json& model, WordPieceTokenizer& tokenizer) {
  const json* const vocabulary = json_object(model, "vocab");
  if (vocabulary == nullptr) return refuse("model has no vocab");
  if (vocabulary->size() > max_vocabulary) return refuse("the vocabulary is too large");
  for (const auto& [text, token] : vocabulary->items()) {
    if (!token.is_number_unsigned() || token.get<std::uint64_t>() > UINT32_MAX - 1) {
      return refuse("the vocabulary has a token that is no number");
    }
    if (text.size() > max_piece_bytes) return refuse("the vocabulary has a piece that is too long");
    if (text.empty()) continue;  // no word begins with it
    tokenizer.vocabulary.push_back({text, token.get<std::uint32_t>()});
  }
  return {};
}

Status read_model(const json& model, WordPieceTokenizer& tokenizer) {
  if (Status read = read_vocabulary(model, tokenizer); !read) return read;
  auto prefix = json_text(model, "continuing_subword_prefix", "##");
  const auto unknown = json_text(model, "unk_token", "");
  const auto letters = json_number(model, "max_input_chars_per_word", 100);
  if (!prefix) return refuse("model: " + prefix.error().message);
  if (!unknown) return refuse("model: " + unknown.error().message);
  if (!letters || *letters > UINT32_MAX) return refuse("model: max_input_chars_per_word is wrong");
  tokenizer.prefix = std::move(*prefix);
  tokenizer.max_word_letters = static_cast<std::uint32_t>(*letters);
  tokenizer.unknown_token = ModelHeader::no_token;
  if (unknown->empty()) return {};
  const auto found =
      std::find_if(tokenizer.vocabulary.begin(), tokenizer.vocabulary.end(),
                   [&unknown](const VocabularyEntry& entry) { return entry.text == *unknown; });
  if (found == tokenizer.vocabulary.end()) return refuse("unk_token is not in the vocabulary");
  tokenizer.unknown_token = found->token;
  return {};
}

}  // namespace

Result<WordPieceTokenizer> read_tokenizer(std::string_view text) {
  const auto document = parse_model_json(text);
  if (!document) return fail(document.error());
  const json* const model = json_object(*document, "model");
  const json* const normalizer = unwrap(json_object(*document, "normalizer"), "normalizers");
  const json* const splitter = unwrap(json_object(*document, "pre_tokenizer"), "pretokenizers");
  if (Status type = check_type(model, "model", "WordPiece"); !type) return fail(type.error());
  if (Status type = check_type(normalizer, "normalizer", "BertNormalizer"); !type) {
    return fail(type.error());
  }
  if (Status type = check_type(splitter, "pre_tokenizer", "BertPreTokenizer"); !type) {
    return fail(type.error());
  }
  WordPieceTokenizer tokenizer;
  const auto flags = read_flags(*normalizer);
  if (!flags) return fail(flags.error());
  tokenizer.flags = *flags;
  if (Status read = read_model(*model, tokenizer); !read) return fail(read.error());
  return tokenizer;
}

}  // namespace tenantd
