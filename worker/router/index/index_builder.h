// Makes an index of the current routes and keeps it, while queries and edits go on.
//
// Runs in: worker, editor thread, when no edit waits: each step is some milliseconds. Trains a
// partition, assigns every row to a list, measures recall, and only then has a view to publish. An
// edit leaves the rows that it touched outside the lists, where every query reads them; once they
// are many they are put into lists, in the background, too.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "worker/router/index/partition.h"
#include "worker/router/index/recall.h"
#include "worker/router/index/vector_index.h"
#include "worker/router/snapshot.h"

namespace tenantd {

// Below it the exact search is as fast.
inline constexpr std::size_t min_indexed_vectors = 10'000;

enum class IndexState : std::uint8_t {
  off = 0,       // the tenant's file asks for none
  unneeded = 1,  // too few vectors, or the aggregation reads none
  building = 2,  // all queries are answered exactly meanwhile
  ready = 3,     // queries go through it
  rejected = 4,  // recall is too low: all queries are answered exactly
};

struct IndexStatus {
  IndexState state = IndexState::off;
  std::string reason;    // of unneeded, building and rejected
  IndexQuality quality;  // of the last measurement; sampled 0: there was none
  std::uint32_t lists = 0;
  std::uint64_t bytes = 0;    // beside the vectors
  std::uint64_t version = 0;  // of the snapshot that was measured
  std::uint64_t outside = 0;  // rows that every query reads because no list has them yet
  double progress = 0;        // of building, [0,1]
};

// What a restart needs so as not to build again: which rows are in which list, route by route. A
// route is known again by its fingerprint.
struct IndexImage {
  struct Route {
    std::uint64_t fingerprint;
    std::uint64_t rows;
  };
  std::shared_ptr<const Partition> partition;
  std::vector<Route> routes;
  std::vector<std::uint16_t> lists;  // of all rows of the routes
  IndexQuality quality;
  RouterSettings scoring;             // that it was measured with
  double wanted = 0;                  // recall that was asked for
  std::uint64_t version = 0;          // of the snapshot that was measured
  std::uint64_t unmeasured_rows = 0;  // put into lists since
};

// Of the route's vectors in their order, and of its id.
[[nodiscard]] std::uint64_t route_fingerprint(const RouteBlock& route) noexcept;

class IndexBuilder {
 public:
  explicit IndexBuilder(const Kernels& kernels = best_kernels()) noexcept : kernels_(&kernels) {}

  // Some milliseconds of work towards an index of `now`; true: there is more.
  [[nodiscard]] bool step(const RouteSnapshot& now);
  // For queries of a snapshot with this set, settings and scoring; null: to be answered exactly.
  [[nodiscard]] std::shared_ptr<const IndexView> view_for(const RouteSnapshot& snapshot) const;
  // True once after view_for() began to say something else for the same snapshot.
  [[nodiscard]] bool take_news() noexcept { return std::exchange(news_, false); }
  // What to keep for a restart; nothing if that is what image() or restore() last had.
  [[nodiscard]] std::optional<IndexImage> take_image(const RouteSet& set);
  // Before the first step. False: the image is of other routes; nothing is restored then.
  [[nodiscard]] bool restore(IndexImage image, const RouteSnapshot& snapshot);
  [[nodiscard]] IndexStatus status(const RouteSnapshot& snapshot) const;

 private:
  enum class Phase : std::uint8_t { idle, training, assigning, measuring };
  struct KnownChunk {
    std::shared_ptr<const UtteranceChunk> chunk;  // kept, so that its address stays its own
    ChunkLists lists;
  };
  // Why there need be none; empty: there should be one.
  [[nodiscard]] static std::string find_unneeded(const RouteSnapshot& now);
  void reset();
  void begin(const RouteSnapshot& now);
  void begin_training(const RouteSnapshot& now);
  void begin_assigning(const RouteSnapshot& now);
  void begin_measuring(const RouteSnapshot& now);
  void assign_some();
  void end_assigning(const RouteSnapshot& now);
  void end_measuring();
  [[nodiscard]] ChunkLists lists_of(const UtteranceChunk& chunk) const;

  const Kernels* kernels_;
  Phase phase_ = Phase::idle;
  bool news_ = false;
  bool has_new_image_ = false;
  bool is_rejected_ = false;
  // What is there.
  std::string encoder_;  // of the vectors; empty: nothing was begun
  std::uint32_t dimension_ = 0;
  std::shared_ptr<const Partition> partition_;
  std::unordered_map<const UtteranceChunk*, KnownChunk> chunks_;
  std::shared_ptr<const IndexLists> lists_;
  IndexQuality quality_;
  RouterSettings measured_scoring_;
  double measured_wanted_ = 0;
  std::size_t unmeasured_rows_ = 0;  // put into lists since
  std::uint64_t measured_version_ = 0;
  // What is being made.
  std::shared_ptr<const RouteSet> set_;
  std::uint64_t set_version_ = 0;
  RouterSettings scoring_;
  double wanted_ = 0;
  bool is_new_partition_ = false;
  std::optional<PartitionTrainer> trainer_;
  std::shared_ptr<Partition> next_partition_;
  std::vector<std::shared_ptr<const UtteranceChunk>> pending_;  // the next is the last
  std::vector<std::uint16_t> assigned_;                         // of it, so far
  std::size_t pending_total_ = 0;
  std::vector<double> list_sums_;
  std::vector<std::uint32_t> list_counts_;
  std::optional<RecallMeasure> measure_;
  std::shared_ptr<const IndexLists> next_lists_;
};

}  // namespace tenantd
