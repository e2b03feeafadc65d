// The tenants directory: which files are there, and which of them changed, told once they are
// whole.
//
// Runs in: supervisor, on its loop, in slices: no turn takes more than a few milliseconds however
// many files change. Changes are gathered for a moment, longer when a file has gone (it may be
// on its way back: editors do that), then told file by file, and `on_settled` ends the batch. A
// file that somebody still has open for writing is told when it is closed. A directory that
// vanishes or cannot be read is a problem, never a removal: it is looked for again, and then
// rescanned.
#pragma once

#include <dirent.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "shared/loop/loop.h"
#include "supervisor/watch/inotify.h"

namespace tenantd {

struct WatchCallbacks {
  // Names that are files of ours; others are never told (editors' temporaries).
  std::function<bool(std::string_view name)> is_wanted;
  // A file is new or changed, and whole.
  std::function<void(const std::string& name)> on_file;
  // The end of a batch: names told before and not there any more.
  std::function<void(const std::vector<std::string>& removed)> on_settled;
  // Not empty: the directory cannot be watched or read now, and why. Empty: it can again.
  std::function<void(const std::string& problem)> on_problem;
};

class DirectoryWatch {
 public:
  static constexpr std::uint64_t debounce_ms = 2;
  static constexpr std::uint64_t removal_debounce_ms = 20;
  static constexpr std::uint64_t slice_ns = 2'000'000;
  static constexpr int slice_files = 64;
  static constexpr std::uint64_t lost_retry_ms = 500;
  // A file that is open for writing is told when it is closed. The kernel sends that event a moment
  // before the file is not open any more (__fput() in fs/file_table.c), a long one if the writer
  // has to wait for a CPU just then: so it is looked at again, after so long, then twice as long.
  static constexpr std::uint64_t first_look_ms = 10;
  static constexpr unsigned most_looks =
      9;  // some five seconds in all, then the next event has to do

  DirectoryWatch(Loop& loop, std::string path, WatchCallbacks callbacks);
  ~DirectoryWatch();
  DirectoryWatch(const DirectoryWatch&) = delete;
  DirectoryWatch& operator=(const DirectoryWatch&) = delete;

  // Watches and tells everything that is there. `all`: unchanged files are told again, too.
  void rescan(bool all = false);
  // Tells this file again, in the next batch: it could not be read just now.
  void recheck(const std::string& name);
  // Nothing is being scanned, gathered or told.
  [[nodiscard]] bool idle() const;
  // A file that was open for writing will be looked at without another event.
  [[nodiscard]] bool looks_again() const { return look_.active(); }
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }
  [[nodiscard]] std::size_t known_files() const noexcept { return known_.size(); }

 private:
  // What tells one version of a file from another.
  struct Signature {
    std::uint64_t device = 0, inode = 0, size = 0;
    std::int64_t modified_ns = 0, changed_ns = 0;
    friend bool operator==(const Signature&, const Signature&) = default;
  };
  struct CloseDir {
    void operator()(DIR* directory) const noexcept { (void)::closedir(directory); }
  };

  [[nodiscard]] Status open_directory();
  void on_readable();
  void handle(const DirectoryRecord& record);
  void lose(const std::string& problem);
  void schedule_batch(std::uint64_t window_ms);
  void work_slice();
  void scan_step();   // one entry of the running scan
  void sweep_step();  // one known name: did the scan see it?
  void settle_one(const std::string& name, bool even_if_unchanged);
  void finish_batch();
  void look_again();
  [[nodiscard]] bool is_link(const std::string& name) const;
  [[nodiscard]] std::optional<Signature> signature_of(const std::string& name) const;
  [[nodiscard]] bool open_for_writing(const std::string& name) const;
  [[nodiscard]] bool still_in_place() const;
  void lose_at(const std::string& what, int saved_errno);

  Loop& loop_;
  std::string path_;
  WatchCallbacks callbacks_;
  std::string problem_;
  std::optional<Inotify> inotify_;
  UniqueFd directory_;
  Poll poll_;
  Timer debounce_;
  std::uint64_t window_start_ns_ = 0;
  std::uint64_t window_ms_ = 0;
  Timer retry_;
  Timer look_;
  std::map<std::string, unsigned> written_;  // open for writing, and how often that was seen
  Idle work_;
  std::unique_ptr<DIR, CloseDir> scan_;
  bool rescan_wanted_ = false;
  bool rescan_all_wanted_ = false;
  bool scan_all_ = false;
  std::uint64_t scan_number_ = 0;
  std::optional<std::string> swept_to_;  // set while sweeping: names up to here are done
  struct Known {
    Signature signature;
    std::uint64_t scan_number = 0;  // the last scan that saw it
  };
  std::map<std::string, Known> known_;
  std::set<std::string> changed_;  // gathered, for the next batch
  std::set<std::string> batch_;    // being told
  std::vector<std::string> removed_;
};

}  // namespace tenantd
