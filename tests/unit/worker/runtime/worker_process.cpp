#include "tests/unit/worker/runtime/worker_process.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "shared/base/clock.h"
#include "shared/os/process.h"
#include "shared/os/sealed_memfd.h"
#include "shared/os/socket.h"

namespace tenantd::test {

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "tenantd-test-XXXXXX").string();
  REQUIRE(::mkdtemp(pattern.data()) != nullptr);
  path_ = pattern;
}
TemporaryDirectory::~TemporaryDirectory() { std::filesystem::remove_all(path_); }

TenantSettings test_settings() {
  TenantSettings settings;
  (void)settings.tenant_id.assign("acme");
  (void)settings.router.encoder.assign("hash");
  (void)settings.router.fallback_route.assign("human");
  settings.router.dimension = 64;
  settings.router.threshold = 0.0F;
  return settings;
}

LaunchSpec test_spec(const TenantSettings& settings) {
  LaunchSpec spec;
  spec.generation = 7;
  spec.tenant = settings;
  return spec;
}

bool wait_readable(int fd, int timeout_ms) {
  pollfd ready{fd, POLLIN, 0};
  return ::poll(&ready, 1, timeout_ms) == 1;
}

void LinkEnd::send_raw(std::span<const std::byte> bytes, int descriptor) {
  REQUIRE(send_message(socket_.get(), bytes, descriptor).value() == IoOutcome::done);
}

bool LinkEnd::receive_raw() {
  packet_.resize(8192);
  if (!wait_readable(socket_.get())) return false;
  const auto received = receive_message(socket_.get(), packet_, false).value();
  if (received.outcome != IoOutcome::done) return false;
  packet_.resize(received.size);
  return true;
}

WorkerProcess::WorkerProcess(const std::string& directory, const LaunchSpec& spec,
                             const std::vector<std::string>& flags)
    : log_path_(directory + "/worker.log") {
  auto [ours, theirs] = make_socket_pair(SocketKind::seqpacket).value();
  link = LinkEnd(std::move(ours));
  const UniqueFd record = seal_record("spec", spec).value();
  const UniqueFd log_file(
      ::open(log_path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  REQUIRE(log_file);
  const std::string link_path = directory + "/link.sock";
  std::vector<const char*> arguments = {TENANTD_WORKER, "--data", directory.c_str(), "--link",
                                        link_path.c_str()};
  for (const std::string& flag : flags) arguments.push_back(flag.c_str());
  arguments.push_back(nullptr);
  pid_ = ::fork();
  REQUIRE(pid_ >= 0);
  if (pid_ == 0) {
    (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int high_link = ::fcntl(theirs.get(), F_DUPFD, 100);
    const int high_record = ::fcntl(record.get(), F_DUPFD, 100);
    const int high_log = ::fcntl(log_file.get(), F_DUPFD, 100);
    (void)::dup2(high_log, 1);
    (void)::dup2(high_log, 2);
    (void)::dup2(high_link, link_fd);
    (void)::dup2(high_record, launch_spec_fd);
    (void)::close_range(5, ~0U, 0);
    ::execv(TENANTD_WORKER, const_cast<char* const*>(arguments.data()));
    ::_exit(99);
  }
  pidfd_ = open_pidfd(pid_).value();
}

WorkerProcess::~WorkerProcess() {
  if (pid_ <= 0) return;
  (void)::kill(pid_, SIGKILL);
  (void)::waitpid(pid_, nullptr, 0);
}

UniqueFd WorkerProcess::attach(const std::string& tenant) {
  auto [client, worker] = make_socket_pair(SocketKind::stream).value();
  auto message = make_link_message<Attach>(7);
  message.attachment_id = 1;
  message.protocol_version = 1;
  REQUIRE(message.tenant_id.assign(tenant));
  link.send(message, worker.get());
  return std::move(client);
}

WorkerStatus WorkerProcess::status() {
  link.send(make_link_message<StatusRequest>(7));
  return link.await<WorkerStatus>().value();
}

int WorkerProcess::wait_exit() {
  if (!wait_readable(pidfd_.get())) return -2;
  int status = 0;
  REQUIRE(::waitpid(pid_, &status, 0) == pid_);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void WorkerProcess::signal(int number) const { REQUIRE(::kill(pid_, number) == 0); }

std::size_t WorkerProcess::open_descriptors() const {
  std::size_t count = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid_) + "/fd")) {
    (void)entry;
    ++count;
  }
  return count;
}

std::size_t WorkerProcess::threads() const {
  std::size_t count = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid_) + "/task")) {
    (void)entry;
    ++count;
  }
  return count;
}

std::uint64_t WorkerProcess::smaps_kib(const std::string& field) const {
  std::ifstream file("/proc/" + std::to_string(pid_) + "/smaps_rollup");
  std::string word;
  while (file >> word) {
    std::uint64_t value = 0;
    if (word == field + ":" && file >> value) return value;
  }
  FAIL("no field " << field);
  return 0;
}

std::uint64_t WorkerProcess::cpu_ms() const {
  std::ifstream file("/proc/" + std::to_string(pid_) + "/stat");
  std::string word;
  std::uint64_t user = 0;
  std::uint64_t system = 0;
  for (int i = 0; i < 13; ++i) file >> word;  // the program's name has no blank
  file >> user >> system;
  REQUIRE(file.good());
  return (user + system) * 1000 / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
}

