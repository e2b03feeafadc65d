// Routes rows of a raw little-endian float32 file through the client library and prints one route
// id a line.
//
// usage: route_rows SOCKET TENANT FILE.f32 DIMENSION FIRST_ROW ROWS [TEXTS]
// TEXTS: a file with one text a line, row 0 first; then each query carries its text as well.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "client/include/tenantd/client.h"

namespace {

std::vector<std::string> read_lines(const char* path) {
  std::vector<std::string> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7 && argc != 8) return 2;
  tenantd::ConnectOptions options;
  options.socket_path = argv[1];
  auto client = tenantd::Client::open(argv[2], options);
  if (!client) {
    std::fprintf(stderr, "%s\n", client.error().describe().c_str());
    return 1;
  }
  const auto dimension = static_cast<std::size_t>(std::strtoul(argv[4], nullptr, 10));
  const auto first = static_cast<std::size_t>(std::strtoul(argv[5], nullptr, 10));
  const auto rows = static_cast<std::size_t>(std::strtoul(argv[6], nullptr, 10));
  const auto texts = argc == 8 ? read_lines(argv[7]) : std::vector<std::string>{};
  std::ifstream file(argv[3], std::ios::binary);
  file.seekg(static_cast<std::streamoff>(first * dimension * sizeof(float)));
  std::vector<float> vector(dimension);
  for (std::size_t row = first; row < first + rows; ++row) {
    if (!file.read(reinterpret_cast<char*>(vector.data()),
                   static_cast<std::streamsize>(dimension * sizeof(float)))) {
      std::fprintf(stderr, "the file ends before row %zu\n", row);
      return 1;
    }
    tenantd::RouteRequest request;
    request.embedding = vector;
    if (row < texts.size()) request.text = texts[row];
    const auto reply = client->route(request);
    if (!reply) {
      std::fprintf(stderr, "row %zu: %s\n", row, reply.error().describe().c_str());
      return 1;
    }
    std::puts(reply->best.route.c_str());
  }
  return 0;
}
