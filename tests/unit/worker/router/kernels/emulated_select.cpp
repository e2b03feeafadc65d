// Which kernels this program runs: what the processor runs, then the emulated ones as the best.
//
// Runs in: tests only. Linked instead of select.cpp, so that whole searches run on them as well.
#include <array>

#include "worker/router/kernels/kernels.h"

namespace tenantd {

extern const Kernels emulated_avx512_kernels;

std::span<const Kernels* const> runnable_kernels() noexcept {
  static const std::array<const Kernels*, 2> plain{&plain_kernels, &emulated_avx512_kernels};
  static const std::array<const Kernels*, 3> with_avx2{&plain_kernels, &avx2_kernels,
                                                       &emulated_avx512_kernels};
  if (__builtin_cpu_supports("avx2")) return with_avx2;
  return plain;
}

const Kernels& best_kernels() noexcept { return emulated_avx512_kernels; }

}  // namespace tenantd
