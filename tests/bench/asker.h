// A thread that asks a router without a pause, and what it had to wait for.
#pragma once

#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "tests/bench/router_floor.h"
#include "tests/unit/worker/router/fixtures.h"
#include "worker/router/tenant_router.h"

namespace tenantd::bench {

inline double thread_cpu_us() {
  timespec time{};
  (void)::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

// The longest answers of a thread that asks without a pause: by the clock, which counts what the
// machine does instead, and on its CPU. It waits for nobody as long as it gives up no CPU.
class Asker {
 public:
  explicit Asker(TenantRouter& router)
      : thread_([this, &router] {
          const TenantBinding tenant(TenantId::parse("acme").value());
          RouteQuery query;
          query.text = "w1 w2 w3";
          query.embedding = vector_;
          rusage before{};
          (void)::getrusage(RUSAGE_THREAD, &before);
          while (!stop_) {
            const double cpu_start = thread_cpu_us();
            const auto start = std::chrono::steady_clock::now();
            if (!router.route(tenant.context(), query)) std::abort();
            times_.push_back(
                std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
                    .count());
            longest_cpu_us_ = std::max(longest_cpu_us_, thread_cpu_us() - cpu_start);
          }
          rusage after{};
          (void)::getrusage(RUSAGE_THREAD, &after);
          waits_ = after.ru_nvcsw - before.ru_nvcsw;
        }) {}
  void report() {
    stop_ = true;
    thread_.join();
    std::sort(times_.begin(), times_.end());
    std::printf(
        "%zu queries meanwhile: p50 %.0f us, p99 %.0f us, p99.9 %.0f us, longest %.0f us, on its "
        "CPU %.0f us; waited for anything %ld times\n",
        times_.size(), times_[times_.size() / 2], times_[times_.size() * 99 / 100],
        times_[times_.size() * 999 / 1000], times_.back(), longest_cpu_us_, waits_);
  }

 private:
  std::vector<float> vector_ = std::vector<float>(floor_dimension, 1.0F);
  std::atomic<bool> stop_{false};
  std::vector<double> times_;
  double longest_cpu_us_ = 0;
  long waits_ = 0;
  std::thread thread_;
};

}  // namespace tenantd::bench
