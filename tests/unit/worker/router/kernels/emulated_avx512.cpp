// The kernels for AVX-512 with VNNI, the very source that the worker runs, on emulated intrinsics.
//
// Runs in: tests only.
#define TENANTD_EMULATE_AVX512
#include "tests/unit/worker/router/kernels/emulated_intrinsics.h"

#define avx512_kernels emulated_avx512_kernels
#include "worker/router/kernels/avx512.cpp"
