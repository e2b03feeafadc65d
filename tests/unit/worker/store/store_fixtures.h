// A directory of its own for each test of the store, removed at its end.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/database/sqlite.h"
#include "tests/unit/worker/router/fixtures.h"
#include "worker/store/route_editor.h"
#include "worker/store/tenant_store.h"

namespace tenantd::fixtures {

class DataDirectory {
 public:
  DataDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "tenantd-store-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~DataDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  DataDirectory(const DataDirectory&) = delete;
  DataDirectory& operator=(const DataDirectory&) = delete;

  [[nodiscard]] std::string database() const { return (path_ / "tenant.db").string(); }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline TenantId acme() { return TenantId::parse("acme").value(); }

inline Result<std::unique_ptr<TenantStore>> open_store(const DataDirectory& directory,
                                                       std::uint64_t max_bytes = 0) {
  return TenantStore::open(acme(), directory.database(), max_bytes);
}

inline Result<std::vector<RouteDefinition>> load_all(TenantStore& store) {
  std::vector<RouteDefinition> routes;
  const TenantBinding tenant(acme());
  const auto take = [&routes](RouteDefinition route) -> Status {
    routes.push_back(std::move(route));
    return {};
  };
  const auto version = store.load(tenant.context(), take);
  if (!version) return fail(version.error());
  return routes;
}

inline std::string read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// With a vector and a text an utterance; `seed` decides all.
inline RouteDefinition sample_route(std::string id, std::uint32_t dimension, std::size_t utterances,
                                    unsigned seed) {
  std::mt19937 random(seed);
  RouteDefinition route;
  route.id = std::move(id);
  route.description = "sample";
  route.metadata = R"({"seed": 1})";
  route.tags = {"one", "two words"};
  if (seed % 2 == 0) route.threshold = 0.0F;
  if (seed % 3 == 0) route.margin = seed % 2 == 0 ? 0.0F : 0.1F;
  if (seed % 3 == 0) {
    route.priority = static_cast<std::int32_t>(seed) - 40;
    route.aggregation = static_cast<Aggregation>(seed % 5);
    route.rules = {
        {RuleKind::keyword, RuleMode::signal, "text " + std::to_string(seed)},
        {RuleKind::pattern, RuleMode::always, "\\bgo to " + route.id + "\\b"},
        {RuleKind::keyword, RuleMode::never, "never"},
        {RuleKind::pattern, RuleMode::signal, "[0-9]{" + std::to_string(seed % 7 + 1) + "}"}};
  }
  for (std::size_t i = 0; i < utterances; ++i) {
    Utterance& utterance = route.utterances.emplace_back();
    utterance.text = "text ";
    utterance.text += std::to_string(random());
    utterance.embedding = random_vector(random, dimension);
    utterance.encoder = "potion";
  }
  return route;
}

// What is wrong with the statements, a line each: every one is to name the tenant, and SQLite to
// reach every row that it looks at through it; unless it `may_sort`, in the order of a key.
inline std::vector<std::string> plans_beside_the_tenant(
    std::span<const std::string_view> statements, bool may_sort = true) {
  const DataDirectory directory;
  StoreFile::open(directory.database()).value().reset();
  Database database = Database::open(directory.database(), Database::Mode::open_existing).value();
  std::vector<std::string> wrong;
  for (const std::string_view text : statements) {
    const std::string statement(text);
    if (text.find("?1") == std::string_view::npos) wrong.push_back("no tenant: " + statement);
    Statement plan = database.prepare("EXPLAIN QUERY PLAN " + statement).value();
    while (plan.step().value()) {
      const std::string line(plan.text(3));
      const bool scans = line.starts_with("SCAN");
      const bool searches_others =
          line.starts_with("SEARCH") && line.find("(tenant_id=?") == std::string::npos;
      const bool sorts = !may_sort && line.find("TEMP B-TREE") != std::string::npos;
      if (scans || searches_others || sorts) wrong.push_back(line + " in: " + statement);
    }
  }
  return wrong;
}

}  // namespace tenantd::fixtures
