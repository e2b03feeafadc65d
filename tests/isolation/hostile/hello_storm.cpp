// Connections to a supervisor's socket as a user of one's choice: a storm of them, or an innocent
// client that measures.
//
// usage: hello_storm SOCKET MODE UID TENANT SECONDS PER_SECOND
// MODE: innocent   a hello, waits for the first frame, closes; prints each latency in microseconds
//       hello      the same without waiting      half    connects and says nothing
//       slow       one byte of a hello a turn    close   connects and closes
//       garbage    256 bytes of nothing          fds     a hello with 200 descriptors
//       surplus    a hello and a byte more       mute    a hello, then shuts both directions
// Prints "connected N refused N welcomed N failed N" at the end. As root it becomes UID first.
#include <grp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/clock.h"
#include "shared/os/fd.h"
#include "shared/protocol/frame.h"
#include "shared/protocol/hello.h"
#include "shared/protocol/messages.h"

namespace {

using namespace tenantd;

constexpr std::size_t max_held = 2000;

struct Plan {
  std::string path;
  std::string_view mode;
  Hello hello;
  std::uint64_t seconds = 0;
  std::uint64_t per_second = 0;
};

struct Counts {
  unsigned long connected = 0;
  unsigned long refused = 0;
  unsigned long welcomed = 0;
  unsigned long failed = 0;  // to connect, or ended without a frame
};

struct Held {
  UniqueFd socket;
  std::size_t said = 0;
};

UniqueFd connect_to(const std::string& path, bool blocking) {
  UniqueFd socket(
      ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (blocking ? 0 : SOCK_NONBLOCK), 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof address.sun_path - 1));
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    socket.reset();
  }
  return socket;
}

void say(int socket, const void* bytes, std::size_t size) {
  (void)::send(socket, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void say_with_descriptors(int socket, const Hello& hello) {
  static constexpr std::size_t count = 200;
  alignas(cmsghdr) static std::array<std::byte, CMSG_SPACE(count * sizeof(int))> control{};
  iovec vector{const_cast<Hello*>(&hello), sizeof hello};
  msghdr header{};
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  cmsghdr* const rights = CMSG_FIRSTHDR(&header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(count * sizeof(int));
  const std::vector<int> same(count, STDOUT_FILENO);
  std::memcpy(CMSG_DATA(rights), same.data(), count * sizeof(int));
  (void)::sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
}

// What the first frame says, if there is one.
void count_answer(int socket, Counts& counts) {
  FrameHeader header;
  if (::recv(socket, &header, sizeof header, MSG_DONTWAIT) != sizeof header) {
    ++counts.failed;
  } else if (header.type == static_cast<std::uint16_t>(MessageType::welcome)) {
    ++counts.welcomed;
  } else {
    ++counts.refused;
  }
}

// The first thing that a fresh connection does. True: it is kept for a while.
bool begin(const Plan& plan, int socket) {
  static constexpr std::array<std::byte, 257> nothing{};
  if (plan.mode == "close") return false;
  if (plan.mode == "garbage") say(socket, nothing.data(), 256);
  if (plan.mode == "hello" || plan.mode == "mute") say(socket, &plan.hello, sizeof plan.hello);
  if (plan.mode == "mute") (void)::shutdown(socket, SHUT_RDWR);
  if (plan.mode == "fds") say_with_descriptors(socket, plan.hello);
  if (plan.mode == "surplus") {
    std::array<std::byte, sizeof(Hello) + 1> bytes{};
    std::memcpy(bytes.data(), &plan.hello, sizeof plan.hello);
    say(socket, bytes.data(), bytes.size());
  }
  return true;
}

void storm(const Plan& plan, Counts& counts) {
  std::deque<Held> held;
  const std::uint64_t start = monotonic_ns();
  const std::uint64_t end = start + plan.seconds * 1'000'000'000;
  std::uint64_t done = 0;
  for (std::uint64_t now = start; now < end; now = monotonic_ns()) {
    // What is late is left out: a slow machine gets a smaller storm, not a longer one.
    const std::uint64_t due = (now - start) * plan.per_second / 1'000'000'000;
    done = std::max(done, due - std::min<std::uint64_t>(due, plan.per_second / 50));
    for (; done < due; ++done) {
      UniqueFd socket = connect_to(plan.path, false);
      if (!socket) {
        ++counts.failed;
        continue;
      }
      ++counts.connected;
      if (begin(plan, socket.get())) held.push_back({std::move(socket)});
      if (held.size() > max_held) {
        count_answer(held.front().socket.get(), counts);
        held.pop_front();
      }
    }
    if (plan.mode == "slow") {
      for (Held& one : held) {
        if (one.said == sizeof plan.hello) continue;
        say(one.socket.get(), reinterpret_cast<const std::byte*>(&plan.hello) + one.said++, 1);
      }
    }
    const timespec turn{0, 1'000'000};
    (void)::nanosleep(&turn, nullptr);
  }
  for (Held& one : held) count_answer(one.socket.get(), counts);
}

void measure(const Plan& plan, Counts& counts) {
  const std::uint64_t end = monotonic_ns() + plan.seconds * 1'000'000'000;
  const timespec gap{0, static_cast<long>(1'000'000'000 / plan.per_second % 1'000'000'000)};
  while (monotonic_ns() < end) {
    const std::uint64_t start = monotonic_ns();
    const UniqueFd socket = connect_to(plan.path, true);
    if (!socket) {
      ++counts.failed;
      continue;
    }
    ++counts.connected;
    say(socket.get(), &plan.hello, sizeof plan.hello);
    pollfd answer{socket.get(), POLLIN, 0};
    (void)::poll(&answer, 1, 10'000);
    count_answer(socket.get(), counts);
    std::printf("%llu\n", static_cast<unsigned long long>((monotonic_ns() - start) / 1000));
    (void)::nanosleep(&gap, nullptr);
  }
}

bool become(uid_t uid) {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &files);
  }
  if (::geteuid() != 0 || uid == 0) return true;
  return ::setgroups(0, nullptr) == 0 && ::setresgid(uid, uid, uid) == 0 &&
         ::setresuid(uid, uid, uid) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7) return 2;
  Plan plan;
  plan.path = argv[1];
  plan.mode = argv[2];
  if (!plan.hello.tenant_id.assign(argv[4])) return 2;
  plan.seconds = std::strtoull(argv[5], nullptr, 10);
  plan.per_second = std::strtoull(argv[6], nullptr, 10);
  if (plan.per_second == 0 || !become(static_cast<uid_t>(std::strtoul(argv[3], nullptr, 10)))) {
    return 2;
  }
  Counts counts;
  if (plan.mode == "innocent") {
    measure(plan, counts);
  } else {
    storm(plan, counts);
  }
  std::printf("connected %lu refused %lu welcomed %lu failed %lu\n", counts.connected,
              counts.refused, counts.welcomed, counts.failed);
  return 0;
}
