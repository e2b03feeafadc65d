// Command: bench.
#include <memory>
#include <sstream>

#include "client/tenantctl/commands/context.h"
#include "client/tenantctl/load/load_report.h"
#include "shared/base/units.h"

namespace tenantd {
namespace {

constexpr std::uint32_t default_open_depth = 1024;
constexpr std::uint32_t max_connections = 256;
constexpr std::uint32_t max_depth = 65'536;
constexpr double max_rate = 10'000'000;
constexpr std::size_t max_queries_bytes = 64U << 20U;

struct BenchOptions {
  LoadPlan plan;
  std::string queries_file;
  std::string duration = "10s";
  std::string warm_up = "1s";
};

// A line is a query; empty ones are left out.
Status read_queries(const std::string& file, std::vector<std::string>& texts) {
  const auto input = read_input(file, max_queries_bytes);
  if (!input) return tl::unexpected(input.error());
  std::istringstream lines(*input);
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) texts.push_back(std::move(line));
  }
  if (!texts.empty()) return {};
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.file = file;
  error.message = "holds no query";
  return fail(std::move(error));
}

Result<int> bench(const Context& context, BenchOptions& options) {
  LoadPlan& plan = options.plan;
  auto connect = context.connect_options();
  if (!connect) return fail(connect.error());
  plan.connect = std::move(*connect);
  if (!options.queries_file.empty()) {
    if (auto read = read_queries(options.queries_file, plan.texts); !read) {
      return fail(read.error());
    }
  }
  const auto result = run_load(plan);
  if (!result) return fail(result.error());
  const auto printed = context.print(context.options.json ? json_text(load_json(plan, *result))
                                                          : load_text(plan, *result));
  if (!printed) return printed;
  return result->failed() == 0 && result->unsent == 0 && result->answered > 0 ? 0 : 1;
}

CLI::Option* add_duration(CLI::App& command, const char* name, std::string& text, std::uint64_t& ms,
                          const char* help) {
  return command.add_option(name, text, help)->check([&ms](const std::string& value) {
    const auto parsed = parse_duration_ms(value);
    if (!parsed) return parsed.error().message;
    ms = *parsed;
    return std::string();
  });
}

}  // namespace

void add_bench_command(CLI::App& app, Context& context) {
  auto options = std::make_shared<BenchOptions>();
  LoadPlan& plan = options->plan;
  plan.warm_up_ms = 1'000;
  CLI::App* const command = app.add_subcommand("bench", "Measure a tenant's worker under load");
  command->add_option("TENANT", plan.tenant, "Tenant id")->required();
  CLI::Option* const queries =
      command->add_option("--queries", options->queries_file,
                          "Texts to route, one a line; - is standard input (random embeddings)");
  command->add_flag("--ping", plan.ping, "Ask for nothing: the path alone")->excludes(queries);
  command->add_option("--connections", plan.connections, "Connections, a thread each (1)")
      ->check(CLI::Range(1U, max_connections));
  CLI::Option* const depth = command->add_option(
      "--depth", plan.depth, "Requests in flight on each (1; with --rate at most 1024)");
  depth->check(CLI::Range(1U, max_depth));
  CLI::Option* const rate = command->add_option(
      "--rate", plan.rate_per_second, "Open loop: requests a second of all connections together");
  rate->check(CLI::Range(0.001, max_rate));
  CLI::Option* const duration = add_duration(*command, "--duration", options->duration,
                                             plan.duration_ms, "How long to measure (10s)");
  CLI::Option* const count = command->add_option("--count", plan.count, "Requests to measure");
  count->check(CLI::PositiveNumber);
  add_duration(*command, "--warm-up", options->warm_up, plan.warm_up_ms,
               "What is sent before, unmeasured (1s)");
  command->callback([&context, options, depth, rate, duration, count] {
    if (rate->count() > 0 && depth->count() == 0) options->plan.depth = default_open_depth;
    if (duration->count() == 0 && count->count() == 0) options->plan.duration_ms = 10'000;
    if (duration->count() > 0 && options->plan.duration_ms == 0) {
      throw CLI::ValidationError("--duration", "must be longer than nothing");
    }
    context.action = [&context, options] { return bench(context, *options); };
  });
}

}  // namespace tenantd
