// The watcher against a real directory: renames, in-place writes, half-written files, loss and
// return.
#include "supervisor/watch/directory_watch.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "shared/base/clock.h"

using namespace tenantd;
namespace fs = std::filesystem;

namespace {

struct Fixture {
  fs::path root;
  fs::path directory;
  Loop loop;
  std::vector<std::string> files;
  std::vector<std::string> removed;
  std::vector<std::string> problems;
  int batches = 0;
  std::uint64_t longest_turn_ns = 0;
  std::unique_ptr<DirectoryWatch> watch;

  Fixture() {
    std::string pattern = (fs::temp_directory_path() / "tenantd-watch-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    root = pattern;
    directory = root / "tenants";
    fs::create_directory(directory);
  }
  ~Fixture() {
    watch.reset();
    std::error_code ignored;
    fs::remove_all(root, ignored);
  }
  void start() {
    WatchCallbacks callbacks;
    callbacks.is_wanted = [](std::string_view name) {
      return name.ends_with(".toml") && !name.starts_with(".");
    };
    callbacks.on_file = [this](const std::string& name) { files.push_back(name); };
    callbacks.on_settled = [this](const std::vector<std::string>& gone) {
      ++batches;
      removed.insert(removed.end(), gone.begin(), gone.end());
    };
    callbacks.on_problem = [this](const std::string& problem) { problems.push_back(problem); };
    watch = std::make_unique<DirectoryWatch>(loop, directory.string(), std::move(callbacks));
    watch->rescan();
  }
  template <class Condition>
  [[nodiscard]] bool run_until(Condition condition, std::uint64_t limit_ms = 5000) {
    Timer wake(loop);  // a turn may block in poll(2) for at most this long
    wake.start(
        1, [] {}, 1);
    const std::uint64_t until = monotonic_ns() + limit_ms * 1'000'000;
    while (!condition()) {
      if (monotonic_ns() > until) return false;
      const std::uint64_t begin = monotonic_ns();
      loop.run_once();
      longest_turn_ns = std::max(longest_turn_ns, monotonic_ns() - begin);
    }
    return true;
  }
  // Everything the kernel has queued is told: a marker file written last comes last.
  void settle() {
    const int before = batches;
    put("zz-marker.toml", std::to_string(batches));
    REQUIRE(run_until([&] { return batches > before && watch->idle(); }));
    std::erase(files, "zz-marker.toml");
  }
  void put(const std::string& name, const std::string& text) const {
    std::ofstream(directory / name) << text;
  }
  void replace(const std::string& name, const std::string& text) const {
    std::ofstream(directory / (name + ".tmp")) << text;
    fs::rename(directory / (name + ".tmp"), directory / name);
  }
};

using Names = std::vector<std::string>;

std::string numbered(int i) { return std::to_string(i).append(".toml"); }

}  // namespace

TEST_CASE("files that are there at the start are told, others are not") {
  Fixture f;
  f.put("a.toml", "1");
  f.put("b.toml", "1");
  f.put("b.toml~", "1");
  f.put(".b.toml.swp", "1");
  f.start();
  REQUIRE(f.run_until([&] { return f.batches > 0; }));
  std::sort(f.files.begin(), f.files.end());
  CHECK(f.files == Names{"a.toml", "b.toml"});
}

TEST_CASE("in-place writes, renames over, moves in and out, chmod") {
  Fixture f;
  f.start();
  REQUIRE(f.run_until([&] { return f.batches > 0; }));
  f.put("a.toml", "one");
  f.settle();
  CHECK(f.files == Names{"a.toml"});
  f.replace("a.toml", "two");
  f.settle();
  CHECK(f.files == Names{"a.toml", "a.toml"});
  f.put("a.toml", "in place");
  f.settle();
  CHECK(f.files.size() == 3);
  ::chmod((f.directory / "a.toml").c_str(), 0600);
  f.settle();
  CHECK(f.files.size() == 4);
  CHECK(f.removed.empty());
  fs::rename(f.directory / "a.toml", f.root / "elsewhere");
  f.settle();
  CHECK(f.removed == Names{"a.toml"});
  f.put("b.toml", "x");
  f.settle();
  fs::remove(f.directory / "b.toml");
  f.settle();
  CHECK(f.removed == Names{"a.toml", "b.toml"});
}

TEST_CASE("a replaced file is never a removal, even through delete and create") {
  Fixture f;
  f.put("a.toml", "1");
  f.start();
  REQUIRE(f.run_until([&] { return f.batches > 0; }));
  fs::remove(f.directory / "a.toml");
  f.put("a.toml", "22");
  f.settle();
  CHECK(f.removed.empty());
  CHECK(f.files.size() == 2);
}

TEST_CASE("a file that is still being written is told at its close, by events and by rescans") {
  Fixture f;
  f.start();
  REQUIRE(f.run_until([&] { return f.batches > 0; }));
  const UniqueFd writer(
      ::open((f.directory / "a.toml").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  REQUIRE(::write(writer.get(), "id = \"a\"\n", 9) == 9);
  f.settle();
  CHECK(f.files.empty());
  f.watch->rescan(true);
  f.settle();
  CHECK(std::count(f.files.begin(), f.files.end(), "a.toml") == 0);
  // A second writer that closes does not make the file whole either.
  { const UniqueFd other(::open((f.directory / "a.toml").c_str(), O_WRONLY | O_CLOEXEC)); }
  f.settle();
  CHECK(std::count(f.files.begin(), f.files.end(), "a.toml") == 0);
  const_cast<UniqueFd&>(writer).reset();
  f.settle();
  CHECK(std::count(f.files.begin(), f.files.end(), "a.toml") == 1);
}

TEST_CASE("a directory that vanishes removes nobody and is found again") {
  Fixture f;
  f.put("a.toml", "1");
  f.put("b.toml", "1");
  f.start();
  REQUIRE(f.run_until([&] { return f.batches > 0; }));
  f.files.clear();
  fs::remove_all(f.directory);
  REQUIRE(f.run_until([&] { return !f.problems.empty(); }));
  CHECK(!f.watch->problem().empty());
  CHECK(f.removed.empty());
  fs::create_directory(f.directory);
  f.put("a.toml", "1");
  REQUIRE(f.run_until([&] { return f.watch->problem().empty() && f.watch->idle(); }));
  f.settle();
  CHECK(f.removed == Names{"b.toml"});  // the owner's removal guard judges what that means
  CHECK(f.problems.back().empty());
  CHECK(std::count(f.files.begin(), f.files.end(), "a.toml") == 1);
}

TEST_CASE("a directory moved away and replaced is a loss, not a removal") {
  Fixture f;
  f.put("a.toml", "1");
  f.start();
  REQUIRE(f.run_until([&] { return f.batches > 0; }));
  fs::rename(f.directory, f.root / "old");
  REQUIRE(f.run_until([&] { return !f.problems.empty(); }));
  CHECK(f.removed.empty());
  fs::rename(f.root / "old", f.directory);
  REQUIRE(f.run_until([&] { return f.watch->problem().empty() && f.watch->idle(); }));
  f.settle();
  CHECK(f.removed.empty());
}

TEST_CASE("an overflow record means a rescan") {
  inotify_event overflow{};
  overflow.wd = -1;
  overflow.mask = IN_Q_OVERFLOW;
  std::string bytes(sizeof overflow, '\0');
  std::memcpy(bytes.data(), &overflow, sizeof overflow);
  std::vector<DirectoryRecord> records;
  decode_inotify(bytes, records);
  REQUIRE(records.size() == 1);
  CHECK(records[0].event == DirectoryEvent::overflow);
  // A record whose name does not fit the buffer ends the decoding.
  overflow.len = 4000;
  std::memcpy(bytes.data(), &overflow, sizeof overflow);
  records.clear();
  decode_inotify(bytes, records);
  CHECK(records.empty());
}

TEST_CASE("40,000 files at once lose nothing and never hold the loop") {
  static constexpr int count = 40'000;
  Fixture f;
  f.start();
  REQUIRE(f.run_until([&] { return f.batches > 0; }));
  for (int i = 0; i < count; ++i) f.put(numbered(i), "x");
  REQUIRE(f.run_until([&] { return f.watch->known_files() >= count && f.watch->idle(); }, 60'000));
  f.settle();
  std::sort(f.files.begin(), f.files.end());
  const auto repeated = std::adjacent_find(f.files.begin(), f.files.end());
  CHECK(f.files.size() == count);
  CHECK(repeated == f.files.end());  // no storm: each file once
  MESSAGE("longest loop turn: " << f.longest_turn_ns / 1000 << " us");
  for (int i = 0; i < count; ++i) fs::remove(f.directory / (numbered(i)));
  REQUIRE(f.run_until([&] { return f.removed.size() >= count && f.watch->idle(); }, 60'000));
  CHECK(f.removed.size() == count);
}

// The kernel tells the close of a file a moment before the file is closed. Here it never tells it:
// the writer has the file by a name elsewhere.
TEST_CASE("a file that was still open at its last event is told once it is closed") {
  Fixture f;
  f.start();
  REQUIRE(f.run_until([&] { return f.batches > 0; }));
  const fs::path elsewhere = f.root / "elsewhere.toml";
  std::ofstream writer(elsewhere);
  writer << "1" << std::flush;
  fs::create_hard_link(elsewhere, f.directory / "a.toml");
  f.settle();
  CHECK(f.files.empty());
  writer.close();
  CHECK(f.run_until([&] { return f.files == Names{"a.toml"}; }, 10'000));
}

TEST_CASE("a file that stays open for writing is not looked at for ever") {
  Fixture f;
  f.start();
  REQUIRE(f.run_until([&] { return f.batches > 0; }));
  std::ofstream writer(f.directory / "a.toml");
  writer << "1" << std::flush;
  fs::create_hard_link(f.directory / "a.toml",
                       f.directory / "b.toml");  // an event of the open file
  const int before = f.batches;
  REQUIRE(
      f.run_until([&] { return f.batches - before >= int{DirectoryWatch::most_looks}; }, 20'000));
  f.settle();
  CHECK_FALSE(f.watch->looks_again());
  CHECK(f.files.empty());
  writer.close();  // which is an event
  CHECK(f.run_until([&] { return std::ranges::count(f.files, "a.toml") > 0; }));
}
