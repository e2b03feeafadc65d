#include "worker/router/segment.h"

#include <utility>

namespace tenantd {

void add_known_chunks(const Segment& segment, KnownChunks& known) {
  for (const SegmentPart& part : segment.parts) {
    std::uint32_t row = part.first_row;
    for (const auto& chunk : part.chunks()) {
      const auto rows = static_cast<std::uint32_t>(chunk->vectors.rows());
      if (rows > 0) known.emplace(chunk.get(), KnownRows{&segment.rows, row});
      row += rows;
    }
  }
}

namespace {

// What follows from the chunks of the segment's parts; returns them.
std::vector<LexicalSegment::Source> count_parts(Segment& segment) {
  std::vector<LexicalSegment::Source> sources;
  for (std::uint32_t p = 0; p < segment.parts.size(); ++p) {
    SegmentPart& part = segment.parts[p];
    part.first_utterance = segment.utterance_count;
    part.first_row = segment.row_count;
    for (const auto& chunk : part.chunks()) {
      sources.push_back({chunk.get(), p});
      segment.utterance_count += static_cast<std::uint32_t>(chunk->size());
      segment.row_count += static_cast<std::uint32_t>(chunk->vectors.rows());
      part.text_count += static_cast<std::uint32_t>(chunk->size() - chunk->texts.count_empty());
      if (segment.encoder.empty()) segment.encoder = chunk->encoder;
      if (!chunk->encoder.empty() && chunk->encoder != segment.encoder) {
        segment.mixed_encoders = true;
      }
      for (const std::uint32_t length : chunk->lengths) {
        segment.documents += length > 0 ? 1 : 0;
        segment.total_words += length;
      }
    }
  }
  return sources;
}

}  // namespace

std::shared_ptr<const Segment> build_segment(std::vector<SegmentPart> parts,
                                             std::uint32_t dimension, double average_length,
                                             const KnownChunks& known) {
  auto segment = std::make_shared<Segment>();
  segment->parts = std::move(parts);
  const std::vector<LexicalSegment::Source> sources = count_parts(*segment);
  segment->rows = QuantisedRows(segment->row_count, dimension);
  std::size_t row = 0;
  for (const auto& source : sources) {
    const Matrix& vectors = source.chunk->vectors;
    if (const auto found = known.find(source.chunk); found != known.end()) {
      segment->rows.copy(row, *found->second.rows, found->second.first, vectors.rows());
      row += vectors.rows();
      continue;
    }
    for (std::size_t i = 0; i < vectors.rows(); ++i) segment->rows.set(row++, vectors.row(i));
  }
  segment->lexical = LexicalSegment(sources, average_length);
  return segment;
}

std::shared_ptr<const Segment> restore_segment(std::vector<SegmentPart> parts, QuantisedRows rows,
                                               const LexicalSegment::Tables& words) {
  auto segment = std::make_shared<Segment>();
  segment->parts = std::move(parts);
  (void)count_parts(*segment);
  std::vector<std::uint32_t> part_starts;
  for (const SegmentPart& part : segment->parts) part_starts.push_back(part.first_utterance);
  part_starts.push_back(segment->utterance_count);
  auto lexical = LexicalSegment::restore(words, part_starts);
  if (!lexical || rows.count() != segment->row_count) return nullptr;
  segment->rows = std::move(rows);
  segment->lexical = std::move(*lexical);
  return segment;
}

}  // namespace tenantd
