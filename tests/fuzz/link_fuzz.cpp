// A worker that may be compromised against the supervisor's end of its link: any packets, over a
// real socket.
//
// The input is a row of packets: a little-endian u16 length, then so many bytes. Whatever they
// hold, the supervisor goes on: it takes well-formed messages of the right generation and calls the
// rest misbehaviour.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "shared/os/process.h"
#include "shared/os/socket.h"
#include "supervisor/process/live_worker.h"

namespace {

using namespace tenantd;

struct Events final : WorkerEvents {
  void on_ready(const TenantId&, std::uint64_t generation) override { check(generation); }
  void on_registered(const TenantId&, std::uint64_t generation) override { check(generation); }
  void on_status(const TenantId&, std::uint64_t generation, const WorkerStatus& status) override {
    check(generation);
    if (!status.store_reason.valid()) std::abort();
  }
  void on_rows_moved(const TenantId&, std::uint64_t generation, const RowsMoved& moved) override {
    check(generation);
    if (!moved.tenant_id.valid() || !moved.reason.valid() || moved.done > 1) std::abort();
  }
  void on_misbehaved(const TenantId&, std::uint64_t generation, const std::string&) override {
    check(generation);
  }
  void on_died(const TenantId&, std::uint64_t, const DeathCause&, const std::string&) override {
    std::abort();  // it is this process
  }
  static void check(std::uint64_t generation) {
    if (generation != 1) std::abort();
  }
};

struct World {
  World() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tenantd-fuzz-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    directory = pattern;
  }
  ~World() {
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
  }
  std::string directory;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const World world;
  Loop loop;
  std::string explanation;
  const auto no_cgroups = make_cgroup_backend("/not-relative", explanation);
  CgroupReaper reaper(loop, *no_cgroups, [](const CgroupName&, const Error&) {});
  const RunRecords records(world.directory);
  Events events;
  const PhysicalHost nothing_set_aside{{}, {}, {}};
  const WorkerServices services{
      loop,    *no_cgroups,
      reaper,  records,
      {},      nothing_set_aside,
      &events, [](const TenantId&, pid_t, std::uint64_t, std::string_view, std::uint64_t) {}};
  RunRecord record{TenantId::parse("acme").value(), ::getpid(), 0, {}, 1, 0, {}, {}, {}, {}};
  auto worker = LiveWorker::survivor(services, record, open_pidfd(::getpid()).value()).value();
  auto pair = make_socket_pair(SocketKind::seqpacket).value();
  if (!worker->connect(std::move(pair.first))) std::abort();
  while (size >= 2) {
    std::uint16_t length = 0;
    std::memcpy(&length, data, sizeof length);
    data += 2;
    size -= 2;
    const std::size_t taken = std::min<std::size_t>(length, size);
    (void)::send(pair.second.get(), data, taken, MSG_DONTWAIT | MSG_NOSIGNAL);
    data += taken;
    size -= taken;
    loop.run_once();
  }
  pair.second.reset();
  loop.run_once();
  return 0;
}
