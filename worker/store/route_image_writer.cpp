// Writing a route image: section by section, item by item, so that it can stop after any.
#include <algorithm>
#include <utility>

#include "worker/store/route_image.h"
#include "worker/store/route_image_layout.h"
#include "worker/store/rows.h"

namespace tenantd {
namespace {

template <class T>
Status append_one(SnapshotWriter& writer, const T& value) {
  return writer.append(std::as_bytes(std::span(&value, 1)));
}

Status append_text(SnapshotWriter& writer, std::string_view text) {
  return writer.append(std::as_bytes(std::span(text)));
}

std::uint32_t size_of(std::string_view text) { return static_cast<std::uint32_t>(text.size()); }

route_image::RouteRecord record_of(const RouteBlock& route) {
  route_image::RouteRecord record{};
  record.id_bytes = size_of(route.id);
  record.description_bytes = size_of(route.description);
  record.metadata_bytes = size_of(route.metadata);
  record.tags_bytes = size_of(encode_tags(route.tags));
  record.rules_bytes = size_of(encode_rules(route.rules));
  record.chunks = static_cast<std::uint32_t>(route.chunks.size());
  record.sums = static_cast<std::uint32_t>(route.vector_sum.size());
  record.mean_length = route.mean_length;
  if (route.centroid_codes.count() > 0) {
    const ScanRows centroid = route.centroid_codes.view();
    record.has_centroid = 1;
    record.centroid_scale = centroid.scales[0];
    record.centroid_error = centroid.errors[0];
  }
  record.priority = route.priority;
  record.has_threshold = route.threshold ? 1 : 0;
  record.threshold = route.threshold.value_or(0);
  record.has_margin = route.margin ? 1 : 0;
  record.margin = route.margin.value_or(0);
  record.has_aggregation = route.aggregation ? 1 : 0;
  record.aggregation = static_cast<std::uint8_t>(route.aggregation.value_or(Aggregation::max));
  return record;
}

std::vector<LexicalSegment::Term> used_terms(const LexicalSegment& lexical) {
  std::vector<LexicalSegment::Term> used;
  std::ranges::copy_if(lexical.tables().terms, std::back_inserter(used),
                       [](const auto& term) { return term.use_count > 0; });
  return used;
}

route_image::SegmentRecord record_of(const Segment& segment) {
  const LexicalSegment::Tables tables = segment.lexical.tables();
  route_image::SegmentRecord record{};
  record.parts = static_cast<std::uint32_t>(segment.parts.size());
  record.rows = segment.row_count;
  record.terms = static_cast<std::uint32_t>(used_terms(segment.lexical).size());
  record.uses = static_cast<std::uint32_t>(tables.uses.size());
  record.blocks = static_cast<std::uint32_t>(tables.blocks.size());
  record.average_length = tables.average_length;
  return record;
}

}  // namespace

Result<RouteImageWriter> RouteImageWriter::begin(const std::string& path, SnapshotPtr snapshot,
                                                 std::uint64_t nonce, std::uint64_t max_bytes) {
  auto writer = SnapshotWriter::begin(path, max_bytes);
  if (!writer) return fail(writer.error());
  return RouteImageWriter(std::move(snapshot), nonce, std::move(*writer));
}

RouteImageWriter::RouteImageWriter(SnapshotPtr snapshot, std::uint64_t nonce, SnapshotWriter writer)
    : snapshot_(std::move(snapshot)), nonce_(nonce), writer_(std::move(writer)) {
  for (const auto& route : snapshot_->set->routes) {
    for (const auto& chunk : route->chunks) {
      chunks_.push_back(chunk.get());
      if (!chunk->encoder.empty() && encoder_number(chunk->encoder) == 0) {
        encoders_.push_back(chunk->encoder);
      }
    }
  }
}

// 0: it is not among them.
std::uint32_t RouteImageWriter::encoder_number(const std::string& encoder) const {
  const auto at = std::ranges::find(encoders_, encoder);
  return at == encoders_.end() ? 0 : static_cast<std::uint32_t>(at - encoders_.begin() + 1);
}

Result<bool> RouteImageWriter::step() {
  const std::uint64_t end = writer_.written_bytes() + step_bytes;
  for (; section_ < route_image::section_count; ++section_, item_ = 0) {
    if (item_ == 0) {
      if (Status begun = writer_.begin_section(); !begun) return fail(begun.error());
    }
    while (item_ < count_items()) {
      if (Status written = write_item(); !written) return fail(written.error());
      ++item_;
      if (writer_.written_bytes() < end) continue;
      if (Status synced = writer_.sync(); !synced) return fail(synced.error());
      return true;
    }
  }
  const SnapshotIdentity identity{route_image::layout, 0, snapshot_->version, nonce_};
  if (Status done = writer_.commit(identity); !done) return fail(done.error());
  return false;
}

std::size_t RouteImageWriter::count_items() const noexcept {
  const RouteSet& set = *snapshot_->set;
  if (section_ <= route_image::encoder_names) return 1;
  if (section_ <= route_image::centroid_codes) return set.routes.size();
  if (section_ <= route_image::floats) return chunks_.size();
  return set.segments.size();
}

Status RouteImageWriter::write_item() {
  const RouteSet& set = *snapshot_->set;
  if (section_ == route_image::facts) {
    route_image::Facts facts{};
    facts.routes = set.routes.size();
    facts.chunks = chunks_.size();
    facts.segments = set.segments.size();
    facts.edited_since_fit = snapshot_->edited_since_fit;
    facts.dimension = set.dimension;
    facts.encoders = static_cast<std::uint32_t>(encoders_.size());
    facts.calibration = snapshot_->calibration;
    facts.fitted_for = snapshot_->settings.router;
    return append_one(writer_, facts);
  }
  if (section_ == route_image::encoder_names) return append_text(writer_, encode_tags(encoders_));
  if (section_ <= route_image::centroid_codes) return write_of_route(*set.routes[item_]);
  if (section_ <= route_image::floats) return write_of_chunk(*chunks_[item_]);
  return write_of_segment(*set.segments[item_].segment);
}

Status RouteImageWriter::write_of_route(const RouteBlock& route) {
  const ScanRows codes = route.centroid_codes.view();
  switch (section_) {
    case route_image::route_records:
      return append_one(writer_, record_of(route));
    case route_image::vector_sums:
      return writer_.append_values(route.vector_sum.values());
    case route_image::centroids:
      return writer_.append_values(
          std::span(route.centroid.data(), route.centroid.rows() * route.centroid.stride()));
    case route_image::centroid_codes:
      return writer_.append_values(std::span(codes.codes, codes.count * codes.stride));
    default:
      break;
  }
  for (const std::string& text : {route.id, route.description, route.metadata,
                                  encode_tags(route.tags), encode_rules(route.rules)}) {
    if (Status written = append_text(writer_, text); !written) return written;
  }
  return {};
}

Status RouteImageWriter::write_of_chunk(const UtteranceChunk& chunk) {
  switch (section_) {
    case route_image::chunk_records: {
      route_image::ChunkRecord record{};
      record.utterances = static_cast<std::uint32_t>(chunk.size());
      record.encoder = chunk.encoder.empty() ? 0 : encoder_number(chunk.encoder);
      record.words = static_cast<std::uint32_t>(chunk.words.size());
      record.postings = static_cast<std::uint32_t>(chunk.postings.size());
      return append_one(writer_, record);
    }
    case route_image::text_lengths: {
      std::vector<std::uint32_t> lengths;
      for (std::size_t i = 0; i < chunk.size(); ++i) lengths.push_back(size_of(chunk.texts[i]));
      return writer_.append_values(std::span<const std::uint32_t>(lengths));
    }
    case route_image::texts:
      for (std::size_t i = 0; i < chunk.size(); ++i) {
        if (Status written = append_text(writer_, chunk.texts[i]); !written) return written;
      }
      return {};
    case route_image::words:
      return writer_.append_values(std::span(chunk.words));
    case route_image::posting_starts:
      return writer_.append_values(std::span(chunk.posting_starts));
    case route_image::postings:
      return writer_.append_values(std::span(chunk.postings));
    case route_image::word_counts:
      return writer_.append_values(std::span(chunk.lengths));
    default:
      return writer_.append_values(
          std::span(chunk.vectors.data(), chunk.vectors.rows() * chunk.vectors.stride()));
  }
}

Status RouteImageWriter::write_of_segment(const Segment& segment) {
  const LexicalSegment::Tables tables = segment.lexical.tables();
  const ScanRows rows = segment.rows.view();
  switch (section_) {
    case route_image::segment_records:
      return append_one(writer_, record_of(segment));
    case route_image::part_records: {
      auto route = snapshot_->set->parts[snapshot_->set->segments[item_].first_part].route;
      for (const SegmentPart& part : segment.parts) {
        const route_image::PartRecord record{route++, part.first_chunk, part.chunk_count};
        if (Status written = append_one(writer_, record); !written) return written;
      }
      return {};
    }
    case route_image::codes:
      return writer_.append_values(std::span(rows.codes, rows.count * rows.stride));
    case route_image::bounds:
      if (Status written = writer_.append_values(std::span(rows.scales, rows.count)); !written) {
        return written;
      }
      return writer_.append_values(std::span(rows.errors, rows.count));
    case route_image::terms: {
      const auto terms = used_terms(segment.lexical);
      return writer_.append_values(std::span<const LexicalSegment::Term>(terms));
    }
    case route_image::uses:
      return writer_.append_values(tables.uses);
    default:
      return writer_.append_values(tables.blocks);
  }
}

}  // namespace tenantd
