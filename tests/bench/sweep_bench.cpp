// What a pooled worker's daily sweep takes: all steps of ShardSweep over all shards, with the CPU
// of the thread that runs them. Between two steps other jobs of that thread go, so the longest step
// is the longest that the sweep holds one up; requests are answered by another thread.
//
// `sweep_bench [--tenants N] [--shards S] [--rows R] [--due D] [--directory D]`: N tenants, spread
// evenly over S files made in a directory below D, with R executions each, of which D are due; the
// first tenant of each shard has 10,000, all due. Then the same again, when nothing is due.
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "shared/loop/loop.h"
#include "worker/runtime/execution_context.h"
#include "worker/runtime/shard_sweep.h"
#include "worker/store/history_store.h"

using namespace tenantd;

namespace {

constexpr std::int64_t day_us = 86'400'000'000;
constexpr std::int64_t now_us = 1'790'000'000'000'000;
constexpr std::size_t rows_of_the_largest = 10'000;

struct Wanted {
  std::size_t tenants = 100'000;
  std::uint32_t shards = 64;
  std::size_t rows = 20;
  std::size_t due = 10;
  std::string directory = std::filesystem::temp_directory_path().string();
};

double thread_cpu_us() {
  timespec now{};
  (void)::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

std::string path_of(const std::string& directory, std::uint32_t shard) {
  return directory + "/shard-" + std::to_string(shard) + ".db";
}

bool fill(const Wanted& wanted, const std::string& directory) {
  for (std::uint32_t shard = 0; shard < wanted.shards; ++shard) {
    const auto file = StoreFile::open(path_of(directory, shard));
    if (!file) return false;
    for (std::size_t tenant = shard; tenant < wanted.tenants; tenant += wanted.shards) {
      const auto id = TenantId::parse("customer-" + std::to_string(tenant));
      const TenantBinding binding(*id);
      const bool largest = tenant == shard;
      std::vector<ExecutionRecord> records(largest ? rows_of_the_largest : wanted.rows);
      const std::size_t due = largest ? records.size() : wanted.due;
      for (std::size_t i = 0; i < records.size(); ++i) {
        records[i].time_us = now_us - (i < due ? 60 : 1) * day_us + static_cast<std::int64_t>(i);
        records[i].request_id = i + 1;
        (void)records[i].route.assign("route-" + std::to_string(i % 20));
      }
      HistoryStore history(*id, *file);
      for (std::size_t at = 0; at < records.size(); at += 256) {
        const auto part =
            std::span(records).subspan(at, std::min<std::size_t>(256, records.size() - at));
        if (!history.append(binding.context(), part, {}, {30, 0})) return false;
      }
    }
  }
  return true;
}

void sweep(const Wanted& wanted, const std::string& directory, const char* name) {
  Loop loop;
  EditThread edits(loop, [] { return EditThread::Idle::nothing; });
  ShardSweep sweep(
      edits,
      [&directory](std::uint32_t shard) -> std::shared_ptr<StoreFile> {
        auto file = StoreFile::open(path_of(directory, shard));
        return file ? std::move(*file) : nullptr;
      },
      wanted.shards, [] {});
  std::vector<double> cpu_us;
  std::vector<double> wall_us;
  for (bool more = true; more;) {
    const auto start = std::chrono::steady_clock::now();
    const double before = thread_cpu_us();
    more = sweep.step(now_us);
    cpu_us.push_back(thread_cpu_us() - before);
    wall_us.push_back(
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
            .count());
  }
  double all_us = 0;
  for (const double one : cpu_us) all_us += one;
  double all_wall_us = 0;
  for (const double one : wall_us) all_wall_us += one;
  std::sort(cpu_us.begin(), cpu_us.end());
  std::sort(wall_us.begin(), wall_us.end());
  std::printf(
      "%-16s %zu steps, %.2f s CPU, %.2f s; a step p50 %.0f µs, p99 %.0f µs, p99.9 %.0f µs, "
      "longest %.0f µs of CPU (longest by the clock %.0f µs); over 1 ms of CPU: %td\n",
      name, cpu_us.size(), all_us / 1e6, all_wall_us / 1e6, cpu_us[cpu_us.size() / 2],
      cpu_us[cpu_us.size() * 99 / 100], cpu_us[cpu_us.size() * 999 / 1000], cpu_us.back(),
      wall_us.back(), cpu_us.end() - std::upper_bound(cpu_us.begin(), cpu_us.end(), 1000.0));
}

}  // namespace

int main(int count, char** arguments) {
  Wanted wanted;
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string option = arguments[i];
    const char* const value = arguments[i + 1];
    if (option == "--tenants") wanted.tenants = std::strtoull(value, nullptr, 10);
    if (option == "--shards") wanted.shards = static_cast<std::uint32_t>(std::atoi(value));
    if (option == "--rows") wanted.rows = std::strtoull(value, nullptr, 10);
    if (option == "--due") wanted.due = std::strtoull(value, nullptr, 10);
    if (option == "--directory") wanted.directory = value;
  }
  std::string directory = wanted.directory + "/tenantd-sweep-XXXXXX";
  if (::mkdtemp(directory.data()) == nullptr) return 1;
  const bool filled = fill(wanted, directory);
  if (filled) {
    sweep(wanted, directory, "much is due:");
    sweep(wanted, directory, "nothing is due:");
  }
  std::error_code ignored;
  std::filesystem::remove_all(directory, ignored);
  return filled ? 0 : 1;
}
