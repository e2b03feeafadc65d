// Typing on somebody's terminal.
#include <fcntl.h>
#include <linux/tiocl.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "tests/isolation/probes/probe.h"

namespace tenantd::probe {
namespace {

int inject(const Surroundings& around) {
  const int fd = open(numbered("/dev/pts/%d", around.terminal).text, O_RDWR | O_CLOEXEC);
  if (fd < 0) return errno;
  int pending = 0;
  if (ioctl(fd, TIOCSTI, "x") != 0 || ioctl(fd, TIOCSTI, "\n") != 0) return errno;
  if (ioctl(fd, FIONREAD, &pending) != 0) return errno;
  return pending > 0 ? 0 : no_effect;
}
int write_to(const Surroundings& around) {
  const int fd = open(numbered("/dev/pts/%d", around.terminal).text, O_WRONLY | O_NOCTTY);
  if (fd < 0) return errno;
  return outcome(write(fd, "x", 1));
}
// TIOCLINUX can paste a selection; asking for the console in front shows that it is heard.
int console_call(const Surroundings&) {
  const int fd = open("/dev/tty1", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return errno;
  char what = TIOCL_GETFGCONSOLE;
  return outcome(ioctl(fd, TIOCLINUX, &what));
}
// Where no terminal can be opened: an unlisted request on a descriptor that is there.
int call_any(const Surroundings&) {
  int size = 0;
  return outcome(ioctl(1, FIOQSIZE, &size)) == ENOTTY ? 0 : no_effect;
}

}  // namespace

const Attempt attempts[] = {{"tiocsti", inject},
                            {"write", write_to},
                            {"tioclinux", console_call},
                            {"unlisted_request", call_any}};
const unsigned attempt_count = sizeof attempts / sizeof attempts[0];

}  // namespace tenantd::probe
