// The man page and the bash completion name every command and option that the program has.
#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "client/tenantctl/commands/application.h"

using namespace tenantd;

namespace {

std::string source_text(const std::string& path) {
  const char* const root = std::getenv("TENANTD_SOURCE");
  REQUIRE_MESSAGE(root != nullptr, "TENANTD_SOURCE does not name the source tree");
  std::ifstream file(std::string(root) + "/" + path);
  std::stringstream text;
  text << file.rdbuf();
  REQUIRE_FALSE(text.str().empty());
  return text.str();
}

std::string without_backslashes(std::string text) {
  std::erase(text, '\\');
  return text;
}

// Whether `word` stands there and is not the beginning or end of a longer one.
bool names(const std::string& text, const std::string& word) {
  const auto is_part = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-';
  };
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    const bool starts = at == 0 || !is_part(text[at - 1]);
    const std::size_t end = at + word.size();
    if (starts && (end == text.size() || !is_part(text[end]))) return true;
  }
  return false;
}

void check_named(const CLI::App& app, const std::string& path, const std::string& man,
                 const std::string& completion, int& seen) {
  for (const CLI::Option* const option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      CHECK_MESSAGE(names(man, "--" + name), "man page lacks --", name, " of ", path);
      CHECK_MESSAGE(names(completion, "--" + name), "completion lacks --", name, " of ", path);
      ++seen;
    }
  }
  for (const CLI::App* const command : app.get_subcommands([](const CLI::App*) { return true; })) {
    const std::string name = path.empty() ? command->get_name() : path + " " + command->get_name();
    CHECK_MESSAGE(names(man, name), "man page lacks ", name);
    CHECK_MESSAGE(names(completion, command->get_name()), "completion lacks ", name);
    check_named(*command, name, man, completion, seen);
    ++seen;
  }
}

}  // namespace

TEST_CASE("man page and completion are complete") {
  Context context;
  CLI::App app;
  build_application(app, context);
  int seen = 0;
  check_named(app, "", without_backslashes(source_text("docs/man/tenantctl.1")),
              source_text("client/tenantctl/tenantctl.bash"), seen);
  CHECK(seen > 40);  // the walk did find the commands
}

TEST_CASE("wrong command lines are usage errors") {
  const auto run = [](std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "tenantctl");
    return run_tenantctl(static_cast<int>(arguments.size()), arguments.data());
  };
  CHECK(run({}) == 2);
  CHECK(run({"dance"}) == 2);
  CHECK(run({"tenant", "dance"}) == 2);
  CHECK(run({"query", "acme"}) == 2);
  CHECK(run({"status", "--wrong"}) == 2);
  CHECK(run({"--transport", "pigeon", "status"}) == 2);
  CHECK(run({"--timeout", "5", "status"}) == 2);
  CHECK(run({"tenant", "logs", "acme", "-n", "1000"}) == 2);
  CHECK(run({"routes", "add", "acme", "r"}) == 2);
  CHECK(run({"routes", "add", "acme", "r", "--utterance", "x", "--threshold", "2"}) == 2);
  CHECK(run({"routes", "add", "acme", "r", "--never", "x"}) == 2);
  CHECK(run({"routes", "add", "acme", "r", "--always", "x", "--aggregation", "auto"}) == 2);
  CHECK(run({"query", "acme", "x", "--limit", "0"}) == 2);
  CHECK(run({"routes", "import", "acme", "-", "--dimension", "3"}) == 2);
  CHECK(run({"--help"}) == 0);
  CHECK(run({"routes", "add", "--help"}) == 0);
  CHECK(run({"--version"}) == 0);
}

TEST_CASE("errors end with their exit status") {
  const auto run = [](std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(),
                     {"tenantctl", "--socket", "/nonexistent/tenantd.sock", "--timeout", "50ms"});
    return run_tenantctl(static_cast<int>(arguments.size()), arguments.data());
  };
  CHECK(run({"status"}) == 5);
  CHECK(run({"--json", "query", "acme", "x"}) == 5);
  CHECK(run({"query", "NOT AN ID", "x"}) == 1);
  CHECK(run({"routes", "import", "acme", "/nonexistent.jsonl"}) == 3);
  CHECK(run({"query", "acme", "--embedding-file", "/nonexistent.f32"}) == 3);
}
