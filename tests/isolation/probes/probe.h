// What an escape probe is: a static program of one rule, with named attempts to break it.
//
// Runs in: the sandbox, started by the real jail, and outside of it, where every attempt must
// succeed. An attempt does the real thing, sees that it worked, and is harmless when nothing stops
// it: what it attacks was made for it by the driver. C headers only: there are many probes.
#pragma once

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

namespace tenantd::probe {

// The call succeeded, and yet nothing of the host was reached.
inline constexpr int no_effect = -1;

// What the driver has put into the probe's reach, or out of it.
struct Surroundings {
  const char* attempt;
  const char* data;              // the tenant's own directory
  const char* scratch;           // its temporary directory
  const char* host;              // a directory of the host: files, sockets, another tenant's data
  int victim;                    // a process of the host's
  int neighbour;                 // another tenant's process, in namespaces of its own
  unsigned long secret_address;  // where both hold `secret`
  unsigned tcp_port;             // listening on the host's loopback device
  unsigned udp_port;
  unsigned victim_uid;
  int terminal;          // number of a pseudo-terminal of the host
  const char* hostname;  // what the program may think the host is called
};

inline constexpr char secret[] = "tenantd-probe-secret";

// Each returns 0 when the attempt succeeded, the errno that stopped it, or no_effect.
struct Attempt {
  const char* name;
  int (*run)(const Surroundings& around);
};
extern const Attempt attempts[];
extern const unsigned attempt_count;

inline int outcome(long result) { return result < 0 ? errno : 0; }

struct Path {
  char text[512];
};
inline Path join(const char* directory, const char* name) {
  Path path;
  (void)snprintf(path.text, sizeof path.text, "%s/%s", directory, name);
  return path;
}
inline Path numbered(const char* format, int number) {
  Path path;
  (void)snprintf(path.text, sizeof path.text, format, number);
  return path;
}

// Opens `path` and reads until `expected` is seen at its beginning.
int read_file(const char* path, const char* expected);
// Fills `program` with one that only ends: with exit code 42 if its effective uid is `uid`.
inline constexpr unsigned tiny_program_size = 0x98;
inline constexpr int tiny_program_exit = 42;
inline constexpr int tiny_program_other_uid = 41;
inline constexpr unsigned any_uid = 0xffffffffU;
unsigned long tiny_program(unsigned char (&program)[tiny_program_size], unsigned uid);

}  // namespace tenantd::probe
