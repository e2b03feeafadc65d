// Command: query.
#include <chrono>
#include <cmath>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>

#include "client/tenantctl/commands/context.h"

namespace tenantd {
namespace {

struct QueryOptions {
  std::string tenant;
  std::string text;
  std::string embedding_file;
  std::string encoder;
  std::uint32_t alternatives = 3;
  std::uint32_t limit = 1;
  std::vector<std::string> only_routes;
  std::vector<std::string> only_tags;
  bool explain = false;
};

tl::unexpected<Error> bad_embedding(const std::string& file, std::string message) {
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.field = "embedding";
  error.file = file;
  error.message = std::move(message);
  error.hint = "give a JSON array of numbers, or little-endian 32-bit floats";
  return fail(std::move(error));
}

Result<std::vector<float>> read_embedding(const std::string& file) {
  const auto bytes = read_input(file, std::size_t{max_dimension} * 32);
  if (!bytes) return fail(bytes.error());
  std::vector<float> floats;
  const std::size_t first = bytes->find_first_not_of(" \t\r\n");
  if (first != std::string::npos && (*bytes)[first] == '[') {
    const auto array = Json::parse(*bytes, nullptr, false);
    if (!array.is_discarded() && array.is_array()) {
      for (const Json& number : array) {
        if (!number.is_number()) return bad_embedding(file, "holds something else than numbers");
        floats.push_back(number.get<float>());
      }
      return floats;
    }
  }
  if (bytes->empty() || bytes->size() % sizeof(float) != 0) {
    return bad_embedding(file, "has " + std::to_string(bytes->size()) + " bytes");
  }
  floats.resize(bytes->size() / sizeof(float));
  std::memcpy(floats.data(), bytes->data(), bytes->size());
  return floats;
}

Result<int> query(const Context& context, const QueryOptions& options) {
  std::vector<float> embedding;
  if (!options.embedding_file.empty()) {
    auto read = read_embedding(options.embedding_file);
    if (!read) return fail(read.error());
    embedding = std::move(*read);
  }
  auto client = context.connect(options.tenant);
  if (!client) return fail(client.error());
  RouteRequest request;
  request.text = options.text;
  request.embedding = embedding;
  request.encoder = options.encoder;
  request.alternatives = options.alternatives;
  request.explain = options.explain;
  request.limit = options.limit;
  request.only_routes.assign(options.only_routes.begin(), options.only_routes.end());
  request.only_tags.assign(options.only_tags.begin(), options.only_tags.end());
  const auto start = std::chrono::steady_clock::now();
  const auto reply = client->route(request);
  const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
  if (!reply) return fail(reply.error());
  if (!context.options.json) {
    return context.print(route_reply_text(*reply, took.count(), context.colored()));
  }
  Json json = to_json(*reply);
  json["latency_us"] = std::round(took.count() * 10) / 10;
  return context.print(json_text(json));
}

}  // namespace

void add_query_command(CLI::App& app, Context& context) {
  auto options = std::make_shared<QueryOptions>();
  CLI::App* const command = app.add_subcommand("query", "Route one text or embedding");
  command->add_option("TENANT", options->tenant, "Tenant id")->required();
  CLI::Option* const text = command->add_option("TEXT", options->text, "What to route");
  CLI::Option* const file =
      command->add_option("--embedding-file", options->embedding_file,
                          "Its embedding: a JSON array or 32-bit floats; - is standard input");
  command->add_option("--encoder", options->encoder, "What made the embedding (the tenant's)");
  command->add_option("--alternatives", options->alternatives, "Runners-up to show (3)")
      ->check(CLI::Range(0, 64));
  command->add_option("--limit", options->limit, "Routes to answer with, at most (1)")
      ->check(CLI::Range(1, 64));
  const auto may_come_often = [](CLI::Option* option) {
    option->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  };
  may_come_often(command->add_option("--route", options->only_routes,
                                     "Only this route is there; may come often"));
  may_come_often(command->add_option("--tag", options->only_tags,
                                     "Only routes with this tag are there; may come often"));
  command->add_flag("--explain", options->explain,
                    "Show the nearest utterance, the words and the rules");
  command->callback([&context, options, text, file] {
    if (text->empty() && file->empty()) throw CLI::RequiredError("TEXT or --embedding-file");
    context.action = [&context, options] { return query(context, *options); };
  });
}

}  // namespace tenantd
