// Routes as a start needs them, in a file that is mapped: floats and bytes of vectors stay where
// they lie, the rest is copied. Nothing is encoded, quantised, counted or fitted again.
//
// Runs in: worker, editor thread (the main, before the loop runs, for reading). The database is
// what counts; an image holds nothing that it lacks. Checksums find damage, that of vectors only
// when somebody asks. Every number is checked before it is used: a file that somebody forged gives
// wrong answers, no more.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "shared/base/error.h"
#include "worker/router/snapshot.h"
#include "worker/store/snapshot_file.h"

namespace tenantd {

struct RouteImage {
  // routes and segments only, which build_route_set() takes for the previous set. All routes are as
  // they were at `version`.
  RouteSet set;
  std::uint64_t version = 0;
  Calibration calibration;
  RouterSettings fitted_for{};         // what the calibration depends on
  std::uint64_t edited_since_fit = 0;  // as in RouteSnapshot
  [[nodiscard]] bool has_vectors() const noexcept;
  // Null: it has no such route.
  [[nodiscard]] const std::shared_ptr<const RouteBlock>* find(std::string_view id) const noexcept;
};

// Errors: those of SnapshotFile::open().
[[nodiscard]] Result<SnapshotFile> open_route_image(const std::string& path);
// Leaves vectors unread. Error: not_found, it is damaged.
[[nodiscard]] Result<RouteImage> read_route_image(const SnapshotFile& file);
// Reads them, which are most of the file.
[[nodiscard]] bool are_vectors_intact(const SnapshotFile& file) noexcept;

// Writes one, in steps. Destroyed before it is done it leaves none.
class RouteImageWriter {
 public:
  // Of one step, about.
  static constexpr std::size_t step_bytes = std::size_t{8} << 20U;

  // Errors of both: those of SnapshotWriter.
  [[nodiscard]] static Result<RouteImageWriter> begin(const std::string& path, SnapshotPtr snapshot,
                                                      std::uint64_t nonce, std::uint64_t max_bytes);
  // Blocking. True: there is more. False: it is complete and durable.
  [[nodiscard]] Result<bool> step();
  [[nodiscard]] const RouteSnapshot& snapshot() const noexcept { return *snapshot_; }

 private:
  RouteImageWriter(SnapshotPtr snapshot, std::uint64_t nonce, SnapshotWriter writer);
  [[nodiscard]] std::size_t count_items() const noexcept;
  [[nodiscard]] Status write_item();
  [[nodiscard]] Status write_of_route(const RouteBlock& route);
  [[nodiscard]] Status write_of_chunk(const UtteranceChunk& chunk);
  [[nodiscard]] Status write_of_segment(const Segment& segment);
  [[nodiscard]] std::uint32_t encoder_number(const std::string& encoder) const;

  SnapshotPtr snapshot_;
  std::uint64_t nonce_;
  SnapshotWriter writer_;
  std::vector<const UtteranceChunk*> chunks_;
  std::vector<std::string> encoders_;  // distinct, not empty
  std::size_t section_ = 0;            // next to write
  std::size_t item_ = 0;               // of it
};

}  // namespace tenantd
