// Doors to the kernel beside the 64-bit system call, and segment descriptors for 16 and 32 bits.
#include <asm/ldt.h>
#include <sys/syscall.h>

#include "tests/isolation/probes/probe.h"

namespace tenantd::probe {
namespace {

int by_interrupt(const Surroundings&) {
  long result = 20;  // getpid of the 32-bit table
  asm volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
  return result == getpid() ? 0 : static_cast<int>(-result);
}
int by_x32(const Surroundings&) { return outcome(syscall(0x40000000L + SYS_getpid)); }
int write_ldt(const Surroundings&) {
  user_desc entry{};
  entry.base_addr = 0x1000;
  entry.limit = 0xfff;
  entry.seg_32bit = 1;
  entry.useable = 1;
  if (syscall(SYS_modify_ldt, 1, &entry, sizeof entry) != 0) return errno;
  char table[16] = {};
  return syscall(SYS_modify_ldt, 0, table, sizeof table) > 0 ? 0 : no_effect;
}

}  // namespace

const Attempt attempts[] = {{"int80", by_interrupt}, {"x32", by_x32}, {"modify_ldt", write_ldt}};
const unsigned attempt_count = sizeof attempts / sizeof attempts[0];

}  // namespace tenantd::probe
