// Edits a store until it is killed and tells of every edit that was acknowledged: the victim of the
// durability test. `edit_loop DATABASE SEED` prints "N ID UTTERANCES\n" per acknowledged batch,
// where UTTERANCES 0 means removed. It goes on from whatever the store holds.
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "tests/unit/worker/router/fixtures.h"
#include "worker/store/route_editor.h"

using namespace tenantd;

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  constexpr std::uint32_t dimension = 64;
  const TenantBinding tenant = fixtures::binding("acme");
  auto store = TenantStore::open(tenant.context().tenant(), argv[1], 0);
  if (!store) return 3;
  auto editor =
      RouteEditor::open(tenant.context(), **store, fixtures::settings(dimension, "potion"));
  if (!editor) return 4;
  std::mt19937 random(static_cast<unsigned>(std::stoul(argv[2])));
  std::vector<std::size_t> held(20);  // utterances of route 100 + i, as far as this run knows
  for (unsigned n = 0;; ++n) {
    const std::size_t which = random() % held.size();
    RouteEdit edit;
    edit.route.id = std::to_string(100 + which);
    edit.kind = held[which] > 0 && random() % 4 == 0 ? RouteEditKind::remove : RouteEditKind::put;
    if (edit.kind == RouteEditKind::put) {
      const std::size_t count = 1 + random() % 6;
      for (std::size_t i = 0; i < count; ++i) {
        edit.route.utterances.push_back(
            {"text " + std::to_string(n), fixtures::random_vector(random, dimension), ""});
      }
    }
    if (!editor->apply(tenant.context(), std::span(&edit, 1))) return 5;
    held[which] = edit.route.utterances.size();
    const std::string line =
        std::to_string(n) + ' ' + edit.route.id + ' ' + std::to_string(held[which]) + '\n';
    if (::write(STDOUT_FILENO, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
      return 6;
    }
  }
}
