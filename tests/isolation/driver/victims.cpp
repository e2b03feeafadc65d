#include "tests/isolation/driver/victims.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <mqueue.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "supervisor/launch/clone_child.h"
#include "tests/isolation/probes/probe.h"

namespace tenantd {
namespace {

// Both victims are copies of this process: the same address.
char shared_secret[] = "tenantd-probe-secret";
volatile std::uint32_t* signal_counter = nullptr;

void write_file(const std::string& path, std::string_view text, mode_t mode) {
  std::ofstream(path) << text;
  REQUIRE(::chmod(path.c_str(), mode) == 0);
}

std::string tiny_program(uid_t uid) {
  unsigned char bytes[probe::tiny_program_size];
  const unsigned long size = probe::tiny_program(bytes, uid);
  return std::string(reinterpret_cast<const char*>(bytes), size);
}

[[noreturn]] void wait_in_child() {
  (void)::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  for (;;) (void)::pause();
}

void raise_limit(__rlimit_resource resource, rlim_t wanted) {
  rlimit limit{};
  if (::getrlimit(resource, &limit) != 0) return;
  if (limit.rlim_max < wanted) limit.rlim_max = wanted;
  limit.rlim_cur = std::min(wanted, limit.rlim_max);
  (void)::setrlimit(resource, &limit);
}

bool switch_loopback_on() {
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  (void)std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  return ::ioctl(fd.get(), SIOCSIFFLAGS, &request) == 0;
}

UniqueFd bound_socket(int type, std::uint16_t& port) {
  UniqueFd fd(::socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  port = ntohs(address.sin_port);
  return fd;
}

void drop_connections(int listener) {
  for (;;) {
    const UniqueFd accepted(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    if (!accepted) return;
  }
}

}  // namespace

bool enter_own_namespaces() {
  raise_limit(RLIMIT_NOFILE, 8192);
  raise_limit(RLIMIT_STACK, 64UL << 20U);
  raise_limit(RLIMIT_CORE, RLIM_INFINITY);
  raise_limit(RLIMIT_MEMLOCK, 8UL << 20U);
  if (::geteuid() != 0) return false;
  if (::unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET) != 0) return false;
  // Shared, as systemd leaves it, but with nobody: the jail has to end that itself.
  return ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount(nullptr, "/", nullptr, MS_REC | MS_SHARED, nullptr) == 0 &&
         ::sethostname("probe-host", 10) == 0 && switch_loopback_on();
}

Victims::Victims() {
  std::string pattern = "/tmp/tenantd-isolation-XXXXXX";
  REQUIRE(::mkdtemp(pattern.data()) != nullptr);
  directory_ = pattern;
  old_directory_ = std::filesystem::current_path();
  make_processes();
  make_files();
  make_sockets();
  if (::geteuid() == 0) make_kernel_objects();
}

Victims::~Victims() {
  for (const pid_t pid : {process_, neighbour_}) {
    if (pid <= 0) continue;
    (void)::kill(pid, SIGKILL);
    (void)reap_child(pid);
  }
  if (shared_memory_ >= 0) (void)::shmctl(shared_memory_, IPC_RMID, nullptr);
  if (semaphore_ >= 0) (void)::semctl(semaphore_, 0, IPC_RMID);
  if (!queue_name_.empty()) (void)::mq_unlink(queue_name_.c_str());
  (void)!::chdir(old_directory_.c_str());
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void Victims::make_processes() {
  void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(page != MAP_FAILED);
  signals_ = static_cast<volatile std::uint32_t*>(page);
  signal_counter = signals_;
  // Before the fork: a signal must not find the victim without its handler.
  struct sigaction counting {};
  counting.sa_handler = [](int) { *signal_counter = *signal_counter + 1; };
  REQUIRE(::sigaction(SIGUSR1, &counting, nullptr) == 0);
  process_ = ::fork();
  REQUIRE(process_ >= 0);
  if (process_ == 0) wait_in_child();
  if (::geteuid() != 0) return;
  auto cloned = clone_child(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET |
                            CLONE_NEWIPC | CLONE_NEWUTS);
  REQUIRE(cloned);
  if (cloned->pid == 0) wait_in_child();
  neighbour_ = cloned->pid;
  REQUIRE(write_id_maps_from_parent(neighbour_, probe_victim_uid, probe_victim_uid));
}

void Victims::make_files() {
  const bool privileged = ::geteuid() == 0;
  REQUIRE(::chmod(directory_.c_str(), 0755) == 0);
  for (const char* name : {"/tenants", "/tenants/acme-corp", "/tenants/globex", "/link", "/cwd",
                           "/tenants/acme-corp/place"}) {
    REQUIRE(::mkdir((directory_ + name).c_str(), 0755) == 0);
  }
  REQUIRE(::chmod((directory_ + "/cwd").c_str(), 0777) == 0);
  REQUIRE(::chdir((directory_ + "/cwd").c_str()) == 0);  // where core files go
  write_file(directory_ + "/root-secret", probe::secret, 0600);
  write_file(directory_ + "/public", probe::secret, 0644);
  write_file(directory_ + "/writable", "", 0666);
  const std::string theirs = directory_ + "/tenants/globex";
  write_file(theirs + "/routes.db", probe::secret, 0600);
  REQUIRE(::chmod(theirs.c_str(), 0700) == 0);
  const std::string bytes = tiny_program(probe::any_uid);
  write_file(directory_ + "/program", bytes, 0755);
  const std::string data = data_directory();
  write_file(data + "/program", bytes, 0755);
  REQUIRE(::symlink((directory_ + "/public").c_str(), (data + "/link-to-public").c_str()) == 0);
  // Above the numbers that the launcher gives out.
  const UniqueFd leaked(::open((directory_ + "/root-secret").c_str(), O_RDONLY | O_CLOEXEC));
  leaked_.reset(::fcntl(leaked.get(), F_DUPFD, 500));
  REQUIRE(leaked_);
  if (!privileged) return;
  const std::string set_uid = directory_ + "/set-uid-program";
  write_file(set_uid, tiny_program(probe_victim_uid), 0755);
  REQUIRE(::chown(set_uid.c_str(), probe_victim_uid, probe_victim_uid) == 0);
  REQUIRE(::chmod(set_uid.c_str(), 04755) == 0);
  REQUIRE(::mknod((data + "/zero").c_str(), S_IFCHR | 0666, makedev(1, 5)) == 0);
  for (const std::string& path : {theirs, theirs + "/routes.db"}) {
    REQUIRE(::chown(path.c_str(), probe_victim_uid, probe_victim_uid) == 0);
  }
}

void Victims::prepare_data(uid_t uid) const {
  const std::string data = data_directory();
  for (const char* name : {"/routes.db", "/removable"}) {
    const UniqueFd file(
        ::open((data + name).c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    REQUIRE(file);
  }
  REQUIRE(::chmod(data.c_str(), 0700) == 0);
  if (::geteuid() != 0) return;
  REQUIRE(::lchown(data.c_str(), uid, uid) == 0);
  for (const auto& entry : std::filesystem::directory_iterator(data)) {
    REQUIRE(::lchown(entry.path().c_str(), uid, uid) == 0);
  }
}

void Victims::make_sockets() {
  tcp_ = bound_socket(SOCK_STREAM, tcp_port_);
  REQUIRE(::listen(tcp_.get(), 128) == 0);
  udp_ = bound_socket(SOCK_DGRAM, udp_port_);
  auto path = listen_unix(directory_ + "/victim.sock", SocketKind::stream, 128, 0666);
  REQUIRE(path);
  path_ = std::move(*path);
  abstract_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = "tenantd-probe-" + std::to_string(process_);
  (void)std::memcpy(address.sun_path + 1, name.data(), name.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  REQUIRE(::bind(abstract_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::listen(abstract_.get(), 128) == 0);
}

void Victims::make_kernel_objects() {
  terminal_.reset(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  REQUIRE(terminal_);
  REQUIRE(::unlockpt(terminal_.get()) == 0);
  REQUIRE(::ioctl(terminal_.get(), TIOCGPTN, &terminal_number_) == 0);
  const key_t key = 0x746e0000 | (process_ & 0xffff);
  shared_memory_ = ::shmget(key, 4096, IPC_CREAT | 0666);
  REQUIRE(shared_memory_ >= 0);
  void* memory = ::shmat(shared_memory_, nullptr, 0);
  REQUIRE(memory != reinterpret_cast<void*>(-1));
  (void)std::memcpy(memory, probe::secret, sizeof probe::secret);
  (void)::shmdt(memory);
  semaphore_ = ::semget(key, 1, IPC_CREAT | 0666);
  REQUIRE(semaphore_ >= 0);
  queue_name_ = "/tenantd-probe-" + std::to_string(process_);
  const mqd_t queue = ::mq_open(queue_name_.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0666, nullptr);
  REQUIRE(queue >= 0);
  (void)::mq_close(queue);
  // Where the kernel has keys; their probe says when it has not.
  if (::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr) < 0) return;
  (void)::syscall(SYS_add_key, "user", "tenantd-probe", probe::secret, sizeof probe::secret,
                  KEY_SPEC_SESSION_KEYRING);
}

std::uint64_t Victims::secret_address() const noexcept {
  return reinterpret_cast<std::uint64_t>(&shared_secret);
}

bool Victims::was_signalled(bool expected) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (expected && *signals_ == signals_seen_ && std::chrono::steady_clock::now() < deadline) {
    (void)::sched_yield();
  }
  const bool seen = *signals_ != signals_seen_;
  signals_seen_ = *signals_;
  return seen;
}

bool Victims::was_renamed() {
  char name[65] = {};
  REQUIRE(::gethostname(name, sizeof name - 1) == 0);
  if (std::string_view(name) != "probed") return false;
  REQUIRE(::sethostname("probe-host", 10) == 0);
  return true;
}

bool Victims::got_datagram() {
  char text[64] = {};
  bool seen = false;
  while (::recv(udp_.get(), text, sizeof text, MSG_DONTWAIT) > 0) seen = true;
  return seen;
}

void Victims::clean_up() {
  drop_connections(tcp_.get());
  drop_connections(path_.get());
  drop_connections(abstract_.get());
  for (const auto& entry : std::filesystem::directory_iterator(directory_ + "/cwd")) {
    std::filesystem::remove(entry.path());
  }
}

}  // namespace tenantd
