#include "worker/encoder/word_pieces.h"

#include <algorithm>
#include <array>
#include <optional>

namespace tenantd {
namespace {

bool begins_letter(char byte) noexcept {
  return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U;
}

struct Piece {
  std::uint32_t token;
  std::size_t bytes;
};

// The longest piece that `rest` begins with. Hashes of all beginnings come from one pass.
std::optional<Piece> longest_piece(std::string_view rest, bool continues, const ModelFile& model) {
  constexpr std::size_t most = 256;
  std::array<std::uint64_t, most> states;  // behind byte i
  const std::size_t longest =
      std::min({rest.size(), most, std::size_t{model.header().longest_piece_bytes}});
  std::uint64_t state = piece_seed(continues);
  for (std::size_t i = 0; i < longest; ++i) {
    state = add_to_piece(state, rest[i]);
    states[i] = state;
  }
  for (std::size_t end = longest; end > 0; --end) {
    if (end < rest.size() && !begins_letter(rest[end])) continue;
    const auto token = model.find_piece(rest.substr(0, end), continues, states[end - 1]);
    if (token) return Piece{*token, end};
  }
  return std::nullopt;
}

bool cut_word(std::string_view word, const ModelFile& model, std::vector<std::uint32_t>& tokens) {
  const auto letters = std::count_if(word.begin(), word.end(), begins_letter);
  if (static_cast<std::size_t>(letters) > model.header().max_word_letters) return false;
  for (std::size_t start = 0; start < word.size();) {
    const auto piece = longest_piece(word.substr(start), start > 0, model);
    if (!piece) return false;
    tokens.push_back(piece->token);
    start += piece->bytes;
  }
  return true;
}

}  // namespace

void cut_word_pieces(const BertText& text, const ModelFile& model,
                     std::vector<std::uint32_t>& tokens) {
  tokens.clear();
  for (const BertWord& word : text.words) {
    const std::size_t before = tokens.size();
    const auto letters = std::string_view(text.letters).substr(word.offset, word.bytes);
    if (cut_word(letters, model, tokens)) continue;
    tokens.resize(before);
    const std::uint32_t unknown = model.header().unknown_token;
    if (unknown < model.header().token_count) tokens.push_back(unknown);
  }
}

}  // namespace tenantd
