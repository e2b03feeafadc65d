#include "supervisor/physical/affinity.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <thread>

using namespace tenantd;

TEST_CASE("every thread of a process is moved, and its children begin there") {
  const auto before = allowed_cpus(0);
  REQUIRE(before);
  if (before->count() < 2) {
    MESSAGE("skipped: this process may use one CPU only");
    return;
  }
  const CpuSet last = before->without(before->first(before->count() - 1));
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::thread([&] {
      (void)!::write(ready[1], "x", 1);
      for (;;) ::pause();
    }).detach();
    for (;;) ::pause();
  }
  char byte = 0;
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  CHECK(set_process_cpus(child, last));
  std::size_t threads = 0;
  for (const auto& task :
       std::filesystem::directory_iterator("/proc/" + std::to_string(child) + "/task")) {
    ++threads;
    const auto now = allowed_cpus(std::stoi(task.path().filename().string()));
    REQUIRE(now);
    CHECK(now->str() == last.str());
  }
  CHECK(threads == 2);
  CHECK(allowed_cpus(0)->str() == before->str());
  (void)::kill(child, SIGKILL);
  (void)::waitpid(child, nullptr, 0);
  (void)::close(ready[0]);
  (void)::close(ready[1]);
  CHECK(allowed_cpus(child).error().code == ErrorCode::not_found);
  CHECK(set_process_cpus(child, last).error().code == ErrorCode::not_found);
}

TEST_CASE("CPUs that are not there are an error, and nothing changes") {
  const auto before = allowed_cpus(0);
  REQUIRE(before);
  CHECK_FALSE(set_thread_cpus(0, CpuSet::of({CpuSet::max_cpus - 1})));
  CHECK(allowed_cpus(0)->str() == before->str());
  // The kernel would take the part that exists: read back, that is an error too.
  const Status partly = set_thread_cpus(0, before->with(CpuSet::of({CpuSet::max_cpus - 1})));
  REQUIRE_FALSE(partly);
  CHECK(partly.error().code == ErrorCode::unsupported);
  CHECK(allowed_cpus(0)->str() == before->str());
}
