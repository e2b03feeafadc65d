#include "worker/router/leave_one_out.h"

namespace tenantd {

void LeaveOneOut::scan(const RouterSettings& settings, std::span<const std::uint32_t> utterances) {
  settings_ = &settings;
  if (prepared_.size() < utterances.size()) prepared_.resize(utterances.size());
  signals_.clear();
  for (std::size_t i = 0; i < utterances.size(); ++i) {
    signals_.push_back(prepare(utterances[i], prepared_[i]));
  }
  searcher_.scan(set_, settings, signals_);
}

void LeaveOneOut::aggregate(const RouterSettings& settings) {
  settings_ = &settings;
  searcher_.aggregate(settings);
}

LeaveOneOut::Asked LeaveOneOut::select(std::size_t i) {
  searcher_.select(i);
  const Prepared& prepared = prepared_[i];
  const QuerySignals& query = signals_[i];
  Asked asked{prepared.route, prepared.in_route, prepared.siblings, {}, {}};
  asked.without =
      scorer_.score(set_, *settings_, query, searcher_.words(), prepared.route, prepared.in_route);
  asked.with = scorer_.score(set_, *settings_, query, searcher_.words(), prepared.route);
  return asked;
}

QuerySignals LeaveOneOut::prepare(std::uint32_t utterance, Prepared& prepared) {
  prepared.route = set_.route_of(utterance);
  const RouteBlock& route = *set_.routes[prepared.route];
  prepared.in_route = utterance - set_.first_utterance[prepared.route];
  std::size_t row = prepared.in_route;
  std::size_t c = 0;
  while (row >= route.chunks[c]->size()) row -= route.chunks[c++]->size();
  const UtteranceChunk& chunk = *route.chunks[c];
  prepared.siblings = chunk.encoder.empty() ? route.text_count : route.vector_count;
  QuerySignals query;
  if (!chunk.encoder.empty()) {
    prepared.codes.set(chunk.vectors.row(row));
    query.vector = chunk.vectors.row(row).data();
    query.codes = prepared.codes.view();
    query.coarse = prepared.codes.coarse();
  }
  tokenize(chunk.texts[row], prepared.words);
  distinct_words(prepared.words, prepared.distinct);
  query.words = prepared.distinct;
  return query;
}

void for_each_sample(const RouteSet& set, std::size_t count,
                     const std::function<void(std::span<const std::uint32_t>)>& take) {
  const std::size_t all = set.utterance_count();
  std::vector<std::uint32_t> utterances;
  for (std::size_t i = 0; i < count; ++i) {
    utterances.push_back(static_cast<std::uint32_t>(i * all / count));
    if (utterances.size() < Searcher::queries_at_once(set) && i + 1 < count) continue;
    take(utterances);
    utterances.clear();
  }
}

}  // namespace tenantd
