#include "worker/store/snapshot_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>

#include "worker/encoder/hashing.h"

namespace tenantd {
namespace {

constexpr std::uint64_t header_magic = 0x31706e73646e7474ULL;  // "ttndsnp1"
constexpr std::size_t buffer_bytes = 256U << 10U;

tl::unexpected<Error> no_snapshot(const char* why) {
  return fail(ErrorCode::not_found, std::string("no snapshot: ") + why);
}

Status write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail_errno("write the snapshot file", n < 0 ? errno : EIO);
    offset += static_cast<std::uint64_t>(n);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

Status sync_file(int fd) {
  if (::fdatasync(fd) != 0) return fail_errno("fdatasync the snapshot file", errno);
  return {};
}

}  // namespace

struct SnapshotFile::Header {
  std::uint64_t magic;
  SnapshotIdentity identity;
  std::uint64_t file_bytes;
  std::uint64_t section_count;
  std::array<Section, max_snapshot_sections> sections;
  std::uint64_t checksum;  // of all before it

  [[nodiscard]] std::uint64_t sum() const noexcept {
    SnapshotChecksum all;
    all.add(std::as_bytes(std::span(this, 1)).first(offsetof(Header, checksum)));
    return all.finish();
  }
  [[nodiscard]] bool is_sound(std::uint64_t size) const noexcept {
    if (magic != header_magic || checksum != sum() || file_bytes != size ||
        section_count > max_snapshot_sections) {
      return false;
    }
    return std::all_of(sections.begin(), sections.begin() + static_cast<long>(section_count),
                       [size](const Section& section) {
                         return section.offset % snapshot_alignment == 0 &&
                                section.offset <= size && section.bytes <= size - section.offset;
                       });
  }
};

void SnapshotChecksum::add_block(const std::byte* block) noexcept {
  for (std::size_t lane = 0; lane < 4; ++lane) {
    std::uint64_t word = 0;
    std::memcpy(&word, block + 8 * lane, sizeof word);
    const std::uint64_t mixed = (lanes_[lane] ^ word) * 0x9e3779b97f4a7c15ULL;
    lanes_[lane] = mixed ^ (mixed >> 29U);
  }
}

void SnapshotChecksum::add(std::span<const std::byte> bytes) noexcept {
  const std::size_t held = size_ % sizeof rest_;
  size_ += bytes.size();
  if (held > 0) {
    const std::size_t taken = std::min(bytes.size(), sizeof rest_ - held);
    std::memcpy(rest_ + held, bytes.data(), taken);
    bytes = bytes.subspan(taken);
    if (held + taken < sizeof rest_) return;
    add_block(rest_);
  }
  for (; bytes.size() >= sizeof rest_; bytes = bytes.subspan(sizeof rest_)) {
    add_block(bytes.data());
  }
  if (!bytes.empty()) std::memcpy(rest_, bytes.data(), bytes.size());
}

std::uint64_t SnapshotChecksum::finish() const noexcept {
  SnapshotChecksum last = *this;
  const std::size_t held = size_ % sizeof rest_;
  std::memset(last.rest_ + held, 0, sizeof rest_ - held);
  last.add_block(last.rest_);
  std::uint64_t state = size_;
  for (const std::uint64_t lane : last.lanes_) state = mix_bits(state ^ lane) + lane;
  return mix_bits(state);
}

Result<SnapshotFile> SnapshotFile::open(const std::string& path, std::uint32_t layout) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return errno == ENOENT ? no_snapshot("no file") : fail_errno("open " + path, errno);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return fail_errno("fstat " + path, errno);
  const auto size = static_cast<std::uint64_t>(info.st_size);
  Header header{};
  if (!S_ISREG(info.st_mode) || size < snapshot_alignment ||
      ::pread(fd.get(), &header, sizeof header, 0) != static_cast<ssize_t>(sizeof header)) {
    return no_snapshot("the file is too short");
  }
  if (!header.is_sound(size)) return no_snapshot("it is not complete");
  if (header.identity.layout != layout) {
    return fail(ErrorCode::unsupported, "another release wrote the snapshot");
  }
  void* const address = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (address == MAP_FAILED) return fail_errno("mmap " + path, errno);
  SnapshotFile file;
  file.mapping_ = std::shared_ptr<const void>(
      address, [size](const void* mapped) { (void)::munmap(const_cast<void*>(mapped), size); });
  file.mapped_bytes_ = size;
  file.identity_ = header.identity;
  file.sections_.assign(header.sections.begin(),
                        header.sections.begin() + static_cast<long>(header.section_count));
  return file;
}

