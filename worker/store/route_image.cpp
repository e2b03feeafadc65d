#include "worker/store/route_image.h"

#include <algorithm>
#include <utility>

#include "worker/router/validate.h"
#include "worker/store/route_image_layout.h"
#include "worker/store/rows.h"

namespace tenantd {
namespace {

using route_image::ChunkRecord;
using route_image::PartRecord;
using route_image::RouteRecord;
using route_image::SegmentRecord;

// Takes a section from its begin; never reads behind its end.
class Column {
 public:
  Column(const SnapshotFile& file, route_image::Section section) : rest_(file.section(section)) {}
  template <class T>
  [[nodiscard]] bool take(std::size_t count, std::span<const T>& out) noexcept {
    static_assert(std::is_trivially_copyable_v<T>);
    if (count > rest_.size() / sizeof(T)) return false;
    out = {reinterpret_cast<const T*>(rest_.data()), count};  // sections begin on pages
    rest_ = rest_.subspan(count * sizeof(T));
    return true;
  }
  template <class T>
  [[nodiscard]] bool take_copy(std::size_t count, std::vector<T>& out) {
    std::span<const T> values;
    if (!take(count, values)) return false;
    out.assign(values.begin(), values.end());
    return true;
  }
  [[nodiscard]] bool take_text(std::size_t bytes, std::string_view& out) noexcept {
    std::span<const char> characters;
    if (!take(bytes, characters)) return false;
    out = {characters.data(), characters.size()};
    return true;
  }
  [[nodiscard]] std::size_t left() const noexcept { return rest_.size(); }

 private:
  std::span<const std::byte> rest_;
};

// Reads one image; each function is false for what no writer writes.
class Reader {
 public:
  explicit Reader(const SnapshotFile& file) : file_(file) {}
  [[nodiscard]] bool read(RouteImage& image);

 private:
  [[nodiscard]] bool read_facts(RouteImage& image);
  [[nodiscard]] bool read_chunks();
  [[nodiscard]] bool read_chunk(const ChunkRecord& record, UtteranceChunk& chunk);
  [[nodiscard]] bool read_routes(RouteImage& image);
  [[nodiscard]] bool read_centre(const RouteRecord& record, RouteCentre& centre);
  [[nodiscard]] bool read_texts_of(const RouteRecord& record, RouteDefinition& route);
  [[nodiscard]] bool read_segments(RouteImage& image);
  [[nodiscard]] std::shared_ptr<const Segment> read_segment(const SegmentRecord& record,
                                                            const RouteImage& image);

