// Shared memory, queues and semaphores that the host's programs hold.
#include <fcntl.h>
#include <mqueue.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>

#include "tests/isolation/probes/probe.h"

namespace tenantd::probe {
namespace {

key_t key(const Surroundings& around) { return 0x746e0000 | (around.victim & 0xffff); }

int shared_memory(const Surroundings& around) {
  const int id = shmget(key(around), 0, 0);
  if (id < 0) return errno;
  const void* memory = shmat(id, nullptr, SHM_RDONLY);
  if (memory == reinterpret_cast<void*>(-1)) return errno;
  return memcmp(memory, secret, sizeof secret) == 0 ? 0 : no_effect;
}
int message_queue(const Surroundings& around) {
  const mqd_t queue = mq_open(numbered("/tenantd-probe-%d", around.victim).text, O_RDONLY);
  return outcome(queue);
}
int semaphore(const Surroundings& around) { return outcome(semget(key(around), 1, 0)); }

}  // namespace

const Attempt attempts[] = {
    {"shared_memory", shared_memory}, {"message_queue", message_queue}, {"semaphore", semaphore}};
const unsigned attempt_count = sizeof attempts / sizeof attempts[0];

}  // namespace tenantd::probe