std::span<const std::byte> SnapshotFile::section(std::size_t index) const noexcept {
  if (index >= sections_.size()) return {};
  const auto* const bytes = static_cast<const std::byte*>(mapping_.get());
  return {bytes + sections_[index].offset, sections_[index].bytes};
}

bool SnapshotFile::is_intact(std::size_t index) const noexcept {
  if (index >= sections_.size()) return false;
  SnapshotChecksum sum;
  sum.add(section(index));
  return sum.finish() == sections_[index].checksum;
}

Result<SnapshotWriter> SnapshotWriter::begin(const std::string& path, std::uint64_t max_bytes) {
  static_assert(sizeof(SnapshotFile::Header) <= snapshot_alignment);
  SnapshotWriter writer;
  writer.file_.reset(
      ::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
  if (!writer.file_) return fail_errno("open " + path, errno);
  struct stat info {};
  if (::fstat(writer.file_.get(), &info) != 0) return fail_errno("fstat " + path, errno);
  if (!S_ISREG(info.st_mode)) return fail(ErrorCode::internal, path + " is no regular file");
  rlimit limit{};
  if (::getrlimit(RLIMIT_FSIZE, &limit) != 0) return fail_errno("getrlimit", errno);
  const std::uint64_t own = limit.rlim_cur == RLIM_INFINITY
                                ? std::numeric_limits<std::uint64_t>::max()
                                : static_cast<std::uint64_t>(limit.rlim_cur);
  writer.max_bytes_ = max_bytes == 0 ? own : std::min(max_bytes, own);
  // From here on there is no snapshot in it, whatever happens.
  if (::ftruncate(writer.file_.get(), 0) != 0) return fail_errno("ftruncate " + path, errno);
  if (Status synced = sync_file(writer.file_.get()); !synced) return fail(synced.error());
  writer.offset_ = snapshot_alignment;
  writer.buffer_.reserve(buffer_bytes);
  return writer;
}

void SnapshotWriter::end_section() noexcept {
  if (!sections_.empty()) sections_.back().checksum = checksum_.finish();
  checksum_ = {};
}

Status SnapshotWriter::flush() {
  if (offset_ + buffer_.size() > max_bytes_) {
    return fail(ErrorCode::resource_exhausted, "the snapshot is larger than a file may be");
  }
  if (Status status = write_at(file_.get(), buffer_, offset_); !status) return status;
  offset_ += buffer_.size();
  buffer_.clear();
  return {};
}

Status SnapshotWriter::begin_section() {
  end_section();
  if (sections_.size() == max_snapshot_sections) {
    return fail(ErrorCode::internal, "a snapshot has no more sections");
  }
  if (Status status = flush(); !status) return status;
  offset_ = (offset_ + snapshot_alignment - 1) / snapshot_alignment * snapshot_alignment;
  sections_.push_back({offset_, 0, 0});
  return {};
}

Status SnapshotWriter::append(std::span<const std::byte> bytes) {
  if (sections_.empty()) return fail(ErrorCode::internal, "no section was begun");
  checksum_.add(bytes);
  sections_.back().bytes += bytes.size();
  while (!bytes.empty()) {
    const std::size_t taken = std::min(bytes.size(), buffer_bytes - buffer_.size());
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.begin() + static_cast<long>(taken));
    bytes = bytes.subspan(taken);
    if (buffer_.size() < buffer_bytes) continue;
    if (Status status = flush(); !status) return status;
  }
  return {};
}

Status SnapshotWriter::sync() {
  if (Status status = flush(); !status) return status;
  return sync_file(file_.get());
}

Status SnapshotWriter::commit(const SnapshotIdentity& identity) {
  end_section();
  if (Status status = flush(); !status) return status;
  SnapshotFile::Header header{};
  header.magic = header_magic;
  header.identity = identity;
  header.file_bytes = offset_;
  header.section_count = sections_.size();
  std::copy(sections_.begin(), sections_.end(), header.sections.begin());
  header.checksum = header.sum();
  // An empty last section may begin behind the last byte.
  if (::ftruncate(file_.get(), static_cast<off_t>(offset_)) != 0) {
    return fail_errno("ftruncate the snapshot file", errno);
  }
  if (Status status = sync_file(file_.get()); !status) return status;
  const auto bytes = std::as_bytes(std::span(&header, 1));
  if (Status status = write_at(file_.get(), bytes, 0); !status) return status;
  return sync_file(file_.get());
}

}  // namespace tenantd
