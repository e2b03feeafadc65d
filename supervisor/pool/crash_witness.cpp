#include "supervisor/pool/crash_witness.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/contract/shards.h"
#include "shared/os/fd.h"

namespace tenantd {
namespace {

std::optional<TenantId> id_in(const std::array<char, 64>& field) {
  const std::string_view text(field.data(), ::strnlen(field.data(), field.size()));
  auto id = TenantId::parse(text);
  return id ? std::optional<TenantId>(*id) : std::nullopt;
}

bool is_own_doing(const DeathCause& cause) {
  switch (cause.kind) {
    case DeathCause::Kind::signalled:
      return cause.value != SIGKILL && cause.value != SIGTERM;
    case DeathCause::Kind::unknown:  // of an adopted worker nobody tells
      return true;
    default:
      return false;
  }
}

}  // namespace

std::optional<TenantId> find_culprit(const std::string& directory, const DeathCause& cause) {
  const std::string path = directory + '/' + std::string(running_file_name);
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat info {};
  RunningRecord record;
  if (!file || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode) ||
      ::pread(file.get(), &record, sizeof record, 0) != static_cast<ssize_t>(sizeof record)) {
    return std::nullopt;
  }
  if (cause.kind == DeathCause::Kind::out_of_memory) return id_in(record.largest_id);
  if (!is_own_doing(cause)) return std::nullopt;
  auto running = id_in(record.tenant_id);
  return running ? running : id_in(record.editing_id);
}

}  // namespace tenantd
