// tenantd-worker-example: a worker that is no router, as an owner of a host may write one for a
// platinum tenant. It classifies texts by a few words and keeps count in a file of its own.
//
// Confined by tenantd-jail like every worker; docs/worker-contract.md is what it keeps to. It uses
// the headers of shared/ and nothing of tenantd-worker.
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "shared/os/lockdown.h"
#include "shared/os/process.h"
#include "shared/os/sealed_memfd.h"
#include "worker/example/service.h"

using namespace tenantd;

namespace {

const std::string runs_path = std::string(data_path) + "/runs";

// Whole or not at all. The jail allows no chmod: a file keeps the mode that it is made with.
bool write_whole(const std::string& path, const std::string& text) {
  const std::string fresh = path + ".new";
  const UniqueFd file(
      ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  return file && ::write(file.get(), text.data(), text.size()) == std::ssize(text) &&
         ::fsync(file.get()) == 0 && std::rename(fresh.c_str(), path.c_str()) == 0;
}

// What is in /data outlives the process: the number of this tenant's runs.
unsigned long count_run() {
  const auto before = read_small_file(runs_path);
  const unsigned long runs = (before ? std::strtoul(before->c_str(), nullptr, 10) : 0) + 1;
  if (!write_whole(runs_path, std::to_string(runs) + '\n')) {
    std::fprintf(stderr, "cannot write %s\n", runs_path.c_str());
  }
  return runs;
}

bool is_ours(const LaunchSpec& spec) noexcept {
  return spec.magic == LaunchSpec::magic_value && spec.version == LaunchSpec::version_value &&
         spec.kind == ProgramKind::worker && spec.generation > 0 && spec.shard_count == 0 &&
         spec.tenant.tenant_id.valid() && spec.tenant.router.fallback_route.valid();
}

ExitCode run() {
  (void)std::signal(SIGPIPE, SIG_IGN);
  (void)std::setvbuf(stderr, nullptr, _IOLBF, 1024);  // a line is one write
  (void)::fcntl(link_fd, F_SETFD, FD_CLOEXEC);
  LaunchSpec spec;
  if (!read_sealed_record(launch_spec_fd, spec) || !is_ours(spec)) {
    return ExitCode::bad_launch_spec;
  }
  (void)::close(launch_spec_fd);
  // Before the data and before a byte of a client. A host may tolerate that there is no filter.
  const bool filter_may_lack = LayerSet(spec.tolerated_layers).has(Layer::seccomp);
  if (!lock_down_self(false) && !filter_may_lack) return ExitCode::confinement;
  std::fprintf(stderr, "run %lu of %s\n", count_run(),
               std::string(spec.tenant.tenant_id.view()).c_str());
  return example::Service(spec, UniqueFd(link_fd)).run();
}

}  // namespace

int main() { return static_cast<int>(run()); }
