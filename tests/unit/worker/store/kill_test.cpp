// kill -9 in the middle of edits loses nothing that was acknowledged.
//
// `kill_test EDIT_LOOP [ROUNDS]`: starts EDIT_LOOP on a store, reads some acknowledgements, kills
// it, opens the store and compares; the next round goes on with the same store. Exit 0: nothing was
// lost.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>
#include <sstream>
#include <string>

#include "tests/unit/worker/store/store_fixtures.h"

using namespace tenantd;
using namespace tenantd::fixtures;

extern char** environ;

namespace {

struct Acknowledged {
  std::string text;  // "text N" of every utterance
  std::size_t utterances = 0;
};
using Model = std::map<std::string, Acknowledged>;

// Reads until `enough` lines came, then kills, then reads the rest: a line in the pipe was
// acknowledged.
std::optional<std::string> run_and_kill(char* program, std::string database, std::string seed,
                                        std::size_t enough, unsigned spin) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return std::nullopt;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  char* arguments[] = {program, database.data(), seed.data(), nullptr};
  pid_t child = -1;
  const int spawned = ::posix_spawn(&child, program, &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  std::string lines;
  bool killed = false;
  char buffer[4096];
  for (;;) {
    const ssize_t count = spawned == 0 ? ::read(ends[0], buffer, sizeof buffer) : 0;
    if (count <= 0) break;
    lines.append(buffer, static_cast<std::size_t>(count));
    if (killed || static_cast<std::size_t>(std::count(lines.begin(), lines.end(), '\n')) < enough) {
      continue;
    }
    // So that the signal lands at any point of the next edit.
    for (unsigned i = 0; i < spin; ++i) __asm__ volatile("");
    ::kill(child, SIGKILL);
    killed = true;
  }
  ::close(ends[0]);
  int status = 0;
  if (spawned != 0 || ::waitpid(child, &status, 0) != child) return std::nullopt;
  if (!WIFSIGNALED(status)) {
    std::fprintf(stderr, "edit_loop ended by itself: status %d\n", WEXITSTATUS(status));
    return std::nullopt;
  }
  return lines.substr(0, lines.rfind('\n') + 1);
}

std::string last_edited(const std::string& lines, Model& model) {
  std::istringstream in(lines);
  std::string number, id, last;
  std::size_t utterances = 0;
  while (in >> number >> id >> utterances) {
    model[id] = {"text " + number, utterances};
    last = number;
  }
  return last;
}

bool holds(const RouteDefinition& route, const Acknowledged& expected) {
  if (route.utterances.size() != expected.utterances) return false;
  for (const Utterance& utterance : route.utterances) {
    if (utterance.text != expected.text) return false;
  }
  return true;
}

// Each batch raises the stored version by one, so the version tells how many were committed: all
// that were acknowledged, and at most the one whose line the kill prevented. Only that one may
// differ.
bool compare(TenantStore& store, Model& model, std::uint64_t acknowledged, std::uint64_t& version) {
  std::vector<RouteDefinition> routes;
  const TenantBinding tenant(acme());
  const auto loaded = store.load(tenant.context(), [&routes](RouteDefinition route) -> Status {
    routes.push_back(std::move(route));
    return {};
  });
  if (!loaded) {
    std::fprintf(stderr, "load: %s\n", loaded.error().describe().c_str());
    return false;
  }
  const std::uint64_t expected_version = version + acknowledged;
  const std::uint64_t unacknowledged = *loaded - expected_version;
  version = *loaded;
  if (unacknowledged > 1) {
    std::fprintf(stderr, "version %llu, %llu expected\n", static_cast<unsigned long long>(*loaded),
                 static_cast<unsigned long long>(expected_version));
    return false;
  }
  std::map<std::string, const RouteDefinition*> stored;
  for (const RouteDefinition& route : routes) stored[route.id] = &route;
  std::size_t different = 0;
  for (auto& [id, expected] : model) {
    const auto found = stored.find(id);
    const bool same =
        found == stored.end() ? expected.utterances == 0 : holds(*found->second, expected);
    if (same) continue;
    ++different;
    if (different > unacknowledged)
      std::fprintf(stderr, "route %s is not as acknowledged\n", id.c_str());
  }
  for (const auto& [id, route] : stored) {
    if (!model.contains(id)) ++different;
  }
  // The next round starts from what is there.
  model.clear();
  for (const RouteDefinition& route : routes) {
    model[route.id] = {route.utterances.at(0).text, route.utterances.size()};
  }
  return different <= unacknowledged;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const unsigned rounds = argc > 2 ? static_cast<unsigned>(std::stoul(argv[2])) : 20;
  const DataDirectory directory;
  std::mt19937 random(std::random_device{}());
  Model model;
  std::uint64_t version = 0;
  std::size_t acknowledged = 0;
  for (unsigned round = 0; round < rounds; ++round) {
    const auto lines = run_and_kill(argv[1], directory.database(), std::to_string(random()),
                                    1 + random() % 25, static_cast<unsigned>(random() % 2'000'000));
    if (!lines) return 1;
    if (last_edited(*lines, model).empty()) return 1;
    const auto in_round = static_cast<std::size_t>(std::count(lines->begin(), lines->end(), '\n'));
    acknowledged += in_round;
    auto store = open_store(directory);
    if (!store) {
      std::fprintf(stderr, "open: %s\n", store.error().describe().c_str());
      return 1;
    }
    if (!compare(**store, model, in_round, version)) {
      std::fprintf(stderr, "round %u: an acknowledged edit is lost\n", round);
      return 1;
    }
  }
  std::printf("%u kills, %zu acknowledged edits, none lost\n", rounds, acknowledged);
  return 0;
}
