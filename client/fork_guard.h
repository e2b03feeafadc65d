// Whether this process is still the one that made an object, without asking the kernel.
//
// Runs in: client library. A page that the kernel zeroes in the child of a fork (madvise(2),
// MADV_WIPEONFORK) costs a load a check; getpid(2) would cost every call a system call. A child
// that went on with its parent's socket or ring would mix its frames into the parent's.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <memory>

#include "shared/base/error.h"

namespace tenantd::client {

class ForkGuard {
 public:
  [[nodiscard]] static Result<ForkGuard> create() {
    constexpr std::size_t page_bytes = 4096;
    void* page =
        ::mmap(nullptr, page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return fail_errno("mmap", errno);
    ForkGuard guard(new (page) Mark(1));
    if (::madvise(page, page_bytes, MADV_WIPEONFORK) != 0) return fail_errno("madvise", errno);
    return guard;
  }

  [[nodiscard]] bool is_own_process() const noexcept {
    return mark_->load(std::memory_order_relaxed) == 1;
  }
  [[nodiscard]] Status check() const {
    if (is_own_process()) return {};
    return fail(ErrorCode::unsupported, "a client cannot be used in a forked child",
                "open one in the child");
  }

 private:
  using Mark = std::atomic<int>;
  struct Unmap {
    void operator()(Mark* mark) const noexcept { (void)::munmap(mark, 4096); }
  };
  explicit ForkGuard(Mark* mark) noexcept : mark_(mark) {}
  std::unique_ptr<Mark, Unmap> mark_;
};

}  // namespace tenantd::client
