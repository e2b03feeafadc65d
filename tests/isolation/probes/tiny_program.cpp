// The program that is executed by attempts to execute something.
#include <string.h>

#include "tests/isolation/probes/probe.h"

namespace tenantd::probe {

unsigned long tiny_program(unsigned char (&program)[tiny_program_size], unsigned uid) {
  // An ELF header, one readable and executable segment, then:
  //   geteuid(); exit_group(eax == uid || uid == any_uid ? 42 : 41)
  // clang-format off
  static constexpr unsigned char bytes[] = {
      0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0,  // identification
      2, 0, 62, 0, 1, 0, 0, 0, 0x78, 0, 0x40, 0, 0, 0, 0, 0,    // type, machine, entry
      64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,          // program headers
      0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0,         // sizes
      1, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,           // PT_LOAD, r-x
      0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0,     // addresses
      0x98, 0, 0, 0, 0, 0, 0, 0, 0x98, 0, 0, 0, 0, 0, 0, 0,     // sizes
      0, 0x10, 0, 0, 0, 0, 0, 0,                                // alignment
      0xbf, tiny_program_exit, 0, 0, 0,                         // mov edi, 42
      0xb8, 107, 0, 0, 0, 0x0f, 0x05,                           // geteuid
      0x3d, 0, 0, 0, 0,                                         // cmp eax, uid
      0x74, 5,                                                  // je over the next
      0xbf, tiny_program_other_uid, 0, 0, 0,                    // mov edi, 41
      0xb8, 231, 0, 0, 0, 0x0f, 0x05, 0x90};                    // exit_group
  // clang-format on  // exit_group
  static_assert(sizeof bytes == tiny_program_size);
  (void)memcpy(program, bytes, sizeof bytes);
  (void)memcpy(program + 0x78 + 13, &uid, sizeof uid);
  if (uid == any_uid) program[0x78 + 17] = 0xeb;  // jmp
  return sizeof bytes;
}

}  // namespace tenantd::probe
