// Maps and programs inside the kernel.
#include <linux/bpf.h>
#include <linux/filter.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "tests/isolation/probes/probe.h"

namespace tenantd::probe {
namespace {

int map(const Surroundings&) {
  bpf_attr attributes{};
  attributes.map_type = BPF_MAP_TYPE_ARRAY;
  attributes.key_size = 4;
  attributes.value_size = 4;
  attributes.max_entries = 1;
  return outcome(syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes));
}
int program(const Surroundings&) {
  const bpf_insn instructions[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0},
                                   {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  static const char license[] = "Apache-2.0";
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
  attributes.insn_cnt = 2;
  attributes.insns = reinterpret_cast<unsigned long>(instructions);
  attributes.license = reinterpret_cast<unsigned long>(license);
  return outcome(syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes));
}
int socket_filter(const Surroundings&) {
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  sock_filter instruction = BPF_STMT(BPF_RET | BPF_K, 0);
  const sock_fprog code{1, &instruction};
  return outcome(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &code, sizeof code));
}

}  // namespace

const Attempt attempts[] = {{"map", map}, {"program", program}, {"socket_filter", socket_filter}};
const unsigned attempt_count = sizeof attempts / sizeof attempts[0];

}  // namespace tenantd::probe
