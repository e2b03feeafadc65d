// WordPiece (Schuster and Nakajima 2012): words into the longest pieces that a model knows.
//
// Runs in: worker, on text that clients wrote.
#pragma once

#include <cstdint>
#include <vector>

#include "worker/encoder/bert_text.h"
#include "worker/encoder/model_file.h"

namespace tenantd {

// Replaces `tokens` with those of all words, in order. A word that is too long or that cannot be
// cut into known pieces gives the unknown token, or none if the model has no such token.
void cut_word_pieces(const BertText& text, const ModelFile& model,
                     std::vector<std::uint32_t>& tokens);

}  // namespace tenantd
