#include "supervisor/launch/clone_child.h"

#include <doctest/doctest.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

using namespace tenantd;

namespace {

// sched_getattr(2): size, policy, flags, nice, priority, runtime, deadline, period.
struct Attributes {
  std::uint32_t size = 0, policy = 0;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime_ns = 0, deadline_ns = 0, period_ns = 0;
};

Attributes attributes_of(pid_t pid) {
  Attributes attributes;
  REQUIRE(::syscall(SYS_sched_getattr, pid, &attributes, sizeof attributes, 0) == 0);
  return attributes;
}

}  // namespace

TEST_CASE("short slices are the child's alone, change no share, and pass on to what it starts") {
  std::array<int, 2> answers{};
  REQUIRE(::pipe(answers.data()) == 0);
  const std::uint64_t own_ns = attributes_of(0).runtime_ns;
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    (void)::setpriority(PRIO_PROCESS, 0, 5);
    ask_for_short_slices(::getpid());
    const pid_t grandchild = ::fork();
    Attributes attributes;
    (void)::syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0);
    if (::write(answers[1], &attributes, sizeof attributes) < 0) ::_exit(1);
    if (grandchild > 0) (void)::waitpid(grandchild, nullptr, 0);
    ::_exit(0);
  }
  ::close(answers[1]);
  for (int i = 0; i < 2; ++i) {
    Attributes attributes;
    REQUIRE(::read(answers[0], &attributes, sizeof attributes) == sizeof attributes);
    CHECK(attributes.policy == SCHED_OTHER);
    CHECK(attributes.nice == 5);
    if (own_ns == 0) {
      MESSAGE("skipped: this kernel has no slices to ask for (Linux 6.12)");
    } else {
      CHECK(attributes.runtime_ns == 100'000);
    }
  }
  ::close(answers[0]);
  (void)::waitpid(child, nullptr, 0);
  CHECK(attributes_of(0).runtime_ns == own_ns);
}
