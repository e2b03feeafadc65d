// The whole jail program, started with a changed launch spec and wrong descriptors: it ends with
// one of its exit codes, never by a signal and never by running on.
//
// The first four bytes of the input choose what is at the link's, the spec's, the program's and the
// first mount's descriptor; the rest changes the spec (overlay.h). Each run is a process of its own
// in new namespaces, as an unprivileged user: whatever it mounts or makes is gone with it. The
// program to run is nothing that could run.
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include "overlay.h"
#include "shared/os/sealed_memfd.h"
#include "shared/os/socket.h"

namespace {

using namespace tenantd;

constexpr uid_t nobody = 65534;
constexpr int cannot_isolate = 120;
constexpr unsigned patience_s = 20;

bool put(const char* path, const std::string& text) {
  const UniqueFd file(::open(path, O_WRONLY | O_CLOEXEC));
  return file && ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// No privilege over anything outside: the uid is nobody's, and root only within.
bool isolate_in_child() {
  uid_t uid = ::getuid();
  gid_t gid = ::getgid();
  if (uid == 0) {
    uid = nobody;
    gid = nobody;
    if (::setresgid(gid, gid, gid) != 0 || ::setresuid(uid, uid, uid) != 0) return false;
    if (::prctl(PR_SET_DUMPABLE, 1) != 0) return false;  // to write the maps
  }
  static constexpr int namespaces =
      CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
  if (::unshare(namespaces) != 0) return false;
  return put("/proc/self/setgroups", "deny") &&
         put("/proc/self/uid_map", "0 " + std::to_string(uid) + " 1") &&
         put("/proc/self/gid_map", "0 " + std::to_string(gid) + " 1");
}

UniqueFd wrong_descriptor(std::uint8_t choice) {
  int ends[2];
  switch (choice % 6) {
    case 1:
      return UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC));
    case 2:
      return UniqueFd(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    case 3:
      if (::pipe2(ends, O_CLOEXEC) != 0) return {};
      ::close(ends[1]);
      return UniqueFd(ends[0]);
    case 4:
      return UniqueFd(::memfd_create("unsealed", MFD_CLOEXEC));
    default:
      return {};  // closed
  }
}

// The contract's descriptors; even choices of a byte mean what the supervisor would give.
struct Descriptors {
  UniqueFd link;
  UniqueFd link_peer;
  UniqueFd spec;
  UniqueFd program;
  UniqueFd mount;

  Descriptors(std::span<const std::uint8_t, 4> choices, std::span<const std::byte> record) {
    const auto wrong = [&choices](std::size_t i) { return (choices[i] & 1U) != 0; };
    const auto other = [&choices](std::size_t i) {
      return wrong_descriptor(static_cast<std::uint8_t>(choices[i] >> 1U));
    };
    if (auto pair = make_socket_pair(SocketKind::seqpacket); pair && !wrong(0)) {
      link = std::move(pair->first);
      link_peer = std::move(pair->second);
    } else {
      link = other(0);
    }
    auto sealed = make_sealed_memfd("spec", record);
    spec = sealed && !wrong(1) ? std::move(*sealed) : other(1);
    program = wrong(2) ? other(2) : UniqueFd(::open("/dev/null", O_PATH | O_CLOEXEC));
    mount = other(3);
  }
};

[[noreturn]] void become_jail_in_child(const Descriptors& given, const std::string& directory) {
  ::alarm(patience_s);
  if (::chdir(directory.c_str()) != 0 || !isolate_in_child()) ::_exit(cannot_isolate);
  const rlimit no_core{0, 0};
  (void)::setrlimit(RLIMIT_CORE, &no_core);
  // Away from the contract's numbers first, so that none is written over.
  static constexpr int first = link_fd;
  const std::array<int, 4> wanted = {given.link.get(), given.spec.get(), given.program.get(),
                                     given.mount.get()};
  std::array<int, 4> aside{};
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    aside[i] = wanted[i] < 0 ? -1 : ::fcntl(wanted[i], F_DUPFD_CLOEXEC, 64);
  }
  for (int i = 0; i < 4; ++i) {
    const int from = aside[static_cast<std::size_t>(i)];
    ::close(first + i);
    if (from >= 0) (void)::dup2(from, first + i);
  }
  // A sanitizer's leak check needs what the confinement takes away.
  static char option[] = "ASAN_OPTIONS=detect_leaks=0";
  std::array<char*, 2> environment = {option, nullptr};
  static char name[] = "tenantd-jail";
  std::array<char*, 2> arguments = {name, nullptr};
  ::execve(TENANTD_JAIL_PROGRAM, arguments.data(), environment.data());
  ::_exit(cannot_isolate);
}

struct World {
  World() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tenantd-jail-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    directory = pattern;
    if (::getuid() == 0 && ::chown(directory.c_str(), nobody, nobody) != 0) std::abort();
  }
  ~World() {
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
  }
  std::string directory;
};

bool is_named_exit(int code) {
  return code == static_cast<int>(ExitCode::bad_launch_spec) ||
         code == static_cast<int>(ExitCode::confinement) ||
         code == static_cast<int>(ExitCode::exec_failed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const World world;
  if (size < 4) return 0;
  LaunchSpec spec = fuzz::good_launch_spec();
  auto bytes = std::as_writable_bytes(std::span(&spec, 1));
  const std::size_t record_size = fuzz::overlay(bytes, std::span(data, size).subspan(4));
  const Descriptors given(std::span<const std::uint8_t, 4>(data, 4), bytes.first(record_size));
  const pid_t child = ::fork();
  if (child < 0) return 0;
  if (child == 0) become_jail_in_child(given, world.directory);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == cannot_isolate) {
    static bool said = false;
    if (!said) std::puts("skipped: no user namespaces for an unprivileged user here");
    said = true;
    return 0;
  }
  if (!WIFEXITED(status) || !is_named_exit(WEXITSTATUS(status))) {
    std::fprintf(stderr, "the jail's wait status: %d\n", status);
    std::abort();
  }
  return 0;
}
