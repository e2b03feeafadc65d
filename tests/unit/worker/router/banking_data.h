// Reads the Banking77 sample beside the source tree, where it is present.
#pragma once

#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "worker/router/types.h"

namespace tenantd::fixtures {

struct LabelledQuery {
  std::string route;
  std::string text;
  std::vector<float> embedding;
};

struct BankingData {
  std::vector<RouteDefinition> routes;  // by id
  std::vector<LabelledQuery> queries;
};

// `base`.tsv with `base`.d384.f32. Empty where they are not: the caller skips, saying so.
inline BankingData read_labelled_data(const std::string& base) {
  constexpr std::size_t dimension = 384;
  BankingData data;
  std::FILE* lines = std::fopen((base + ".tsv").c_str(), "re");
  std::FILE* vectors = std::fopen((base + ".d384.f32").c_str(), "rbe");
  std::map<std::string, RouteDefinition> routes;
  std::array<char, 4096> line{};
  if (lines != nullptr && vectors != nullptr && std::fgets(line.data(), line.size(), lines)) {
    while (std::fgets(line.data(), line.size(), lines) != nullptr) {
      std::string text = line.data();
      while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
      std::array<std::string, 4> columns;
      for (std::size_t c = 0, start = 0; c < 4; ++c) {
        const std::size_t tab = c < 3 ? text.find('\t', start) : text.size();
        columns[c] = text.substr(start, tab - start);
        start = tab + 1;
      }
      std::vector<float> vector(dimension);
      if (std::fread(vector.data(), sizeof(float), dimension, vectors) != dimension) break;
      if (columns[1] == "query") {
        data.queries.push_back({columns[2], columns[3], std::move(vector)});
      } else if (columns[1] == "route") {
        RouteDefinition& route = routes[columns[2]];
        route.id = columns[2];
        route.utterances.push_back({columns[3], std::move(vector), "potion"});
      }
    }
  }
  if (lines != nullptr) std::fclose(lines);
  if (vectors != nullptr) std::fclose(vectors);
  for (auto& [id, route] : routes) data.routes.push_back(std::move(route));
  return data;
}

inline BankingData read_banking_data(const std::string& directory) {
  return read_labelled_data(directory + "/banking77_dev_potion");
}

}  // namespace tenantd::fixtures
