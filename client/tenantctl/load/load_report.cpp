#include "client/tenantctl/load/load_report.h"

#include <array>
#include <cmath>
#include <cstdarg>
#include <cstdio>

#include "client/tenantctl/format/printable.h"

namespace tenantd {
namespace {

struct Percentile {
  const char* name;
  double percent;
};
constexpr std::array percentiles = {Percentile{"p50", 50}, Percentile{"p90", 90},
                                    Percentile{"p99", 99}, Percentile{"p99.9", 99.9},
                                    Percentile{"p99.99", 99.99}};

double micros(double ns) noexcept { return std::round(ns / 10) / 100; }
double micros(std::uint64_t ns) noexcept { return micros(static_cast<double>(ns)); }

double per_second(const LoadResult& result) noexcept {
  if (result.elapsed_ns == 0) return 0;
  return std::round(static_cast<double>(result.answered) * 1e10 /
                    static_cast<double>(result.elapsed_ns)) /
         10;
}

double cpu_per_request_ns(const LoadResult& result) noexcept {
  return result.answered == 0
             ? 0
             : static_cast<double>(result.cpu_ns) / static_cast<double>(result.answered);
}

__attribute__((format(printf, 1, 2))) std::string formatted(const char* format, ...) {
  std::array<char, 256> line{};
  va_list arguments;
  va_start(arguments, format);
  (void)std::vsnprintf(line.data(), line.size(), format, arguments);
  va_end(arguments);
  return line.data();
}

}  // namespace

std::string load_text(const LoadPlan& plan, const LoadResult& result) {
  const bool open_loop = plan.rate_per_second > 0;
  std::string text = printable(plan.tenant) + ": ";
  text += open_loop ? formatted("open loop, %g requests/s", plan.rate_per_second)
                    : formatted("closed loop, %u in flight each", plan.depth);
  text +=
      formatted(", %u connection%s over %s\n", plan.connections, plan.connections == 1 ? "" : "s",
                result.transport == Transport::ring ? "ring" : "stream");
  text += formatted("  answered   %llu in %.2f s, %.1f/s\n",
                    static_cast<unsigned long long>(result.answered),
                    static_cast<double>(result.elapsed_ns) / 1e9, per_second(result));
  for (const auto& [code, count] : result.errors) {
    text +=
        formatted("  failed     %llu %s\n", static_cast<unsigned long long>(count), code.c_str());
  }
  if (result.unsent > 0) {
    text += formatted("  unsent     %llu were due, but there was no room to send them\n",
                      static_cast<unsigned long long>(result.unsent));
  }
  text += formatted("  latency µs %s: min %.2f, mean %.2f",
                    open_loop ? "from when each was due" : "from the sending",
                    micros(result.latency.min_ns()), micros(result.latency.mean_ns()));
  for (const auto& [name, percent] : percentiles) {
    text += formatted(", %s %.2f", name, micros(result.latency.percentile_ns(percent)));
  }
  text += formatted(", max %.2f\n", micros(result.latency.max_ns()));
  text += formatted("  own CPU    %.2f µs a request\n", micros(cpu_per_request_ns(result)));
  return text;
}

Json load_json(const LoadPlan& plan, const LoadResult& result) {
  Json json;
  json["tenant"] = plan.tenant;
  json["loop"] = plan.rate_per_second > 0 ? "open" : "closed";
  json["transport"] = result.transport == Transport::ring ? "ring" : "stream";
  json["connections"] = plan.connections;
  json["depth"] = plan.depth;
  json["rate_per_second"] = plan.rate_per_second;
  json["answered"] = result.answered;
  json["failed"] = result.failed();
  json["errors"] = Json::object();
  for (const auto& [code, count] : result.errors) json["errors"][code] = count;
  json["unsent"] = result.unsent;
  json["seconds"] = static_cast<double>(result.elapsed_ns) / 1e9;
  json["answered_per_second"] = per_second(result);
  json["reconnects"] = result.reconnects;
  Json& latency = json["latency_us"];
  latency["min"] = micros(result.latency.min_ns());
  latency["mean"] = micros(result.latency.mean_ns());
  for (const auto& [name, percent] : percentiles) {
    latency[name] = micros(result.latency.percentile_ns(percent));
  }
  latency["max"] = micros(result.latency.max_ns());
  json["cpu_us_per_request"] = micros(cpu_per_request_ns(result));
  return json;
}

}  // namespace tenantd
