// What a confined program finds when it looks around and does a worker's work: the other side of
// launch_test. Attempts to break out are in probes/.
//
// Runs in: the sandbox, started by the real jail. Static. What it shall do is tenant_id of its
// launch spec. It tells one "name=value" line a finding on its standard output and ends with exit
// code 0.
#include <fcntl.h>
#include <poll.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "shared/contract/launch_spec.h"
#include "shared/os/lockdown.h"
#include "shared/os/sealed_memfd.h"

namespace tenantd {
namespace {

void tell(std::string_view name, long value) {
  const std::string line = std::string(name) + "=" + std::to_string(value) + "\n";
  (void)!::write(log_out_fd, line.data(), line.size());
}

// 0 when it can be opened, else the errno.
int open_error(const char* path, int flags) {
  const int fd = ::open(path, flags | O_CLOEXEC, 0600);
  if (fd < 0) return errno;
  (void)::close(fd);
  return 0;
}

long make_executable_in_data() {
  const int fd = ::open("/data/program", O_RDWR | O_CREAT | O_CLOEXEC, 0700);
  if (fd < 0) return -1;
  (void)!::write(fd, "\177ELF", 4);
  // noexec shows in access(2) too; execve itself is not even in the filter.
  const long executable = ::access("/data/program", X_OK) == 0 ? 1 : 0;
  (void)::close(fd);
  return executable;
}

int connect_link() {
  const int fd = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, link_socket_path.data(), link_socket_path.size());
  const int result =
      ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
  (void)::close(fd);
  return result;
}

void look_around() {
  tell("pid", ::getpid());
  tell("shadow", open_error("/etc/shadow", O_RDONLY));
  tell("proc", open_error("/proc", O_RDONLY | O_DIRECTORY));
  tell("usr", open_error("/usr", O_RDONLY | O_DIRECTORY));
  tell("root_write", open_error("/file", O_WRONLY | O_CREAT));
  tell("link_write", open_error("/link/file", O_WRONLY | O_CREAT));
  tell("root_list", open_error("/", O_RDONLY | O_DIRECTORY));
  tell("data_write", open_error("/data/file", O_WRONLY | O_CREAT));
  tell("tmp_write", open_error("/tmp/file", O_WRONLY | O_CREAT));
  tell("data_executable", make_executable_in_data());
  tell("link_connect", connect_link());
}

int count_callback(void* context, int, char**, char**) {
  ++*static_cast<int*>(context);
  return 0;
}

// What a worker does all day: a loop, a database, threads, rings.
bool work_database() {
  sqlite3* database = nullptr;
  if (sqlite3_open_v2("/data/store.db", &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                      nullptr) != SQLITE_OK) {
    return false;
  }
  int rows = 0;
  const bool good =
      sqlite3_exec(
          database,
          "pragma locking_mode=exclusive; pragma journal_mode=wal; pragma synchronous=full;"
          "create table if not exists t(a integer primary key, b blob);"
          "with recursive n(i) as (select 1 union all select i+1 from n where i<5000) "
          "insert into t(b) select randomblob(200) from n;"
          "create index if not exists i on t(b);"
          "delete from t where a%2=0; vacuum; pragma wal_checkpoint(truncate);",
          nullptr, nullptr, nullptr) == SQLITE_OK &&
      sqlite3_exec(database, "pragma temp_store=file; select a from t order by b desc",
                   count_callback, &rows, nullptr) == SQLITE_OK &&
      rows == 2500;
  return sqlite3_close(database) == SQLITE_OK && good;
}

bool work_loop() {
  uv_loop_t loop;
  if (uv_loop_init(&loop) != 0) return false;
  int hits = 0;
  uv_timer_t timer;
  uv_async_t async;
  uv_pipe_t pipe;
  uv_signal_t signal;
  loop.data = &hits;
  const auto close_all = [](uv_handle_t* handle, void*) { uv_close(handle, nullptr); };
  (void)uv_timer_init(&loop, &timer);
  (void)uv_async_init(&loop, &async, [](uv_async_t* handle) {
    ++*static_cast<int*>(handle->loop->data);
    uv_stop(handle->loop);
  });
  (void)uv_signal_init(&loop, &signal);
  (void)uv_signal_start(
      &signal, [](uv_signal_t*, int) {}, SIGTERM);
  int pair[2];
  if (::pipe2(pair, O_NONBLOCK | O_CLOEXEC) != 0) return false;
  (void)uv_pipe_init(&loop, &pipe, 0);
  (void)uv_pipe_open(&pipe, pair[0]);
  (void)uv_timer_start(
      &timer, [](uv_timer_t* handle) { ++*static_cast<int*>(handle->loop->data); }, 1, 0);
  std::thread thread([&async] { (void)uv_async_send(&async); });
  (void)uv_run(&loop, UV_RUN_DEFAULT);
  thread.join();
  uv_walk(&loop, close_all, nullptr);
  while (uv_run(&loop, UV_RUN_DEFAULT) != 0) {
  }
  (void)::close(pair[1]);
  return uv_loop_close(&loop) == 0 && hits >= 1;
}

bool work_rings() {
  const int fd = ::memfd_create("ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0 || ::ftruncate(fd, 1 << 20) != 0) return false;
  void* map = ::mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  const bool good = map != MAP_FAILED &&
                    ::fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0 &&
                    ::fcntl(fd, F_GET_SEALS) > 0 && ::munmap(map, 1 << 20) == 0;
  (void)::close(fd);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] { std::vector<char> block(8U << 20U, 'x'); });
  }
  for (std::thread& thread : threads) thread.join();
  return good;
}

void use_memory() {
  for (;;) {
    constexpr std::size_t step = 4U << 20U;
    auto* block = static_cast<volatile char*>(std::malloc(step));
    if (block == nullptr) return;
    for (std::size_t i = 0; i < step; i += 4096) block[i] = 1;
  }
}

int run() {
  LaunchSpec spec;
  if (!read_sealed_record(launch_spec_fd, spec)) return 70;
  const std::string_view what = spec.tenant.tenant_id.view();
  tell("started", 1);
  if (what == "look") look_around();
  if (what == "hog") use_memory();
  if (what == "work" || what == "hold") {
    if (!lock_down_self(true)) return 72;
  }
  if (what == "work") {
    tell("database", work_database() ? 1 : 0);
    tell("loop", work_loop() ? 1 : 0);
    tell("rings", work_rings() ? 1 : 0);
  }
  if (what == "hold") {
    tell("holding", 1);
    char byte = 0;  // until the other end of the link goes
    while (::recv(link_fd, &byte, 1, 0) > 0) {
    }
    struct pollfd end {
      link_fd, POLLIN, 0
    };
    (void)::poll(&end, 1, -1);
  }
  return 0;
}

}  // namespace
}  // namespace tenantd

int main() { return tenantd::run(); }
