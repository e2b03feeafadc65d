// AVX-512's intrinsics as plain code, so that kernels for CPUs that have it run on any.
//
// Runs in: tests only. Those of the library are simde's (Debian's libsimde-dev); one that it lacks
// is written here from its definition in Intel's intrinsics guide.
#pragma once

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

namespace tenantd::emulated {

// VMOVUPS zmm {k}, m512: a float whose bit of the mask is not set is source's, and is not read.
inline simde__m512 mask_loadu_ps(simde__m512 source, simde__mmask16 mask, const void* memory) {
  simde__m512_private result = simde__m512_to_private(source);
  const auto* floats = static_cast<const float*>(memory);
  for (unsigned i = 0; i < 16; ++i) {
    if (((mask >> i) & 1U) != 0) result.f32[i] = floats[i];
  }
  return simde__m512_from_private(result);
}

}  // namespace tenantd::emulated

#define __mmask16 simde__mmask16
#define _mm512_mask_loadu_ps(source, mask, memory) \
  ::tenantd::emulated::mask_loadu_ps(source, mask, memory)
