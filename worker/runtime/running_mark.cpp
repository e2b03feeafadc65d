#include "worker/runtime/running_mark.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <utility>

#include "shared/os/fd.h"

namespace tenantd {

Result<RunningMark> RunningMark::open(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return fail_errno("open " + path, errno);
  // Emptied first: nothing of an earlier run is told of this one.
  if (::ftruncate(file.get(), 0) != 0 ||
      ::ftruncate(file.get(), static_cast<off_t>(sizeof(RunningRecord))) != 0) {
    return fail_errno("ftruncate " + path, errno);
  }
  void* const memory =
      ::mmap(nullptr, sizeof(RunningRecord), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (memory == MAP_FAILED) return fail_errno("mmap " + path, errno);
  return RunningMark(static_cast<RunningRecord*>(memory));
}

RunningMark::RunningMark(RunningMark&& other) noexcept
    : record_(std::exchange(other.record_, nullptr)) {}

RunningMark::~RunningMark() {
  if (record_ != nullptr) (void)::munmap(record_, sizeof(RunningRecord));
}

// What follows is not done before the mark is set: a crash must find it.
void RunningMark::write(std::array<char, 64>& field, std::string_view id) noexcept {
  field.fill('\0');
  std::copy(id.begin(), id.end(), field.begin());
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

}  // namespace tenantd
