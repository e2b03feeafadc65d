// Command: config check. The checker is tenantd itself, so that there is one set of rules.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "client/tenantctl/commands/context.h"
#include "shared/os/fd.h"

namespace tenantd {
namespace {

constexpr std::size_t max_output_bytes = 16U << 20U;

// Beside tenantctl, in its installation's sbin and libexec, else in PATH.
std::string find_tenantd() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return "tenantd";
  const auto here = self.parent_path();
  for (const auto& place : {here / "tenantd", here / "../sbin/tenantd", here / "../bin/tenantd",
                            here / "../libexec/tenantd/tenantd"}) {
    if (::access(place.c_str(), X_OK) == 0) return place.lexically_normal().string();
  }
  return "tenantd";
}

std::string read_all(int fd) {
  std::string text;
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return text;
    if (text.size() < max_output_bytes) text.append(buffer.data(), static_cast<std::size_t>(n));
  }
}

// Runs the checker; its output goes to `captured` if that is given, else to ours.
Result<int> run_checker(std::vector<std::string> arguments, std::string* captured) {
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno("pipe2", errno);
  UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  posix_spawn_file_actions_t actions;
  (void)::posix_spawn_file_actions_init(&actions);
  if (captured != nullptr) {
    (void)::posix_spawn_file_actions_adddup2(&actions, writer.get(), STDOUT_FILENO);
    (void)::posix_spawn_file_actions_adddup2(&actions, writer.get(), STDERR_FILENO);
  }
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  pid_t pid = -1;
  const int failed =
      ::posix_spawnp(&pid, pointers[0], &actions, nullptr, pointers.data(), ::environ);
  (void)::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) {
    auto error = fail_errno("cannot run " + arguments[0], failed);
    error.value().hint = "tenantd must be beside tenantctl or in PATH";
    return error;
  }
  writer.reset();
  if (captured != nullptr) *captured = read_all(reader.get());
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

Result<int> check_config(const Context& context, const std::string& config,
                         const std::string& tenants_dir) {
  std::vector<std::string> arguments{find_tenantd(), "--check-config"};
  if (!config.empty()) arguments.insert(arguments.end(), {"--config", config});
  if (!tenants_dir.empty()) arguments.insert(arguments.end(), {"--tenants-dir", tenants_dir});
  if (!context.options.json) return run_checker(std::move(arguments), nullptr);
  std::string output;
  const auto exit_status = run_checker(std::move(arguments), &output);
  if (!exit_status) return exit_status;
  Json json;
  json["valid"] = *exit_status == 0;
  json["output"] = output;
  if (const auto printed = context.print(json_text(json)); !printed) return printed;
  return exit_status;
}

}  // namespace

void add_config_commands(CLI::App& app, Context& context) {
  struct Options {
    std::string config;
    std::string tenants_dir;
  };
  CLI::App* const config = app.add_subcommand("config", "Work with configuration files");
  config->require_subcommand(1);
  auto options = std::make_shared<Options>();
  CLI::App* const check =
      config->add_subcommand("check", "Validate tenantd.toml and all tenant files");
  check->add_option("--config", options->config, "The daemon's file (/etc/tenantd/tenantd.toml)");
  check->add_option("--tenants-dir", options->tenants_dir, "Where the tenant files are");
  check->callback([&context, options] {
    context.action = [&context, options] {
      return check_config(context, options->config, options->tenants_dir);
    };
  });
}

}  // namespace tenantd
