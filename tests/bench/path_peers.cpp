#include "tests/bench/path_peers.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <new>
#include <vector>

#include "shared/os/fd.h"
#include "shared/ring/futex.h"

namespace tenantd::bench {
namespace {

constexpr std::uint64_t never_ns = 1ULL << 62U;

// As the launcher asks for a worker (supervisor/launch/clone_child.h).
void ask_for_short_slices() {
  struct {
    std::uint32_t size, policy;
    std::uint64_t flags;
    std::int32_t nice;
    std::uint32_t priority;
    std::uint64_t runtime_ns, deadline_ns, period_ns;
  } attributes{48, SCHED_OTHER, 0, 0, 0, 100'000, 0, 0};
  (void)::syscall(SYS_sched_setattr, 0, &attributes, 0);
}

bool transfer(int fd, std::byte* buffer, std::size_t size, bool sending) {
  for (std::size_t done = 0; done < size;) {
    const ssize_t n =
        sending ? ::write(fd, buffer + done, size - done) : ::read(fd, buffer + done, size - done);
    if (n <= 0) return false;
    done += static_cast<std::size_t>(n);
  }
  return true;
}

struct Pair {
  Pair() {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) std::exit(1);
    here.reset(fds[0]);
    there.reset(fds[1]);
  }
  UniqueFd here;
  UniqueFd there;
};

// Answers every whole request of what one read brings with one write.
void answer_all(int fd) {
  std::vector<std::byte> buffer(request_bytes * most_in_flight);
  std::vector<std::byte> answers(answer_bytes * most_in_flight);
  for (std::size_t filled = 0;;) {
    const ssize_t n = ::read(fd, buffer.data() + filled, buffer.size() - filled);
    if (n <= 0) return;
    filled += static_cast<std::size_t>(n);
    const std::size_t whole = filled / request_bytes;
    if (whole > 0 && !transfer(fd, answers.data(), whole * answer_bytes, true)) return;
    std::memmove(buffer.data(), buffer.data() + whole * request_bytes,
                 filled - whole * request_bytes);
    filled -= whole * request_bytes;
  }
}

void relay(int front, int back) {
  const UniqueFd set(::epoll_create1(EPOLL_CLOEXEC));
  for (const int fd : {front, back}) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    if (::epoll_ctl(set.get(), EPOLL_CTL_ADD, fd, &event) != 0) return;
  }
  std::vector<std::byte> buffer(request_bytes * most_in_flight);
  for (std::array<epoll_event, 2> events{};;) {
    const int count = ::epoll_wait(set.get(), events.data(), 2, -1);
    for (int i = 0; i < count; ++i) {
      const int from = events[static_cast<std::size_t>(i)].data.fd;
      const ssize_t n = ::read(from, buffer.data(), buffer.size());
      if (n <= 0) return;
      const int to = from == front ? back : front;
      if (!transfer(to, buffer.data(), static_cast<std::size_t>(n), true)) return;
    }
  }
}

class SocketPeer : public Peer {
 public:
  explicit SocketPeer(const Place& place)
      : peer_(fork_peer(place, [this] {
          pair_.here.reset();
          answer_all(pair_.there.get());
        })) {
    pair_.there.reset();
  }
  ~SocketPeer() override { end_peer(peer_); }
  bool run(int depth) override {
    const auto count = static_cast<std::size_t>(depth);
    for (std::size_t i = 0; i < count; ++i) {
      if (!transfer(pair_.here.get(), request_.data(), request_bytes, true)) return false;
    }
    return transfer(pair_.here.get(), answers_.data(), answer_bytes * count, false);
  }

 private:
  Pair pair_;
  std::vector<std::byte> request_ = std::vector<std::byte>(request_bytes);
  std::vector<std::byte> answers_ = std::vector<std::byte>(answer_bytes * most_in_flight);
  pid_t peer_;
};

class RelayPeer : public Peer {
 public:
  explicit RelayPeer(const Place& place)
      : server_(fork_peer(place, [this] { answer_all(back_.there.get()); })),
        relay_(fork_peer(place, [this] { relay(front_.there.get(), back_.here.get()); })) {}
  ~RelayPeer() override {
    end_peer(relay_);
    end_peer(server_);
  }
  bool run(int depth) override {
    const auto count = static_cast<std::size_t>(depth);
    for (std::size_t i = 0; i < count; ++i) {
      if (!transfer(front_.here.get(), request_.data(), request_bytes, true)) return false;
    }
    return transfer(front_.here.get(), answers_.data(), answer_bytes * count, false);
  }

