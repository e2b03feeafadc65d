// Preloaded into a real tenantd: processes that it launches lack one namespace, and it does not
// know. Test only.
//
// TENANTD_MUTANT_LAUNCHER is the CLONE_NEW* flag in hexadecimal. Only launches are changed, which
// ask for all namespaces at once, and not what is tried at the start: each is one of the others'.
#include <dlfcn.h>
#include <linux/sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdarg>
#include <cstdint>
#include <cstdlib>

namespace {

std::uint64_t left_out() {
  static const std::uint64_t flag = [] {
    const char* const text = std::getenv("TENANTD_MUTANT_LAUNCHER");
    return text == nullptr ? 0ULL : std::strtoull(text, nullptr, 16);
  }();
  return flag;
}

// The host is looked at with all namespaces at once, too, but once, and first.
bool is_launch(const clone_args& arguments) {
  static int asked = 0;
  constexpr std::uint64_t all =
      CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
  return (arguments.flags & all) == all && ++asked > 1;
}

}  // namespace

extern "C" long syscall(long number, ...) {
  using Call = long (*)(long, ...);
  static const auto real = reinterpret_cast<Call>(::dlsym(RTLD_NEXT, "syscall"));
  std::va_list list;
  va_start(list, number);
  std::array<long, 6> arguments{};
  for (long& argument : arguments) argument = va_arg(list, long);
  va_end(list);
  if (number == SYS_clone3) {
    auto* const given = reinterpret_cast<clone_args*>(arguments[0]);
    if (is_launch(*given)) given->flags &= ~left_out();
  }
  return real(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
              arguments[5]);
}
