// Which kernels this processor runs, asked once by cpuid: the worker has no /proc to read.
//
// Runs in: worker.
#include <array>

#include "worker/router/kernels/kernels.h"

namespace tenantd {
namespace {

struct Runnable {
  std::array<const Kernels*, 3> list{};
  std::size_t count = 0;
};

Runnable find_runnable() noexcept {
  Runnable runnable;
  runnable.list[runnable.count++] = &plain_kernels;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) runnable.list[runnable.count++] = &avx2_kernels;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vnni")) {
    runnable.list[runnable.count++] = &avx512_kernels;
  }
#endif
  return runnable;
}

}  // namespace

std::span<const Kernels* const> runnable_kernels() noexcept {
  static const Runnable runnable = find_runnable();
  return {runnable.list.data(), runnable.count};
}

const Kernels& best_kernels() noexcept { return *runnable_kernels().back(); }

}  // namespace tenantd
