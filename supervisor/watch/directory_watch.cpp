#include "supervisor/watch/directory_watch.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "shared/base/clock.h"

namespace tenantd {
namespace {

std::int64_t to_ns(const timespec& time) noexcept {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

DirectoryWatch::DirectoryWatch(Loop& loop, std::string path, WatchCallbacks callbacks)
    : loop_(loop),
      path_(std::move(path)),
      callbacks_(std::move(callbacks)),
      debounce_(loop),
      retry_(loop),
      look_(loop),
      work_(loop) {}

DirectoryWatch::~DirectoryWatch() = default;

bool DirectoryWatch::idle() const { return !work_.active() && !debounce_.active(); }

Status DirectoryWatch::open_directory() {
  auto inotify = Inotify::open(path_);
  if (!inotify) return tl::unexpected(inotify.error());
  UniqueFd directory(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return fail_errno("open " + path_, errno);
  poll_.close();
  inotify_ = std::move(*inotify);
  directory_ = std::move(directory);
  return poll_.start(loop_, inotify_->fd(), UV_READABLE, [this](int) { on_readable(); });
}

void DirectoryWatch::rescan(bool all) {
  rescan_all_wanted_ = rescan_all_wanted_ || all;
  if (!inotify_ || !still_in_place()) {
    const Status opened = open_directory();
    if (!opened) return lose(opened.error().message);
  }
  if (!problem_.empty()) {
    problem_.clear();
    callbacks_.on_problem(problem_);
  }
  retry_.stop();
  // A running scan may have passed what changed: it is finished, then another one follows.
  rescan_wanted_ = true;
  if (!work_.active()) work_.start([this] { work_slice(); });
}

bool DirectoryWatch::still_in_place() const {
  struct stat watched {};
  struct stat named {};
  return directory_ && ::fstat(directory_.get(), &watched) == 0 &&
         ::stat(path_.c_str(), &named) == 0 && watched.st_dev == named.st_dev &&
         watched.st_ino == named.st_ino;
}

void DirectoryWatch::lose(const std::string& problem) {
  poll_.close();
  inotify_.reset();
  directory_.reset();
  scan_.reset();
  swept_to_.reset();
  changed_.clear();
  batch_.clear();
  // Not told yet, so still known: the rescan after the directory's return decides.
  for (std::string& name : removed_) known_.try_emplace(std::move(name));
  removed_.clear();
  rescan_wanted_ = false;
  debounce_.stop();
  look_.stop();
  written_.clear();
  work_.stop();
  if (problem_ != problem) {
    problem_ = problem;
    callbacks_.on_problem(problem);
  }
  retry_.start(lost_retry_ms, [this] { rescan(); });
}

void DirectoryWatch::on_readable() {
  std::vector<DirectoryRecord> records;
  inotify_->read_some(records);
  for (const DirectoryRecord& record : records) {
    handle(record);
    if (!inotify_) return;  // the directory is lost
  }
}

void DirectoryWatch::handle(const DirectoryRecord& record) {
  if (record.event == DirectoryEvent::lost) return lose(path_ + " was deleted, moved or unmounted");
  if (record.event == DirectoryEvent::overflow) return rescan();
  if (record.event == DirectoryEvent::own_attributes) return rescan(true);  // readable now?
  if (!callbacks_.is_wanted(record.name)) return;
  if (record.event == DirectoryEvent::created && !is_link(record.name)) return;
  if (record.event == DirectoryEvent::attributes) {
    // Only a file that is whole: one still being written is told at its close.
    const auto known = known_.find(record.name);
    const auto now = signature_of(record.name);
    if (known == known_.end() || !now || now->modified_ns != known->second.signature.modified_ns)
      return;
  }
  written_.erase(record.name);
  changed_.insert(record.name);
  schedule_batch(record.event == DirectoryEvent::gone ? removal_debounce_ms : debounce_ms);
}

void DirectoryWatch::recheck(const std::string& name) {
  known_[name].signature = Signature{};
  changed_.insert(name);
  schedule_batch(removal_debounce_ms);
}

void DirectoryWatch::schedule_batch(std::uint64_t window_ms) {
  if (work_.active()) return;
  // The first change starts the window: a stream of changes cannot put it off for ever.
  const std::uint64_t now_ns = monotonic_ns();
  if (!debounce_.active()) {
    window_start_ns_ = now_ns;
  } else if (window_ms <= window_ms_) {
    return;
  }
  window_ms_ = window_ms;
  const std::uint64_t gone_ms = (now_ns - window_start_ns_) / 1'000'000;
  debounce_.start(window_ms - std::min(gone_ms, window_ms),
                  [this] { work_.start([this] { work_slice(); }); });
}

void DirectoryWatch::work_slice() {
  const std::uint64_t until_ns = monotonic_ns() + slice_ns;
  if (batch_.empty() && !scan_ && !swept_to_ && !rescan_wanted_) std::swap(batch_, changed_);
  for (int i = 0; i < slice_files && monotonic_ns() < until_ns; ++i) {
    if (!directory_) return;  // lost
    if (!batch_.empty()) {
      const std::string name = std::move(batch_.extract(batch_.begin()).value());
      settle_one(name, false);
    } else if (swept_to_) {
      sweep_step();
    } else if (scan_ || rescan_wanted_) {
      scan_step();
    } else {
      return finish_batch();
    }
  }
}

void DirectoryWatch::lose_at(const std::string& what, int saved_errno) {
  lose(fail_errno(what + ' ' + path_, saved_errno).value().message);
}

void DirectoryWatch::scan_step() {
  if (!scan_) {
    const int copy = ::openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (copy < 0) return lose_at("open", errno);
    scan_.reset(::fdopendir(copy));
    if (!scan_) return lose_at("read", errno);
    rescan_wanted_ = false;
    scan_all_ = std::exchange(rescan_all_wanted_, false);
    ++scan_number_;
  }
  errno = 0;
  const dirent* const entry = ::readdir(scan_.get());
  if (entry == nullptr) {
    if (errno != 0) return lose_at("read", errno);
    scan_.reset();
    swept_to_.emplace();
    return;
  }
  if (callbacks_.is_wanted(entry->d_name)) settle_one(entry->d_name, scan_all_);
}

void DirectoryWatch::sweep_step() {
  const auto next = known_.upper_bound(*swept_to_);
  if (next == known_.end()) {
    swept_to_.reset();
    return;
  }
  swept_to_ = next->first;
  if (next->second.scan_number != scan_number_) settle_one(*swept_to_, false);
}

void DirectoryWatch::settle_one(const std::string& name, bool even_if_unchanged) {
  const auto now = signature_of(name);
  const auto known = known_.find(name);
  if (!now) {
    written_.erase(name);
    if (known == known_.end()) return;
    known_.erase(known);
    removed_.push_back(name);
    return;
  }
  if (known != known_.end()) {
    known->second.scan_number = scan_number_;
    if (!even_if_unchanged && known->second.signature == *now) return;
  }
  if (open_for_writing(name)) {
    ++written_[name];
    return;
  }
  written_.erase(name);
  known_[name] = Known{*now, scan_number_};
  // Gone and back within one batch is a change.
  std::erase(removed_, name);
  callbacks_.on_file(name);
}

void DirectoryWatch::finish_batch() {
  if (!still_in_place()) return lose(path_ + " was replaced or is gone");
  work_.stop();
  callbacks_.on_settled(std::exchange(removed_, {}));
  if (!changed_.empty()) schedule_batch(removal_debounce_ms);
  look_again();
}

// Files whose close may have been told before it was done.
void DirectoryWatch::look_again() {
  unsigned fewest = most_looks;
  for (const auto& [name, looks] : written_) fewest = std::min(fewest, looks);
  if (fewest >= most_looks || look_.active()) return;
  look_.start(first_look_ms << (fewest - 1), [this] {
    for (const auto& [name, looks] : written_) {
      if (looks < most_looks) changed_.insert(name);
    }
    if (!changed_.empty()) schedule_batch(debounce_ms);
  });
}

// Links are made whole and never closed: their creation is the only event.
bool DirectoryWatch::is_link(const std::string& name) const {
  struct stat info {};
  return ::fstatat(directory_.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 &&
         (S_ISLNK(info.st_mode) || info.st_nlink > 1);
}

std::optional<DirectoryWatch::Signature> DirectoryWatch::signature_of(
    const std::string& name) const {
  struct stat info {};
  if (::fstatat(directory_.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
    return std::nullopt;
  return Signature{info.st_dev, info.st_ino, static_cast<std::uint64_t>(info.st_size),
                   to_ns(info.st_mtim), to_ns(info.st_ctim)};
}

// A read lease is only granted when nobody has the file open for writing (fcntl(2), F_SETLEASE).
bool DirectoryWatch::open_for_writing(const std::string& name) const {
  // Looked at before it is opened: opening a device can have effects.
  struct stat info {};
  if (::fstatat(directory_.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 ||
      !S_ISREG(info.st_mode)) {
    return false;  // the reader of the file says what is wrong
  }
  const UniqueFd file(
      ::openat(directory_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file) return false;
  if (::fcntl(file.get(), F_SETLEASE, F_RDLCK) == 0) {
    (void)::fcntl(file.get(), F_SETLEASE, F_UNLCK);
    return false;
  }
  return errno == EAGAIN;  // elsewhere leases are unknown: the close event has to do
}

}  // namespace tenantd
