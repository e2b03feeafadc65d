#include "worker/store/snapshot_file.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <numeric>
#include <random>

#include "tests/unit/worker/store/store_fixtures.h"

using namespace tenantd;
using namespace tenantd::fixtures;

namespace snapshot_file_test {

namespace {

constexpr std::uint32_t layout = 7;
constexpr SnapshotIdentity identity{layout, 3, 12, 0xfeedULL};

std::string path_in(const DataDirectory& directory) {
  return (directory.path() / "routes.snapshot-0").string();
}

std::vector<std::byte> some_bytes(std::size_t count) {
  std::mt19937 random(static_cast<unsigned>(count));
  std::vector<std::byte> bytes(count);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

// In pieces, as a writer has them.
void write(const std::string& path, const std::vector<std::vector<std::byte>>& sections) {
  auto writer = SnapshotWriter::begin(path);
  REQUIRE(writer);
  for (const auto& section : sections) {
    REQUIRE(writer->begin_section());
    std::span<const std::byte> left(section);
    for (std::size_t piece = 1; !left.empty(); piece = piece * 3 + 1) {
      const auto some = left.first(std::min(piece, left.size()));
      REQUIRE(writer->append(some));
      left = left.subspan(some.size());
    }
  }
  REQUIRE(writer->commit(identity));
}

}  // namespace

TEST_CASE("sections come back as they were written") {
  const DataDirectory directory;
  const std::vector<std::vector<std::byte>> sections{
      some_bytes(1), some_bytes(700'001), {}, some_bytes(4096), {}};
  write(path_in(directory), sections);
  const auto file = SnapshotFile::open(path_in(directory), layout);
  REQUIRE(file);
  CHECK(file->identity() == identity);
  for (std::size_t i = 0; i < sections.size(); ++i) {
    CHECK(std::ranges::equal(file->section(i), sections[i]));
    CHECK(file->is_intact(i));
    CHECK(reinterpret_cast<std::uintptr_t>(file->section(i).data()) % snapshot_alignment == 0);
  }
  CHECK(file->section(sections.size()).empty());
  CHECK_FALSE(file->is_intact(sections.size()));
}

TEST_CASE("what was not committed is no snapshot, and neither is what was there before") {
  const DataDirectory directory;
  const std::string path = path_in(directory);
  CHECK(SnapshotFile::open(path, layout).error().code == ErrorCode::not_found);
  write(path, {some_bytes(10'000)});
  REQUIRE(SnapshotFile::open(path, layout));
  CHECK(SnapshotFile::open(path, layout + 1).error().code == ErrorCode::unsupported);
  {
    auto writer = SnapshotWriter::begin(path);
    REQUIRE(writer);
    REQUIRE(writer->begin_section());
    REQUIRE(writer->append(some_bytes(600'000)));
  }
  CHECK(SnapshotFile::open(path, layout).error().code == ErrorCode::not_found);
}

TEST_CASE("a mapping outlives its file object, and another snapshot that is written elsewhere") {
  const DataDirectory directory;
  const auto bytes = some_bytes(5000);
  write(path_in(directory), {bytes});
  std::span<const std::byte> held;
  std::shared_ptr<const void> keeper;
  {
    const auto file = SnapshotFile::open(path_in(directory), layout);
    REQUIRE(file);
    held = file->section(0);
    keeper = file->keeper();
  }
  write((directory.path() / "routes.snapshot-1").string(), {some_bytes(9000)});
  CHECK(std::ranges::equal(held, bytes));
}

TEST_CASE("every damage of a header and every cut is seen; of a section where it is asked for") {
  const DataDirectory directory;
  const std::string path = path_in(directory);
  write(path, {some_bytes(100), some_bytes(9000)});
  const std::string whole = read_bytes(path);
  for (std::size_t at = 0; at < 256; ++at) {
    CAPTURE(at);
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    write_bytes(path, damaged);
    CHECK_FALSE(SnapshotFile::open(path, layout));
  }
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{10}, whole.size() / 2, whole.size() - 1}) {
    write_bytes(path, whole.substr(0, size));
    CHECK(SnapshotFile::open(path, layout).error().code == ErrorCode::not_found);
  }
  std::string damaged = whole;
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  write_bytes(path, damaged);
  const auto file = SnapshotFile::open(path, layout);
  REQUIRE(file);
  CHECK(file->is_intact(0));
  CHECK_FALSE(file->is_intact(1));
}

TEST_CASE("a snapshot that is larger than it may be is refused, not cut short") {
  const DataDirectory directory;
  auto writer = SnapshotWriter::begin(path_in(directory), 1U << 20U);
  REQUIRE(writer);
  REQUIRE(writer->begin_section());
  Status status;
  for (int i = 0; i < 20 && status; ++i) status = writer->append(some_bytes(100'000));
  REQUIRE_FALSE(status);
  CHECK(status.error().code == ErrorCode::resource_exhausted);
  CHECK(std::filesystem::file_size(path_in(directory)) <= 1U << 20U);
}

TEST_CASE("checksums do not depend on how bytes were cut, and do on each of them") {
  const auto bytes = some_bytes(333);
  SnapshotChecksum whole;
  whole.add(bytes);
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    SnapshotChecksum parts;
    parts.add(std::span(bytes).first(cut));
    parts.add(std::span(bytes).subspan(cut));
    CHECK(parts.finish() == whole.finish());
    SnapshotChecksum shorter;
    shorter.add(std::span(bytes).first(cut));
    CHECK((shorter.finish() == whole.finish()) == (cut == bytes.size()));
    if (cut == bytes.size()) break;
    auto other = bytes;
    other[cut] ^= std::byte{1};
    SnapshotChecksum changed;
    changed.add(other);
    CHECK(changed.finish() != whole.finish());
  }
}

}  // namespace snapshot_file_test
