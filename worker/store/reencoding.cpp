#include "worker/store/reencoding.h"

#include <algorithm>
#include <utility>

namespace tenantd {

Reencoding::Reencoding(EncoderPtr target, std::shared_ptr<ReencodingProgress> progress)
    : target_(std::move(target)),
      session_(target_->open_session()),
      progress_(std::move(progress)) {}

Status Reencoding::resume(const ExecutionContext& context, TenantStore& store,
                          const RouteSet& set) {
  const auto staged = store.count_staged(context, target_->id());
  if (!staged) return fail(staged.error());
  for (const auto& [route, count] : *staged) done_[route] = count;
  report(set);
  return {};
}

// A text without a word that the encoder knows is known by its words alone: an empty vector.
StagedVector Reencoding::encode(const RouteBlock& route, std::uint32_t ordinal) {
  StagedVector staged;
  staged.route = route.id;
  staged.ordinal = ordinal;
  staged.utterance.text = route.text_of(ordinal);
  std::vector<float> vector(target_->dimension());
  if (session_->encode({staged.utterance.text, nullptr}, vector)) {
    staged.utterance.embedding = std::move(vector);
    staged.utterance.encoder = target_->id();
  }
  return staged;
}

Result<bool> Reencoding::encode_slice(const ExecutionContext& context, TenantStore& store,
                                      const RouteSet& set) {
  std::vector<StagedVector> slice;
  for (const auto& route : set.routes) {
    const auto found = done_.find(route->id);
    std::uint32_t next = found == done_.end() ? 0 : found->second;
    for (; next < route->utterance_count && slice.size() < slice_utterances; ++next) {
      slice.push_back(encode(*route, next));
    }
    if (slice.size() == slice_utterances) break;
  }
  if (slice.empty()) return false;
  if (Status staged = store.stage(context, target_->id(), slice); !staged) {
    report(set, staged.error().message);
    return fail(staged.error());
  }
  for (const StagedVector& vector : slice) done_[vector.route] = vector.ordinal + 1;
  report(set);
  return true;
}

void Reencoding::report(const RouteSet& set, std::string problem) {
  ReencodingState state;
  for (const auto& [route, count] : done_) state.done += count;
  state.total = set.utterance_count();
  state.problem = std::move(problem);
  progress_->set(std::move(state));
}

std::size_t count_textless(const RouteSet& set) {
  std::size_t count = 0;
  for (const auto& route : set.routes) {
    for (const auto& chunk : route->chunks) {
      count += chunk->texts.count_empty();
    }
  }
  return count;
}

}  // namespace tenantd
