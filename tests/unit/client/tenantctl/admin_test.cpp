// tenantctl, the client library and the real tenantd-control together; the test is the supervisor.
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <nlohmann/json.hpp>
#include <thread>

#include "shared/os/socket.h"
#include "shared/protocol/hello.h"
#include "tests/unit/control/control_process.h"

using namespace tenantd;
using namespace tenantd::test;

namespace {

struct Output {
  int exit_status = -1;
  std::string out;
};

Output run_program(const std::string& command) {
  Output output;
  FILE* const pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::array<char, 4096> buffer{};
  for (std::size_t n = 0; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    output.out.append(buffer.data(), n);
  }
  output.exit_status = WEXITSTATUS(::pclose(pipe));
  return output;
}

// Accepts as the supervisor would and hands connections to control; answers its commands.
class Host {
 public:
  Host() : control_(data_.path()) {
    listener_ = listen_unix(socket_path(), SocketKind::stream, 16, 0600).value();
  }
  [[nodiscard]] std::string socket_path() const { return data_.path() + "/tenantd.sock"; }
  ControlProcess& control() { return control_; }

  // Runs tenantctl; `commands` are expected of control and answered by `answer`.
  template <class Answer>
  Output run(const std::string& arguments, int commands, Answer answer) {
    const char* const program = std::getenv("TENANTD_TENANTCTL");
    REQUIRE(program != nullptr);
    const std::string command =
        std::string(program) + " --socket " + socket_path() + " " + arguments + " 2>&1";
    Output output;
    std::thread tenantctl([&output, &command] { output = run_program(command); });
    hand_over();
    for (int i = 0; i < commands; ++i) answer(control_.expect<Command>());
    tenantctl.join();
    return output;
  }

 private:
  void hand_over() {
    pollfd ready{listener_.get(), POLLIN, 0};
    if (::poll(&ready, 1, patience_ms) != 1) throw std::runtime_error("tenantctl does not come");
    const UniqueFd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    Hello hello;
    if (::recv(peer.get(), &hello, sizeof hello, MSG_WAITALL) != sizeof hello ||
        hello.magic != Hello::magic_value || hello.target != HelloTarget::control) {
      throw std::runtime_error("no hello for control");
    }
    auto attach = make_link_message<Attach>(7);
    attach.protocol_version = 1;
    attach.is_operator = 1;
    control_.send(attach, peer.get());
  }
  TemporaryDirectory data_;
  ControlProcess control_;
  UniqueFd listener_;
};

}  // namespace

TEST_CASE("status goes through the library, control and the supervisor's records") {
  Host host;
  const auto answer = [&host](const Command& command) {
    if (command.verb == CommandVerb::list_tenants && command.tenant_id.view().empty()) {
      auto record = make_link_message<TenantRecord>(7);
      record.command_id = command.command_id;
      record.tenant_id.assign_truncated("acme");
      record.state = TenantState::running;
      record.pid = 4711;
      host.control().send(record);
      host.control().finish(command, ErrorCode{}, "", true);
    } else {
      host.control().finish(command);
    }
  };
  const Output table = host.run("status", 3, answer);
  CHECK(table.exit_status == 0);
  CHECK(table.out.find("acme") != std::string::npos);
  CHECK(table.out.find("4711") != std::string::npos);
  const Output json = host.run("--json status", 3, answer);
  const auto parsed = nlohmann::json::parse(json.out);
  CHECK(parsed["tenants"][0]["id"] == "acme");
  CHECK(parsed["daemon"]["tenants"] == 0);
}

TEST_CASE("errors come through with their exit status and as an object") {
  Host host;
  const Output missing =
      host.run("--json tenant status nobody", 2, [&host](const Command& command) {
        const bool one = command.verb == CommandVerb::show_tenant;
        host.control().finish(command, one ? ErrorCode::not_found : ErrorCode{}, "no such tenant");
      });
  CHECK(missing.exit_status == 3);
  const auto error = nlohmann::json::parse(missing.out);
  CHECK(error["code"] == "not_found");
  CHECK(error["tenant"] == "nobody");
}

TEST_CASE("logs and events are printed without their escapes") {
  Host host;
  host.control().send_log("acme", "hi \033[31mred");
  host.control().send_event(EventType::worker_died, "acme", "signal 9");
  const auto none = [](const Command&) {};
  const Output logs = host.run("tenant logs acme", 0, none);
  CHECK(logs.exit_status == 0);
  CHECK(logs.out.find("hi \\x1b[31mred") != std::string::npos);
  const Output events = host.run("--json tenant events acme", 0, none);
  CHECK(nlohmann::json::parse(events.out)["events"][0]["event"] == "worker_died");
}

TEST_CASE("restart and reload say what the supervisor said") {
  Host host;
  const auto done = [&host](const Command& command) {
    host.control().finish(command, ErrorCode{}, "as you wish");
  };
  CHECK(host.run("tenant restart acme", 1, done).out == "as you wish\n");
  CHECK(host.run("reload --confirm-removal", 1,
                 [&host](const Command& command) {
                   CHECK(command.verb == CommandVerb::confirm_removal);
                   host.control().finish(command);
                 })
            .exit_status == 0);
}
