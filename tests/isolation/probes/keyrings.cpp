// Keys: making one, and finding the one that the driver holds in its session keyring.
#include <linux/keyctl.h>
#include <string.h>
#include <sys/syscall.h>

#include "tests/isolation/probes/probe.h"

namespace tenantd::probe {
namespace {

int add(const Surroundings&) {
  const long key =
      syscall(SYS_add_key, "user", "tenantd-own", secret, sizeof secret, KEY_SPEC_PROCESS_KEYRING);
  if (key < 0) return errno;
  char text[sizeof secret] = {};
  if (syscall(SYS_keyctl, KEYCTL_READ, key, text, sizeof text) < 0) return errno;
  return memcmp(text, secret, sizeof secret) == 0 ? 0 : no_effect;
}
int find_host_key(const Surroundings&) {
  const long key =
      syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", "tenantd-probe", 0);
  if (key < 0) return errno;
  char text[sizeof secret] = {};
  if (syscall(SYS_keyctl, KEYCTL_READ, key, text, sizeof text) < 0) return errno;
  return memcmp(text, secret, sizeof secret) == 0 ? 0 : no_effect;
}
int request(const Surroundings&) {
  return outcome(syscall(SYS_request_key, "user", "tenantd-probe", nullptr, 0));
}

}  // namespace

const Attempt attempts[] = {{"add", add}, {"find_host_key", find_host_key}, {"request", request}};
const unsigned attempt_count = sizeof attempts / sizeof attempts[0];

}  // namespace tenantd::probe
