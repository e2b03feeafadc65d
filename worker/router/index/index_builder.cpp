#include "worker/router/index/index_builder.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <utility>

#include "worker/encoder/hashing.h"
#include "worker/router/aggregate.h"

namespace tenantd {
namespace {

constexpr std::size_t products_per_step = 1U << 18U;
// Rows outside the lists, and places in lists whose rows have gone, that are put up with.
constexpr std::size_t few_rows = 4096;
constexpr std::size_t tolerated_share = 128;  // one in so many
// Rows put into lists after the last measurement, of all: beyond this it is made again.
constexpr double unmeasured_share = 0.1;
constexpr double rejected_retry_share = 0.2;
constexpr std::size_t growth_before_training = 2;

double wanted_recall(const RouterSettings& settings) noexcept {
  return static_cast<double>(settings.index_recall_e4) * 1e-4;
}

bool ranks_alike(const RouterSettings& a, const RouterSettings& b) noexcept {
  return a.aggregation == b.aggregation && a.top_k == b.top_k &&
         a.prototype_weight_e4 == b.prototype_weight_e4;
}

bool over_share(std::size_t rows, std::size_t all, double share) noexcept {
  return static_cast<double>(rows) > static_cast<double>(all) * share;
}

std::string shortfall(const IndexQuality& quality, double wanted) {
  char text[160];
  (void)std::snprintf(text, sizeof text,
                      "recall@1 is %.3f (at least %.3f) with %llu rows read a query, the most that "
                      "may be; %.3f is wanted",
                      static_cast<double>(quality.recall),
                      static_cast<double>(quality.recall_at_least),
                      static_cast<unsigned long long>(quality.probe_rows), wanted);
  return text;
}

}  // namespace

std::uint64_t route_fingerprint(const RouteBlock& route) noexcept {
  std::uint64_t state = hash_text(route.id);
  state = mix_bits(state ^ route.vector_count);
  for (const double value : route.vector_sum.values()) {
    state = mix_bits(state ^ std::bit_cast<std::uint64_t>(value)) + state * 3;
  }
  return state;
}

std::string IndexBuilder::find_unneeded(const RouteSnapshot& now) {
  const RouteSet& set = *now.set;
  const bool reads_rows = make_aggregator(now.scoring.aggregation, now.scoring).needs_rows() ||
                          set.has_own_aggregations;
  if (now.scoring.dense_weight <= 0) return "dense_weight is 0";
  if (!reads_rows) return "the aggregation reads no utterance";
  if (set.mixed_encoders) return "the vectors are of several encoders";
  if (set.vector_count < min_indexed_vectors) {
    return "fewer than " + std::to_string(min_indexed_vectors) + " vectors";
  }
  return {};
}

void IndexBuilder::reset() {
  const bool had_view = lists_ != nullptr && !is_rejected_;
  *this = IndexBuilder(*kernels_);
  news_ = had_view;
}

bool IndexBuilder::step(const RouteSnapshot& now) {
  if (now.settings.router.index != VectorIndexKind::ivf || !find_unneeded(now).empty()) {
    if (partition_ != nullptr || phase_ != Phase::idle) reset();
    return false;
  }
  const bool other_vectors = encoder_ != now.set->encoder || dimension_ != now.set->dimension;
  if (other_vectors && !encoder_.empty()) reset();
  encoder_ = now.set->encoder;
  dimension_ = now.set->dimension;
  switch (phase_) {
    case Phase::idle:
      begin(now);
      return phase_ != Phase::idle;
    case Phase::training:
      if (trainer_->step()) return true;
      next_partition_ = std::make_shared<Partition>();
      next_partition_->centroids = trainer_->take_centroids();
      next_partition_->trained_rows = set_->vector_count;
      trainer_.reset();
      is_new_partition_ = true;
      begin_assigning(now);
      return true;
    case Phase::assigning:
      assign_some();
      if (pending_.empty()) end_assigning(now);
      return true;
    case Phase::measuring:
      if (!measure_->step()) end_measuring();
      return true;
  }
  return false;
}

void IndexBuilder::begin(const RouteSnapshot& now) {
  const std::size_t rows = now.set->vector_count;
  if (partition_ == nullptr || rows > growth_before_training * partition_->trained_rows) {
    return begin_training(now);
  }
  const auto view = make_index_view(lists_, *now.set, 0);
  const std::size_t changed = view->tail_rows + view->gone_rows;
  if (is_rejected_ && over_share(changed, rows, rejected_retry_share)) return begin_training(now);
  if (changed > std::max(few_rows, rows / tolerated_share) && !is_rejected_) {
    return begin_assigning(now);
  }
  const double wanted = wanted_recall(now.settings.router);
  if (!ranks_alike(measured_scoring_, now.scoring) || measured_wanted_ != wanted) {
    next_lists_ = lists_;
    begin_measuring(now);
  }
}

void IndexBuilder::begin_training(const RouteSnapshot& now) {
  set_ = now.set;
  trainer_.emplace(set_, suitable_lists(set_->vector_count), *kernels_);
  phase_ = Phase::training;
}

// Of the newest set: what was edited while a partition was trained is in it, too.
void IndexBuilder::begin_assigning(const RouteSnapshot& now) {
  set_ = now.set;
  if (next_partition_ == nullptr) {
    is_new_partition_ = false;
    list_counts_.clear();
  } else {
    chunks_.clear();
    list_sums_.assign(next_partition_->centroids.rows(), 0.0);
    list_counts_.assign(next_partition_->centroids.rows(), 0);
  }
  pending_.clear();
  assigned_.clear();
  for (const auto& route : set_->routes) {
    for (const auto& chunk : route->chunks) {
      if (chunk->vectors.rows() > 0 && !chunks_.contains(chunk.get())) pending_.push_back(chunk);
    }
  }
  pending_total_ = pending_.size();
  phase_ = Phase::assigning;
}

void IndexBuilder::assign_some() {
  const Partition& partition = is_new_partition_ ? *next_partition_ : *partition_;
  std::size_t left = std::max<std::size_t>(products_per_step / partition.centroids.rows(), 64);
  std::vector<const float*> rows;
  std::vector<float> products;
  while (left > 0 && !pending_.empty()) {
    const Matrix& vectors = pending_.back()->vectors;
    const std::size_t first = assigned_.size();
    const std::size_t some = std::min(left, vectors.rows() - first);
    rows.clear();
    for (std::size_t i = 0; i < some; ++i) rows.push_back(vectors.row(first + i).data());
    products.resize(some);
    assigned_.resize(first + some);
    assign_to_nearest(*kernels_, partition.centroids, rows, std::span(assigned_).subspan(first),
                      products);
    for (std::size_t i = 0; is_new_partition_ && i < some; ++i) {
      list_sums_[assigned_[first + i]] += static_cast<double>(products[i]);
      ++list_counts_[assigned_[first + i]];
    }
    left -= some;
    unmeasured_rows_ += some;
    if (assigned_.size() < vectors.rows()) return;
    auto lists = std::make_shared<const std::vector<std::uint16_t>>(std::move(assigned_));
    assigned_.clear();
    const UtteranceChunk* const chunk = pending_.back().get();
    chunks_.insert_or_assign(chunk, KnownChunk{std::move(pending_.back()), std::move(lists)});
    pending_.pop_back();
  }
}

ChunkLists IndexBuilder::lists_of(const UtteranceChunk& chunk) const {
  const auto known = chunks_.find(&chunk);
  return known == chunks_.end() ? nullptr : known->second.lists;
}

void IndexBuilder::end_assigning(const RouteSnapshot& now) {
  if (is_new_partition_) {
    next_partition_->mean_lengths.resize(list_counts_.size());
    for (std::size_t i = 0; i < list_counts_.size(); ++i) {
      if (list_counts_[i] == 0) continue;
      next_partition_->mean_lengths[i] = static_cast<float>(list_sums_[i] / list_counts_[i]);
    }
  }
  const std::shared_ptr<const Partition> partition =
      is_new_partition_ ? std::shared_ptr<const Partition>(next_partition_) : partition_;
  next_lists_ = make_index_lists(*set_, partition,
                                 [this](const UtteranceChunk& chunk) { return lists_of(chunk); });
  std::unordered_map<const UtteranceChunk*, KnownChunk> kept;
  for (const auto& route : set_->routes) {
    for (const auto& chunk : route->chunks) {
      if (auto known = chunks_.extract(chunk.get()); !known.empty()) kept.insert(std::move(known));
    }
  }
  chunks_ = std::move(kept);
  const bool is_known = !is_new_partition_ && ranks_alike(measured_scoring_, now.scoring) &&
                        !over_share(unmeasured_rows_, set_->vector_count, unmeasured_share);
  if (!is_known) return begin_measuring(now);
  lists_ = std::move(next_lists_);
  set_.reset();
  phase_ = Phase::idle;
  news_ = true;
  has_new_image_ = true;
}

void IndexBuilder::begin_measuring(const RouteSnapshot& now) {
  set_ = now.set;
  set_version_ = now.version;
  scoring_ = now.scoring;
  wanted_ = wanted_recall(now.settings.router);
  measure_.emplace(set_, next_lists_, scoring_, wanted_, *kernels_);
  phase_ = Phase::measuring;
}

// A partition that has served its time is trained again before an index is given up.
void IndexBuilder::end_measuring() {
  quality_ = measure_->quality();
  measure_.reset();
  measured_scoring_ = scoring_;
  measured_wanted_ = wanted_;
  measured_version_ = set_version_;
  unmeasured_rows_ = 0;
  lists_ = std::move(next_lists_);
  const bool was_new = std::exchange(is_new_partition_, false);
  if (next_partition_ != nullptr) partition_ = std::move(next_partition_);
  next_partition_.reset();
  is_rejected_ = !quality_.sufficient;
  set_.reset();
  phase_ = Phase::idle;
  if (is_rejected_ && !was_new) partition_.reset();
  news_ = true;
  has_new_image_ = partition_ != nullptr;
}

std::shared_ptr<const IndexView> IndexBuilder::view_for(const RouteSnapshot& snapshot) const {
  const RouterSettings& settings = snapshot.settings.router;
  const bool applies =
      settings.index == VectorIndexKind::ivf && lists_ != nullptr && !is_rejected_ &&
      partition_ != nullptr && encoder_ == snapshot.set->encoder &&
      ranks_alike(measured_scoring_, snapshot.scoring) &&
      measured_wanted_ == wanted_recall(settings) && find_unneeded(snapshot).empty();
  if (!applies) return nullptr;
  return make_index_view(lists_, *snapshot.set, quality_.probe_rows);
}

std::optional<IndexImage> IndexBuilder::take_image(const RouteSet& set) {
  if (!has_new_image_ || phase_ != Phase::idle || partition_ == nullptr) return std::nullopt;
  has_new_image_ = false;
  IndexImage image;
  image.partition = partition_;
  image.quality = quality_;
  image.scoring = measured_scoring_;
  image.wanted = measured_wanted_;
  image.unmeasured_rows = unmeasured_rows_;
  image.version = measured_version_;
  for (const auto& route : set.routes) {
    const std::size_t before = image.lists.size();
    bool complete = true;
    for (const auto& chunk : route->chunks) {
      if (chunk->vectors.rows() == 0) continue;
      const ChunkLists lists = lists_of(*chunk);
      complete = complete && lists != nullptr;
      if (complete) image.lists.insert(image.lists.end(), lists->begin(), lists->end());
    }
    if (!complete) {
      image.lists.resize(before);
    } else if (image.lists.size() > before) {
      image.routes.push_back({route_fingerprint(*route), image.lists.size() - before});
    }
  }
  return image;
}

bool IndexBuilder::restore(IndexImage image, const RouteSnapshot& snapshot) {
  const RouteSet& set = *snapshot.set;
  if (image.partition->centroids.dimension() != set.dimension) return false;
  struct Found {
    std::size_t first;
    std::uint64_t rows;
  };
  std::unordered_map<std::uint64_t, Found> routes;
  std::size_t first = 0;
  for (const IndexImage::Route& route : image.routes) {
    routes.emplace(route.fingerprint, Found{first, route.rows});
    first += route.rows;
  }
  std::size_t restored = 0;
  for (const auto& route : set.routes) {
    if (route->vector_count == 0) continue;
    const auto found = routes.find(route_fingerprint(*route));
    if (found == routes.end() || found->second.rows != route->vector_count) continue;
    auto from = std::span(image.lists).subspan(found->second.first, found->second.rows);
    for (const auto& chunk : route->chunks) {
      const std::size_t rows = chunk->vectors.rows();
      if (rows == 0) continue;
      chunks_[chunk.get()] = {chunk, std::make_shared<const std::vector<std::uint16_t>>(
                                         from.begin(), from.begin() + static_cast<long>(rows))};
      from = from.subspan(rows);
    }
    restored += route->vector_count;
  }
  if (restored < set.vector_count / 2) {
    chunks_.clear();
    return false;
  }
  partition_ = std::move(image.partition);
  lists_ = make_index_lists(set, partition_,
                            [this](const UtteranceChunk& chunk) { return lists_of(chunk); });
  quality_ = image.quality;
  is_rejected_ = !quality_.sufficient;
  measured_scoring_ = image.scoring;
  measured_wanted_ = image.wanted;
  measured_version_ = image.version;
  unmeasured_rows_ = image.unmeasured_rows;
  encoder_ = set.encoder;
  dimension_ = set.dimension;
  return true;
}

IndexStatus IndexBuilder::status(const RouteSnapshot& snapshot) const {
  IndexStatus status;
  if (snapshot.settings.router.index != VectorIndexKind::ivf) return status;
  status.reason = find_unneeded(snapshot);
  if (!status.reason.empty()) {
    status.state = IndexState::unneeded;
    return status;
  }
  status.quality = quality_;
  status.version = measured_version_;
  if (lists_ != nullptr) {
    status.lists = static_cast<std::uint32_t>(lists_->starts.size() - 1);
    status.bytes = lists_->memory_bytes() + lists_->entries.size() * sizeof(std::uint16_t);
  }
  if (const auto view = view_for(snapshot)) {
    status.state = IndexState::ready;
    status.outside = view->tail_rows;
    return status;
  }
  if (is_rejected_ && phase_ == Phase::idle) {
    status.state = IndexState::rejected;
    status.reason = shortfall(quality_, measured_wanted_);
    return status;
  }
  status.state = IndexState::building;
  switch (phase_) {
    case Phase::idle:
      status.reason = "waiting";
      break;
    case Phase::training:
      status.reason = "finding lists";
      status.progress = 0.2 * trainer_->progress();
      break;
    case Phase::assigning:
      status.reason = "putting vectors into lists";
      status.progress =
          0.2 + 0.4 * (1.0 - static_cast<double>(pending_.size()) /
                                 static_cast<double>(std::max<std::size_t>(pending_total_, 1)));
      break;
    case Phase::measuring:
      status.reason = "measuring recall";
      status.progress = 0.6 + 0.4 * measure_->progress();
      break;
  }
  return status;
}

}  // namespace tenantd
