#include "worker/store/index_file.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <type_traits>

#include "worker/store/snapshot_file.h"

namespace tenantd {
namespace {

constexpr std::uint32_t index_layout = 0x1F001;

// The first section.
struct Facts {
  std::uint64_t lists = 0;
  std::uint64_t dimension = 0;
  std::uint64_t trained_rows = 0;
  std::uint64_t unmeasured_rows = 0;
  std::uint64_t probe_rows = 0;
  double wanted = 0;
  float recall = 0;
  float recall_at_least = 0;
  std::uint32_t sampled = 0;
  std::uint16_t top_k = 1;
  std::uint16_t prototype_weight_e4 = 0;
  std::uint8_t aggregation = 0;
  std::uint8_t sufficient = 0;
  std::uint8_t reserved[6] = {};
};
static_assert(std::is_trivially_copyable_v<Facts> && sizeof(Facts) == 72);

enum Section : std::size_t { facts_section, centroids, mean_lengths, routes, lists, section_count };

template <class T>
Status append(SnapshotWriter& writer, std::span<const T> values) {
  if (Status begun = writer.begin_section(); !begun) return begun;
  return writer.append(std::as_bytes(values));
}

// A copy of a whole section; nothing if it is damaged.
template <class T>
bool read(const SnapshotFile& file, std::size_t index, std::vector<T>& out) {
  static_assert(std::is_trivially_copyable_v<T>);
  const auto bytes = file.section(index);
  if (!file.is_intact(index) || bytes.size() % sizeof(T) != 0) return false;
  out.resize(bytes.size() / sizeof(T));
  if (!bytes.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
  return true;
}

bool are_plausible(const Facts& facts) noexcept {
  return facts.lists > 0 && facts.lists <= max_index_lists && facts.dimension > 0 &&
         facts.dimension <= 8192 && facts.top_k > 0 &&
         facts.aggregation < static_cast<std::uint8_t>(Aggregation::automatic) &&
         facts.recall >= 0 && facts.recall <= 1;
}

Facts facts_of(const IndexImage& image) noexcept {
  Facts facts;
  facts.lists = image.partition->centroids.rows();
  facts.dimension = image.partition->centroids.dimension();
  facts.trained_rows = image.partition->trained_rows;
  facts.unmeasured_rows = image.unmeasured_rows;
  facts.probe_rows = image.quality.probe_rows;
  facts.wanted = image.wanted;
  facts.recall = image.quality.recall;
  facts.recall_at_least = image.quality.recall_at_least;
  facts.sampled = image.quality.sampled;
  facts.sufficient = image.quality.sufficient ? 1 : 0;
  facts.top_k = image.scoring.top_k;
  facts.prototype_weight_e4 = image.scoring.prototype_weight_e4;
  facts.aggregation = static_cast<std::uint8_t>(image.scoring.aggregation);
  return facts;
}

IndexImage image_of(const Facts& facts) {
  IndexImage image;
  image.unmeasured_rows = facts.unmeasured_rows;
  image.wanted = facts.wanted;
  image.quality = {facts.recall, facts.recall_at_least, facts.sampled, facts.probe_rows,
                   facts.sufficient != 0};
  image.scoring.top_k = facts.top_k;
  image.scoring.prototype_weight_e4 = facts.prototype_weight_e4;
  image.scoring.aggregation = static_cast<Aggregation>(facts.aggregation);
  return image;
}

}  // namespace

Status write_index_file(const std::string& path, const IndexImage& image) {
  auto writer = SnapshotWriter::begin(path);
  if (!writer) return fail(writer.error());
  const Facts facts = facts_of(image);
  const Partition& partition = *image.partition;
  const Matrix& matrix = partition.centroids;
  Status status = append(*writer, std::span(&facts, 1));
  if (status) {
    status = append(*writer, std::span(matrix.data(), matrix.rows() * matrix.stride()));
  }
  if (status) status = append(*writer, std::span(partition.mean_lengths));
  if (status) status = append(*writer, std::span(image.routes));
  if (status) status = append(*writer, std::span(image.lists));
  if (!status) return status;
  return writer->commit({index_layout, 0, image.version, 0});
}

Result<IndexImage> read_index_file(const std::string& path) {
  const auto file = SnapshotFile::open(path, index_layout);
  if (!file) return fail(file.error());
  const auto damaged = [] { return fail(ErrorCode::not_found, "the index file is damaged"); };
  std::vector<Facts> facts;
  if (!read(*file, facts_section, facts) || facts.size() != 1 || !are_plausible(facts[0])) {
    return damaged();
  }
  IndexImage image = image_of(facts[0]);
  image.version = file->identity().version;
  auto partition = std::make_shared<Partition>();
  partition->trained_rows = facts[0].trained_rows;
  partition->centroids = Matrix(facts[0].lists, facts[0].dimension);
  Matrix& matrix = partition->centroids;
  std::vector<float> floats;
  if (!read(*file, centroids, floats) || floats.size() != matrix.rows() * matrix.stride()) {
    return damaged();
  }
  for (std::size_t i = 0; i < matrix.rows(); ++i) {
    std::copy_n(floats.begin() + static_cast<long>(i * matrix.stride()), matrix.dimension(),
                matrix.row(i).begin());
  }
  const bool complete = read(*file, mean_lengths, partition->mean_lengths) &&
                        partition->mean_lengths.size() == matrix.rows() &&
                        read(*file, routes, image.routes) && read(*file, lists, image.lists);
  if (!complete) return damaged();
  std::uint64_t rows = 0;
  for (const IndexImage::Route& route : image.routes) {
    if (route.rows > image.lists.size() - rows) return damaged();
    rows += route.rows;
  }
  const bool in_range = std::ranges::all_of(
      image.lists, [&matrix](std::uint16_t list) { return list < matrix.rows(); });
  if (rows != image.lists.size() || !in_range) return damaged();
  image.partition = std::move(partition);
  return image;
}

}  // namespace tenantd
