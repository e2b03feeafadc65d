// Routes one sentence: route TENANT TEXT [SOCKET]
#include <tenantd/client.h>

#include <cstdio>

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s TENANT TEXT [SOCKET]\n", argv[0]);
    return 2;
  }
  tenantd::ConnectOptions options;
  if (argc > 3) options.socket_path = argv[3];

  auto client = tenantd::Client::open(argv[1], options);
  if (!client) {
    std::fprintf(stderr, "%s\n", client.error().describe().c_str());
    return tenantd::exit_code_for(client.error().code);
  }
  auto reply = client->route_text(argv[2]);
  if (!reply) {
    std::fprintf(stderr, "%s\n", reply.error().describe().c_str());
    return tenantd::exit_code_for(reply.error().code);
  }
  std::printf("%s %.3f%s\n", reply->best.route.c_str(), reply->best.confidence,
              reply->is_fallback ? " (fallback)" : "");
  for (const auto& other : reply->alternatives) {
    std::printf("  %s %.3f\n", other.route.c_str(), other.confidence);
  }
  return 0;
}