 private:
  Pair front_;
  Pair back_;
  std::vector<std::byte> request_ = std::vector<std::byte>(request_bytes);
  std::vector<std::byte> answers_ = std::vector<std::byte>(answer_bytes * most_in_flight);
  pid_t server_;
  pid_t relay_;
};

struct FloorWords {
  alignas(64) std::atomic<std::uint32_t> asked{0};
  alignas(64) std::atomic<std::uint32_t> answered{0};
  alignas(64) std::atomic<std::uint32_t> caller_sleeps{0};
  alignas(64) std::atomic<std::uint32_t> peer_sleeps{0};
};

class FloorPeer : public Peer {
 public:
  explicit FloorPeer(const Place& place)
      : words_(new (::mmap(nullptr, sizeof(FloorWords), PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0)) FloorWords),
        bell_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
        set_(::epoll_create1(EPOLL_CLOEXEC)) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    if (::epoll_ctl(set_.get(), EPOLL_CTL_ADD, bell_.get(), &event) != 0) std::exit(1);
    peer_ = fork_peer(place, [this] { serve(); });
  }
  ~FloorPeer() override {
    end_peer(peer_);
    (void)::munmap(words_, sizeof(FloorWords));
  }
  bool run(int) override {
    const std::uint32_t wanted = words_->asked.fetch_add(1) + 1;
    if (words_->peer_sleeps.load() != 0) {
      const std::uint64_t one = 1;
      if (::write(bell_.get(), &one, sizeof one) < 0) return false;
    }
    for (;;) {
      const std::uint32_t seen = words_->answered.load();
      if (seen == wanted) return true;
      words_->caller_sleeps.store(1);
      if (words_->answered.load() == seen) futex_wait(words_->answered, seen, never_ns);
      words_->caller_sleeps.store(0);
    }
  }

 private:
  [[noreturn]] void serve() {
    for (;;) {
      const std::uint32_t asked = words_->asked.load();
      if (asked != words_->answered.load()) {
        words_->answered.store(asked);
        if (words_->caller_sleeps.load() != 0) futex_wake_one(words_->answered);
        continue;
      }
      words_->peer_sleeps.store(1);
      std::array<epoll_event, 8> events{};
      if (words_->asked.load() == asked) (void)::epoll_wait(set_.get(), events.data(), 8, -1);
      words_->peer_sleeps.store(0);
    }
  }

  FloorWords* words_;
  UniqueFd bell_;
  UniqueFd set_;
  pid_t peer_ = -1;
};

}  // namespace

pid_t fork_peer(const Place& place, const std::function<void()>& work) {
  const pid_t pid = ::fork();
  if (pid < 0) std::exit(1);
  if (pid > 0) return pid;
  (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (!place.group.empty()) {
    const UniqueFd tasks(::open((place.group + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
    if (::write(tasks.get(), "0", 1) != 1) ::_exit(77);
    ask_for_short_slices();
  }
  pin_to(place.cpu);
  work();
  ::_exit(0);
}

void end_peer(pid_t pid) {
  (void)::kill(pid, SIGKILL);
  (void)::waitpid(pid, nullptr, 0);
}

void pin_to(int cpu) {
  if (cpu == any_cpu) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(cpu), &set);
  if (::sched_setaffinity(0, sizeof set, &set) != 0) ::_exit(77);
}

std::unique_ptr<Peer> make_socketpair_peer(const Place& place) {
  return std::make_unique<SocketPeer>(place);
}
std::unique_ptr<Peer> make_relay_peer(const Place& place) {
  return std::make_unique<RelayPeer>(place);
}
std::unique_ptr<Peer> make_floor_peer(const Place& place) {
  return std::make_unique<FloorPeer>(place);
}

}  // namespace tenantd::bench