  const SnapshotFile& file_;
  route_image::Facts facts_{};
  std::vector<std::string> encoders_;
  std::vector<std::shared_ptr<const UtteranceChunk>> chunks_;
  Column route_texts_{file_, route_image::route_texts};
  Column vector_sums_{file_, route_image::vector_sums};
  Column centroids_{file_, route_image::centroids};
  Column centroid_codes_{file_, route_image::centroid_codes};
  Column text_lengths_{file_, route_image::text_lengths};
  Column texts_{file_, route_image::texts};
  Column words_{file_, route_image::words};
  Column posting_starts_{file_, route_image::posting_starts};
  Column postings_{file_, route_image::postings};
  Column word_counts_{file_, route_image::word_counts};
  Column floats_{file_, route_image::floats};
  Column parts_{file_, route_image::part_records};
  Column codes_{file_, route_image::codes};
  Column bounds_{file_, route_image::bounds};
  Column terms_{file_, route_image::terms};
  Column uses_{file_, route_image::uses};
  Column blocks_{file_, route_image::blocks};
};

bool Reader::read(RouteImage& image) {
  for (std::size_t section = 0; section < route_image::section_count; ++section) {
    if (!route_image::is_of_vectors(section) && !file_.is_intact(section)) return false;
  }
  return read_facts(image) && read_chunks() && read_routes(image) && read_segments(image);
}

bool Reader::read_facts(RouteImage& image) {
  std::span<const route_image::Facts> facts;
  if (!Column(file_, route_image::facts).take(1, facts)) return false;
  facts_ = facts[0];
  if (facts_.dimension == 0 || facts_.dimension > route_image::largest_dimension ||
      facts_.calibration.aggregation >= Aggregation::automatic) {
    return false;
  }
  const auto names = file_.section(route_image::encoder_names);
  encoders_ = decode_tags({reinterpret_cast<const char*>(names.data()), names.size()});
  image.set.dimension = facts_.dimension;
  image.version = file_.identity().version;
  image.calibration = facts_.calibration;
  image.fitted_for = facts_.fitted_for;
  image.edited_since_fit = facts_.edited_since_fit;
  return true;
}

bool Reader::read_chunks() {
  std::span<const ChunkRecord> records;
  if (!Column(file_, route_image::chunk_records).take(facts_.chunks, records)) return false;
  chunks_.reserve(records.size());
  for (const ChunkRecord& record : records) {
    auto chunk = std::make_shared<UtteranceChunk>();
    if (!read_chunk(record, *chunk)) return false;
    chunks_.push_back(std::move(chunk));
  }
  return true;
}

bool Reader::read_chunk(const ChunkRecord& record, UtteranceChunk& chunk) {
  if (record.utterances > max_chunk_rows || record.encoder > encoders_.size()) return false;
  std::span<const std::uint32_t> lengths;
  if (!text_lengths_.take(record.utterances, lengths)) return false;
  std::size_t bytes = 0;
  for (const std::uint32_t length : lengths) bytes += length;
  if (bytes > texts_.left()) return false;
  chunk.texts.reserve(lengths.size(), bytes);
  for (const std::uint32_t length : lengths) {
    std::string_view text;
    if (!texts_.take_text(length, text)) return false;
    chunk.texts.push_back(text);
  }
  if (record.encoder > 0) {
    std::span<const float> rows;
    if (!floats_.take(record.utterances * padded_row(facts_.dimension), rows)) return false;
    chunk.encoder = encoders_[record.encoder - 1];
    chunk.vectors =
        Matrix::borrow(rows.data(), record.utterances, facts_.dimension, file_.keeper());
  }
  const bool is_complete = words_.take_copy(record.words, chunk.words) &&
                           posting_starts_.take_copy(record.words + 1U, chunk.posting_starts) &&
                           postings_.take_copy(record.postings, chunk.postings) &&
                           word_counts_.take_copy(record.utterances, chunk.lengths);
  return is_complete && std::ranges::is_sorted(chunk.posting_starts) &&
         chunk.posting_starts.back() == record.postings &&
         std::ranges::all_of(chunk.postings, [&record](const ChunkPosting& posting) {
           return posting.utterance < record.utterances;
         });
}

bool Reader::read_routes(RouteImage& image) {
  std::span<const RouteRecord> records;
  if (!Column(file_, route_image::route_records).take(facts_.routes, records)) return false;
  std::size_t next_chunk = 0;
  auto& routes = image.set.routes;
  routes.reserve(records.size());
  for (const RouteRecord& record : records) {
    RouteDefinition route;
    RouteCentre centre;
    const bool is_sound = read_texts_of(record, route) && read_centre(record, centre) &&
                          record.chunks > 0 && record.chunks <= chunks_.size() - next_chunk &&
                          (routes.empty() || routes.back()->id < route.id);
    if (!is_sound) return false;
    const auto first = chunks_.begin() + static_cast<std::ptrdiff_t>(next_chunk);
    next_chunk += record.chunks;
    auto block = restore_route(route, {first, first + record.chunks}, std::move(centre));
    if (block == nullptr) return false;
    routes.push_back(std::move(block));
  }
  return next_chunk == chunks_.size();
}

bool Reader::read_centre(const RouteRecord& record, RouteCentre& centre) {
  if (record.sums == 0) return record.has_centroid == 0;
  std::span<const double> sum;
  if (record.sums != facts_.dimension || !vector_sums_.take(record.sums, sum)) return false;
  centre.vector_sum = VectorSum({file_.keeper(), sum.data()}, sum.size());
  centre.mean_length = record.mean_length;
  if (record.has_centroid == 0) return true;
  std::span<const float> row;
  std::span<const std::uint8_t> codes;
  if (!centroids_.take(padded_row(facts_.dimension), row) ||
      !centroid_codes_.take(padded_codes(facts_.dimension), codes)) {
    return false;
  }
  const StoredRows stored{codes.data(), std::span(&record.centroid_scale, 1),
                          std::span(&record.centroid_error, 1)};
  centre.centroid = Matrix::borrow(row.data(), 1, facts_.dimension, file_.keeper());
  centre.centroid_codes = QuantisedRows::borrow(stored, facts_.dimension, file_.keeper());
  return true;
}

bool Reader::read_texts_of(const RouteRecord& record, RouteDefinition& route) {
  std::string_view id;
  std::string_view description;
  std::string_view metadata;
  std::string_view tags;
  std::string_view rules;
  const bool is_there = route_texts_.take_text(record.id_bytes, id) &&
                        route_texts_.take_text(record.description_bytes, description) &&
                        route_texts_.take_text(record.metadata_bytes, metadata) &&
                        route_texts_.take_text(record.tags_bytes, tags) &&
                        route_texts_.take_text(record.rules_bytes, rules);
  if (!is_there || record.aggregation >= static_cast<std::uint8_t>(Aggregation::automatic)) {
    return false;
  }
  route.id = id;
  route.description = description;
  route.metadata = metadata;
  route.tags = decode_tags(tags);
  route.priority = record.priority;
  if (record.has_threshold != 0) route.threshold = record.threshold;
  if (record.has_margin != 0) route.margin = record.margin;
  if (record.has_aggregation != 0) route.aggregation = static_cast<Aggregation>(record.aggregation);
  return decode_rules(rules, route.rules) && validate_rules(route.rules).has_value();
}

bool Reader::read_segments(RouteImage& image) {
  std::span<const SegmentRecord> records;
  if (!Column(file_, route_image::segment_records).take(facts_.segments, records)) return false;
  for (const SegmentRecord& record : records) {
    auto segment = read_segment(record, image);
    if (segment == nullptr) return false;
    image.set.segments.push_back({std::move(segment), 0, 0, 0});
  }
  return true;
}

std::shared_ptr<const Segment> Reader::read_segment(const SegmentRecord& record,
                                                    const RouteImage& image) {
  std::span<const PartRecord> places;
  if (record.parts == 0 || !parts_.take(record.parts, places)) return nullptr;
  std::vector<SegmentPart> parts;
  for (const PartRecord& place : places) {
    if (place.route >= image.set.routes.size()) return nullptr;
    const auto& route = image.set.routes[place.route];
    const std::size_t end = std::size_t{place.first_chunk} + place.chunks;
    if (place.chunks == 0 || end > route->chunks.size()) return nullptr;
    parts.push_back({route, place.first_chunk, place.chunks, 0, 0, 0});
  }
  std::span<const std::uint8_t> codes;
  StoredRows rows;
  LexicalSegment::Tables tables;
  tables.average_length = record.average_length;
  const bool is_there =
      codes_.take(record.rows * padded_codes(facts_.dimension), codes) &&
      bounds_.take(record.rows, rows.scales) && bounds_.take(record.rows, rows.errors) &&
      terms_.take(record.terms, tables.terms) && uses_.take(record.uses, tables.uses) &&
      blocks_.take(record.blocks, tables.blocks);
  if (!is_there) return nullptr;
  rows.codes = codes.data();
  return restore_segment(std::move(parts),
                         QuantisedRows::borrow(rows, facts_.dimension, file_.keeper()), tables);
}

}  // namespace

const std::shared_ptr<const RouteBlock>* RouteImage::find(std::string_view id) const noexcept {
  const auto at = set.find(id);
  return at ? &set.routes[*at] : nullptr;
}

bool RouteImage::has_vectors() const noexcept {
  return std::ranges::any_of(set.routes, [](const auto& route) { return route->vector_count > 0; });
}

Result<SnapshotFile> open_route_image(const std::string& path) {
  return SnapshotFile::open(path, route_image::layout);
}

bool are_vectors_intact(const SnapshotFile& file) noexcept {
  for (std::size_t section = 0; section < route_image::section_count; ++section) {
    if (route_image::is_of_vectors(section) && !file.is_intact(section)) return false;
  }
  return true;
}

Result<RouteImage> read_route_image(const SnapshotFile& file) {
  RouteImage image;
  if (!Reader(file).read(image)) {
    return fail(ErrorCode::not_found, "the image of the routes is damaged");
  }
  return image;
}

}  // namespace tenantd
