// A file that holds what can be made from the database again, so that a start need not make it.
//
// Runs in: worker, editor thread; open() also before the loop runs. The file exists before the
// worker does and no other can be made (process_contract.h), so it is written in place: the old
// header goes first and the new one, with its checksum, comes last, each after a sync. A file that
// is cut short, stale or damaged is no snapshot: whoever asks makes everything anew. So keep two
// and write the one that is not mapped. Little-endian, and of one build: `layout` is the writer's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "shared/base/error.h"
#include "shared/os/fd.h"

namespace tenantd {

// What the contents belong to.
struct SnapshotIdentity {
  std::uint32_t layout = 0;   // version of what the sections mean
  std::uint32_t flags = 0;    // the writer's own
  std::uint64_t version = 0;  // of the tenant's routes, RouteSnapshot::version
  std::uint64_t nonce = 0;    // random, also in the database: a restored backup is another history
  friend bool operator==(const SnapshotIdentity&, const SnapshotIdentity&) = default;
};

inline constexpr std::size_t max_snapshot_sections = 32;
// Sections begin on pages, so that each can be mapped, advised and read by itself.
inline constexpr std::size_t snapshot_alignment = 4096;

// Of eight bytes at a time in four lanes. Finds damage, not forgery.
class SnapshotChecksum {
 public:
  void add(std::span<const std::byte> bytes) noexcept;
  [[nodiscard]] std::uint64_t finish() const noexcept;

 private:
  void add_block(const std::byte* block) noexcept;
  std::uint64_t lanes_[4] = {1, 2, 3, 4};
  std::byte rest_[32]{};
  std::uint64_t size_ = 0;
};

class SnapshotFile {
 public:
  // Maps the file for reading; reads its header only. Errors: not_found (no file, or no complete
  // snapshot in it), unsupported (another layout), internal (the system's).
  [[nodiscard]] static Result<SnapshotFile> open(const std::string& path, std::uint32_t layout);

  [[nodiscard]] const SnapshotIdentity& identity() const noexcept { return identity_; }
  // Number `index`; empty if there is none. Within the mapping; what it says is not checked.
  [[nodiscard]] std::span<const std::byte> section(std::size_t index) const noexcept;
  // Reads all of the section. False: it is damaged.
  [[nodiscard]] bool is_intact(std::size_t index) const noexcept;
  [[nodiscard]] std::uint64_t file_bytes() const noexcept { return mapped_bytes_; }
  // Keeps the mapping alive, and every span into it.
  [[nodiscard]] std::shared_ptr<const void> keeper() const noexcept { return mapping_; }

 private:
  struct Section {
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
    std::uint64_t checksum = 0;
  };
  friend class SnapshotWriter;
  struct Header;

  SnapshotIdentity identity_;
  std::shared_ptr<const void> mapping_;
  std::uint64_t mapped_bytes_ = 0;
  std::vector<Section> sections_;
};

// Writes one snapshot, section after section. Destroyed before commit() it leaves none.
class SnapshotWriter {
 public:
  // Blocking, like the rest. Makes the file invalid first; makes it where that is allowed.
  // `max_bytes`: resource_exhausted beyond it; 0: the process's own limit (RLIMIT_FSIZE), whose
  // signal would end it. Errors of all: resource_exhausted, internal (the system's, such as a full
  // disk).
  [[nodiscard]] static Result<SnapshotWriter> begin(const std::string& path,
                                                    std::uint64_t max_bytes = 0);
  // What is appended from now on belongs to the next section, number 0 first.
  [[nodiscard]] Status begin_section();
  [[nodiscard]] Status append(std::span<const std::byte> bytes);
  template <class T>
  [[nodiscard]] Status append_values(std::span<const T> values) {
    return append(std::as_bytes(values));
  }
  // What was appended so far is on the disk when it returns: commit() has less to wait for.
  [[nodiscard]] Status sync();
  // Durable and valid when it returns.
  [[nodiscard]] Status commit(const SnapshotIdentity& identity);
  [[nodiscard]] std::uint64_t written_bytes() const noexcept { return offset_ + buffer_.size(); }

 private:
  SnapshotWriter() = default;
  void end_section() noexcept;
  [[nodiscard]] Status flush();

  UniqueFd file_;
  std::uint64_t max_bytes_ = 0;
  std::uint64_t offset_ = 0;  // of what the buffer holds
  std::vector<std::byte> buffer_;
  std::vector<SnapshotFile::Section> sections_;
  SnapshotChecksum checksum_;  // of the last section
};

}  // namespace tenantd
