#include "supervisor/verify/promises.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "supervisor/verify/posture_probes.h"

using namespace tenantd;

namespace {

std::string layer_text(LayerSet layers) {
  std::string text;
  for (std::size_t i = 0; i < layer_names.size(); ++i) {
    if (!layers.has(static_cast<Layer>(i))) continue;
    text += (text.empty() ? "" : ", ") + std::string(layer_names[i]);
  }
  return text.empty() ? "–" : text;
}

std::string doc_line(const ProbeRow& row) {
  const std::string_view from = row.source == ProbeSource::files     ? "files"
                                : row.source == ProbeSource::posture ? "the live worker"
                                                                     : "inside";
  std::ostringstream line;
  line << "| `" << row.name << "` | " << from << " | " << row.mechanism << " | "
       << layer_text(row.layers) << " |";
  return line.str();
}

}  // namespace

TEST_CASE("every probe has a name of its check, and every attempt and layer a probe") {
  std::set<std::string_view> names;
  std::set<ProbeAttempt> attempts = {ProbeAttempt::rows};
  std::set<RowProbe> planted;
  LayerSet looked_at;
  LayerSet tried;
  for (const ProbeRow& row : probe_rows()) {
    INFO(row.name);
    CHECK(names.insert(row.name).second);
    const auto check = isolation_check_names[static_cast<std::size_t>(row.check)];
    CHECK(row.name.starts_with(std::string(check) + "."));
    CHECK(FixedText<48>{}.assign(row.name));
    CHECK_FALSE(row.mechanism.empty());
    CHECK(row.levels != 0);
    if (row.source == ProbeSource::attempt) CHECK(attempts.insert(row.attempt).second);
    if (row.source == ProbeSource::rows) {
      CHECK(planted.insert(row.row).second);
      CHECK(row.levels == level_bit(IsolationLevel::logical));
      CHECK(row.layers.empty());
    }
    LayerSet& layers = row.source == ProbeSource::attempt ? tried : looked_at;
    layers = LayerSet(layers.bits() | row.layers.bits());
  }
  CHECK(attempts.size() == static_cast<std::size_t>(ProbeAttempt::count));
  CHECK(planted.size() == static_cast<std::size_t>(RowProbe::count));
  // Landlock's rules cannot be seen from outside: attempts speak for it.
  CHECK(LayerSet::all().without(looked_at) == [] {
    LayerSet landlock;
    landlock.add(Layer::landlock);
    return landlock;
  }());
  CHECK(tried.has(Layer::landlock));
  CHECK(tried.has(Layer::seccomp));
}

TEST_CASE("one row takes the facts that no other is about") {
  std::size_t rest = 0;
  for (const ProbeRow& row : probe_rows()) {
    if (row.source == ProbeSource::posture && row.facts[0].empty()) ++rest;
  }
  CHECK(rest == 1);
}

TEST_CASE("docs/isolation.md shows the table") {
  const char* const root = std::getenv("TENANTD_SOURCE_ROOT");
  REQUIRE(root != nullptr);
  std::ifstream page(std::string(root) + "/docs/isolation.md");
  std::set<std::string> shown;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("| `")) shown.insert(line);
  }
  std::set<std::string> expected;
  for (const ProbeRow& row : probe_rows()) expected.insert(doc_line(row));
  for (const std::string& line : expected) CHECK_MESSAGE(shown.contains(line), line);
  CHECK(shown.size() == expected.size());
}

TEST_CASE("a tenant of its own process is promised all but what is about a shared one") {
  for (const ProbeRow& row : probe_rows()) {
    INFO(row.name);
    const bool own = is_promised_at(row, level_bit(IsolationLevel::process));
    if (row.name == "database.storage_root" || row.name == "resource.dedicated_cpus" ||
        row.name == "network.interface" || row.name == "network.egress") {
      CHECK(row.levels == level_bit(IsolationLevel::physical));
      continue;
    }
    CHECK(is_promised_at(row, level_bit(IsolationLevel::logical)));
    CHECK(own == is_promised_at(row, level_bit(IsolationLevel::physical)));
    const bool shared = row.source == ProbeSource::rows || row.name == "database.shards" ||
                        row.name == "database.other_shard";
    CHECK(own != shared);
  }
}
