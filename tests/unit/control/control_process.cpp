#include "tests/unit/control/control_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "shared/os/process.h"
#include "shared/os/sealed_memfd.h"
#include "shared/os/socket.h"

namespace tenantd::test {
namespace {

void wait_readable(int fd, const char* what) {
  pollfd poll_fd{fd, POLLIN, 0};
  if (::poll(&poll_fd, 1, patience_ms) != 1) throw std::runtime_error(what);
}

// False: the end came first.
bool read_exactly(int fd, void* out, std::size_t size) {
  auto* at = static_cast<char*>(out);
  while (size > 0) {
    wait_readable(fd, "no frame came");
    const ssize_t n = ::recv(fd, at, size, 0);
    if (n <= 0) return false;
    at += n;
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

[[noreturn]] void exec_in_child(const char* program, const std::vector<std::string>& options,
                                int link, int spec) {
  (void)::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  // Above the fixed numbers first, so that neither overwrites the other.
  const int high_link = ::fcntl(link, F_DUPFD, 10);
  const int high_spec = ::fcntl(spec, F_DUPFD, 10);
  if (::dup2(high_link, link_fd) < 0 || ::dup2(high_spec, launch_spec_fd) < 0) ::_exit(127);
  (void)::close(high_link);
  (void)::close(high_spec);
  std::vector<char*> arguments{const_cast<char*>(program)};
  for (const std::string& option : options) arguments.push_back(const_cast<char*>(option.c_str()));
  arguments.push_back(nullptr);
  (void)::execv(program, arguments.data());
  ::_exit(127);
}

}  // namespace

void Operator::send_bytes(std::span<const std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) {
      pollfd poll_fd{fd(), POLLOUT, 0};
      if (::poll(&poll_fd, 1, patience_ms) != 1) throw std::runtime_error("nobody reads");
      continue;
    }
    if (n < 0) return;  // closed: the test looks at what it receives
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

void Operator::send_header(std::uint32_t size, std::uint16_t type, std::uint64_t request_id,
                           std::uint16_t flags, std::uint64_t deadline_ns) const {
  const FrameHeader header{size, type, flags, request_id, deadline_ns};
  send_bytes(std::as_bytes(std::span(&header, 1)));
}

std::optional<Frame> Operator::receive() const {
  Frame frame;
  if (!read_exactly(fd(), &frame.header, sizeof frame.header)) return std::nullopt;
  if (frame.header.size > max_frame_bytes) throw std::runtime_error("an oversized frame");
  frame.payload.resize(frame.header.size);
  if (!read_exactly(fd(), frame.payload.data(), frame.payload.size())) return std::nullopt;
  return frame;
}

LaunchSpec ControlProcess::control_spec() {
  LaunchSpec spec;
  spec.kind = ProgramKind::control;
  spec.generation = 7;
  return spec;
}

ControlProcess::ControlProcess(std::string data_directory, std::vector<std::string> options,
                               bool await_ready, LaunchSpec spec) {
  const char* const program = std::getenv("TENANTD_CONTROL");
  if (program == nullptr) throw std::runtime_error("TENANTD_CONTROL does not name the program");
  options.insert(options.end(), {"--data", std::move(data_directory)});
  auto pair = make_socket_pair(SocketKind::seqpacket).value();
  const UniqueFd sealed = seal_record("launch-spec", spec).value();
  // The sanitizers' leak check clones, which the second stage forbids.
  (void)::setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
  pid_ = ::fork();
  if (pid_ == 0) exec_in_child(program, options, pair.second.get(), sealed.get());
  link_ = std::move(pair.first);
  if (await_ready) (void)expect<Ready>();
}

ControlProcess::~ControlProcess() {
  if (pid_ > 0) kill_now();
}

void ControlProcess::send_packet(std::span<const std::byte> packet, int descriptor) {
  for (;;) {
    const auto sent = send_message(link_.get(), packet, descriptor);
    if (!sent || *sent == IoOutcome::closed) throw std::runtime_error("control has gone");
    if (*sent == IoOutcome::done) return;
    pollfd poll_fd{link_.get(), POLLOUT, 0};
    if (::poll(&poll_fd, 1, patience_ms) != 1) throw std::runtime_error("control does not read");
  }
}

std::vector<std::byte> ControlProcess::receive_packet() {
  wait_readable(link_.get(), "no link message came");
  std::vector<std::byte> packet(8192);
  const auto received = receive_message(link_.get(), packet, false).value();
  if (received.outcome == IoOutcome::closed) throw std::runtime_error("control closed its link");
  packet.resize(received.size);
  return packet;
}

Operator ControlProcess::attach_raw(std::uint32_t uid, std::uint32_t is_operator) {
  auto pair = make_socket_pair(SocketKind::stream).value();
  auto attach = make_link_message<Attach>(7);
  attach.peer_uid = uid;
  attach.protocol_version = 1;
  attach.is_operator = is_operator;
  send(attach, pair.second.get());
  return Operator(std::move(pair.first));
}

Operator ControlProcess::attach() {
  Operator peer = attach_raw();
  (void)peer.expect<Welcome>(0);
  return peer;
}

void ControlProcess::send_event(EventType type, std::string_view tenant, std::string_view detail) {
  auto event = make_link_message<Event>(7);
  event.wall_ms = 1'700'000'000'000;
  event.type = type;
  event.pid = 42;
  event.worker_generation = 3;
  event.tenant_id.assign_truncated(tenant);
  event.detail.assign_truncated(detail);
  send(event);
}

void ControlProcess::send_log(std::string_view tenant, std::string_view text) {
  auto line = make_link_message<LogLine>(7);
  line.wall_ms = 1'700'000'000'000;
  line.worker_generation = 3;
  line.tenant_id.assign_truncated(tenant);
  line.text.assign_truncated(text);
  send(line);
}

void ControlProcess::finish(const Command& command, ErrorCode error, std::string_view message,
                            bool more) {
  auto done = make_link_message<CommandDone>(7);
  done.command_id = command.command_id;
  done.error_code = static_cast<std::uint32_t>(error);
  done.more = more ? 1 : 0;
  done.message.assign_truncated(message);
  send(done);
}

void ControlProcess::kill_now() {
  (void)::kill(pid_, SIGKILL);
  (void)wait_exit();
}

void ControlProcess::terminate() const { (void)::kill(pid_, SIGTERM); }

int ControlProcess::wait_exit() {
  const UniqueFd pidfd = open_pidfd(pid_).value();
  wait_readable(pidfd.get(), "control does not end");
  int status = 0;
  (void)::waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

bool ControlProcess::alive() {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == 0;
}

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "tnd-control-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
  path_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace tenantd::test