std::string WorkerProcess::log() const {
  std::ifstream file(log_path_);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

RawClient::RawClient(UniqueFd socket) : socket_(std::move(socket)) {
  const auto frame = receive_from_socket(nullptr);
  REQUIRE(frame);
  REQUIRE(frame->type() == MessageType::welcome);
  welcome = frame->as<Welcome>();
}

bool RawClient::choose(Transport transport) {
  const auto choice = frame_bytes(0, ChooseTransport{transport});
  std::optional<RingMemory> own;
  if (transport == Transport::ring) {
    own.emplace(RingMemory::create(welcome.ring_bytes).value());
    const int memory = own->fd();
    send_bytes_with(choice, std::span(&memory, 1));
  } else {
    send_bytes(choice);
  }
  std::vector<UniqueFd> descriptors;
  const auto ready = receive_from_socket(&descriptors);
  if (!ready || ready->type() != MessageType::ring_ready) return false;
  if (transport == Transport::stream) return descriptors.empty();
  if (descriptors.size() != 2) return false;
  ring_.emplace(
      ClientRing::open(std::move(*own), std::move(descriptors[0]), std::move(descriptors[1]))
          .value());
  return true;
}

void RawClient::send_bytes(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::size_t sent = send_some(bytes);
    bytes = bytes.subspan(sent);
    if (sent > 0) continue;
    pollfd ready{socket_.get(), POLLOUT, 0};
    REQUIRE(::poll(&ready, 1, patience_ms) == 1);
    if ((ready.revents & (POLLERR | POLLHUP)) != 0) return;  // the worker dropped us
  }
}

std::size_t RawClient::send_some(std::span<const std::byte> bytes) {
  const ssize_t sent =
      ::send(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  return sent < 0 ? 0 : static_cast<std::size_t>(sent);
}

void RawClient::send_bytes_with(std::span<const std::byte> bytes,
                                std::span<const int> descriptors) {
  iovec vector{const_cast<std::byte*>(bytes.data()), bytes.size()};
  std::vector<std::byte> control(CMSG_SPACE(descriptors.size_bytes()));
  msghdr header{};
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  cmsghdr* const item = CMSG_FIRSTHDR(&header);
  item->cmsg_level = SOL_SOCKET;
  item->cmsg_type = SCM_RIGHTS;
  item->cmsg_len = CMSG_LEN(descriptors.size_bytes());
  std::memcpy(CMSG_DATA(item), descriptors.data(), descriptors.size_bytes());
  REQUIRE(::sendmsg(socket_.get(), &header, MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
}

bool RawClient::read_exactly(std::span<std::byte> out, std::vector<UniqueFd>* descriptors) {
  while (!out.empty()) {
    if (!wait_readable(socket_.get())) return false;
    auto received = receive_bytes(socket_.get(), out, descriptors != nullptr);
    if (!received || received->outcome == IoOutcome::closed) return false;
    for (std::size_t i = 0; i < received->descriptor_count; ++i) {
      descriptors->push_back(std::move(received->descriptors[i]));
    }
    out = out.subspan(received->size);
  }
  return true;
}

std::optional<Frame> RawClient::receive_from_socket(std::vector<UniqueFd>* descriptors) {
  Frame frame;
  if (!read_exactly(std::as_writable_bytes(std::span(&frame.header, 1)), descriptors)) {
    return std::nullopt;
  }
  frame.payload.resize(frame.header.size);
  if (!read_exactly(frame.payload, descriptors)) return std::nullopt;
  return frame;
}

void RawClient::push(std::span<const std::byte> frame) {
  FrameHeader header;
  std::memcpy(&header, frame.data(), sizeof header);
  const std::uint64_t until = monotonic_ns() + std::uint64_t{patience_ms} * 1'000'000;
  while (ring_->try_push(header, frame.subspan(sizeof header)).value() == PushOutcome::full) {
    ring_->publish();
    ring_->wait(until, true);
    REQUIRE(monotonic_ns() < until);
  }
  ring_->publish();
}

std::optional<Frame> RawClient::receive() {
  if (!ring_) return receive_from_socket(nullptr);
  const std::uint64_t until = monotonic_ns() + std::uint64_t{patience_ms} * 1'000'000;
  for (;;) {
    const auto popped = ring_->pop(buffer_);
    REQUIRE(popped);
    if (*popped) {
      const Frame frame{(*popped)->header, {(*popped)->payload.begin(), (*popped)->payload.end()}};
      ring_->publish();
      return frame;
    }
    if (monotonic_ns() > until) return std::nullopt;
    pollfd gone{socket_.get(), POLLIN, 0};
    if (::poll(&gone, 1, 0) == 1 && !(*ring_->pop(buffer_))) return std::nullopt;
    ring_->wait(monotonic_ns() + 5'000'000);
  }
}

bool RawClient::at_eof(int timeout_ms) {
  std::array<std::byte, 4096> scrap;
  while (wait_readable(socket_.get(), timeout_ms)) {
    const auto received = receive_bytes(socket_.get(), scrap);
    if (!received || received->outcome == IoOutcome::closed) return true;
  }
  return false;
}

RoutesEdit put_route(const std::string& id, const std::vector<std::string>& texts) {
  RoutesEdit edit;
  RouteEditMessage& put = edit.edits.emplace_back();
  put.route.id = id;
  for (const std::string& text : texts) put.route.utterances.push_back({text, {}, {}});
  return edit;
}

RouteRequest ask(std::string_view text) {
  RouteRequest request;
  request.text = text;
  return request;
}

}  // namespace tenantd::test
