// Changing what is mounted where. The driver's mount namespace is its own.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

#include "tests/isolation/probes/probe.h"

namespace tenantd::probe {
namespace {

int mount_tmpfs(const Surroundings& around) {
  const Path place = join(around.data, "place");
  if (mount("probe", place.text, "tmpfs", 0, nullptr) != 0) return errno;
  return outcome(umount2(place.text, MNT_DETACH));
}
int bind(const Surroundings& around) {
  const Path place = join(around.data, "place");
  if (mount(around.data, place.text, nullptr, MS_BIND, nullptr) != 0) return errno;
  return outcome(umount2(place.text, MNT_DETACH));
}
int clone_tree(const Surroundings& around) {
  return outcome(open_tree(AT_FDCWD, around.data, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
}
int new_file_system(const Surroundings&) {
  const int context = fsopen("tmpfs", FSOPEN_CLOEXEC);
  if (context < 0) return errno;
  if (fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return errno;
  return outcome(fsmount(context, FSMOUNT_CLOEXEC, 0));
}
int change_root(const Surroundings& around) { return outcome(chroot(around.data)); }

}  // namespace

const Attempt attempts[] = {{"mount", mount_tmpfs},
                            {"bind", bind},
                            {"clone_tree", clone_tree},
                            {"new_file_system", new_file_system},
                            {"chroot", change_root}};
const unsigned attempt_count = sizeof attempts / sizeof attempts[0];

}  // namespace tenantd::probe
