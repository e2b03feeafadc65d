// Commands: cache get | set | delete | clear | stats.
//
// Runs in: tenantctl. Values are the tenant's bytes: onto a terminal they go printable, anywhere
// else as they are.
#include <unistd.h>

#include <memory>

#include "client/tenantctl/commands/context.h"
#include "client/tenantctl/format/printable.h"
#include "client/tenantctl/format/table.h"
#include "shared/base/units.h"

namespace tenantd {
namespace {

struct CacheOptions {
  std::string tenant;
  std::string key;
  std::string value;
  std::string file;
  std::string kind = "text";
  std::string ttl;
  std::uint64_t ttl_ms = 0;
};

constexpr const char* kind_names[] = {"bytes", "text", "json"};

// RFC 4648, section 4.
std::string base64(std::string_view bytes) {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const auto group = bytes.substr(at, 3);
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      bits = bits << 8U | (i < group.size() ? static_cast<unsigned char>(group[i]) : 0U);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      out += i <= group.size() ? digits[bits >> (18U - 6U * i) & 63U] : '=';
    }
  }
  return out;
}

// JSON holds UTF-8 only; what is none stands under another name.
Json value_json(const std::string& key, const CacheValue& value) {
  Json json;
  json["key"] = key;
  json["kind"] = kind_names[static_cast<std::size_t>(value.kind)];
  json["ttl_left_ms"] = value.ttl_left_ms;
  try {
    (void)Json(value.value).dump();
    json["value"] = value.value;
  } catch (const Json::type_error&) {
    json["value_base64"] = base64(value.value);
  }
  return json;
}

Result<int> get(const Context& context, const CacheOptions& options) {
  auto client = context.connect(options.tenant);
  if (!client) return fail(client.error());
  const auto value = client->cache_get(options.key);
  if (!value) return fail(value.error());
  if (!value->found) return fail(ErrorCode::not_found, "the cache has no such key");
  if (context.options.json) return context.print(json_text(value_json(options.key, *value)));
  if (::isatty(STDOUT_FILENO) == 1) return context.print(printable(value->value) + "\n");
  return context.print(value->value);
}

Result<int> set(const Context& context, const CacheOptions& options) {
  std::string value = options.value;
  if (!options.file.empty()) {
    auto read = read_input(options.file, max_cache_value_bytes);
    if (!read) return fail(read.error());
    value = std::move(*read);
  }
  auto kind = CacheValueKind::bytes;
  if (options.kind == "text") kind = CacheValueKind::text;
  if (options.kind == "json") kind = CacheValueKind::json;
  auto client = context.connect(options.tenant);
  if (!client) return fail(client.error());
  const auto done = client->cache_set(options.key, value, options.ttl_ms, kind);
  if (!done) return fail(done.error());
  std::string text = "set, " + std::to_string(done->entries) + " entries";
  if (done->removed > 0) text += ", " + std::to_string(done->removed) + " made room";
  return context.print_either(*done, text + "\n");
}

Result<int> remove(const Context& context, const CacheOptions& options) {
  auto client = context.connect(options.tenant);
  if (!client) return fail(client.error());
  const auto done = client->cache_delete(options.key);
  if (!done) return fail(done.error());
  return context.print_either(*done, done->removed > 0 ? "deleted\n" : "was not there\n");
}

Result<int> clear(const Context& context, const CacheOptions& options) {
  auto client = context.connect(options.tenant);
  if (!client) return fail(client.error());
  const auto done = client->cache_clear();
  if (!done) return fail(done.error());
  return context.print_either(*done, std::to_string(done->removed) + " entries cleared\n");
}

Result<int> stats(const Context& context, const CacheOptions& options) {
  auto client = context.connect(options.tenant);
  if (!client) return fail(client.error());
  const auto stats = client->cache_stats();
  if (!stats) return fail(stats.error());
  Table table({"CACHE", "ENTRIES", "OF", "BYTES", "OF", "HITS", "MISSES", "EVICTED", "EXPIRED"});
  const auto add = [&table](const char* name, const CacheUsage& usage) {
    table.add({name, std::to_string(usage.entries), std::to_string(usage.max_entries),
               std::to_string(usage.bytes), std::to_string(usage.max_bytes),
               std::to_string(usage.hits), std::to_string(usage.misses),
               std::to_string(usage.evictions), std::to_string(usage.expirations)});
  };
  add("values", stats->values);
  if (!stats->routing_enabled) return context.print_either(*stats, table.text(false));
  add("routing", stats->routing);
  return context.print_either(
      *stats, table.text(false) + "similar queries: " + std::to_string(stats->similar_entries) +
                  " kept, " + std::to_string(stats->similar_hits) +
                  " hits; begun anew: " + std::to_string(stats->dropped) + "\n");
}

using Run = Result<int> (*)(const Context& context, const CacheOptions& options);

CLI::App* add(CLI::App& cache, Context& context, const char* name, const char* what, Run run,
              const std::shared_ptr<CacheOptions>& options, bool has_key) {
  CLI::App* const command = cache.add_subcommand(name, what);
  command->add_option("TENANT", options->tenant, "Tenant id")->required();
  if (has_key) command->add_option("KEY", options->key, "1 to 256 printable bytes")->required();
  command->callback([&context, options, run] {
    context.action = [&context, options, run] { return run(context, *options); };
  });
  return command;
}

void add_set(CLI::App& cache, Context& context) {
  auto options = std::make_shared<CacheOptions>();
  CLI::App* const command = add(cache, context, "set", "Keep a value", set, options, true);
  CLI::Option* const value =
      command->add_option("VALUE", options->value, "The value; empty without");
  command->add_option("--file", options->file, "Take it from a file; - is standard input")
      ->excludes(value);
  command->add_option("--ttl", options->ttl, "For how long (until there is no room)")
      ->check([options](const std::string& text) {
        const auto parsed = parse_duration_ms(text);
        if (!parsed) return parsed.error().message;
        options->ttl_ms = *parsed;
        return std::string();
      });
  command->add_option("--kind", options->kind, "What it is: text (default), json or bytes")
      ->check(CLI::IsMember({"text", "json", "bytes"}));
}

}  // namespace

void add_cache_commands(CLI::App& app, Context& context) {
  CLI::App* const cache = app.add_subcommand("cache", "Look at and change a tenant's cache");
  cache->require_subcommand(1);
  const auto options = [] { return std::make_shared<CacheOptions>(); };
  add(*cache, context, "get", "Print a value", get, options(), true);
  add_set(*cache, context);
  add(*cache, context, "delete", "Delete a value", remove, options(), true);
  add(*cache, context, "clear", "Delete all values", clear, options(), false);
  add(*cache, context, "stats", "Show entries, bytes, hits and evictions", stats, options(), false);
}

}  // namespace tenantd
