// A launch spec that anybody might have sealed: the record's reader, its check, and what the jail
// derives from a spec that passes.
//
// The input overlays a good spec: rows of a little-endian u16 offset, a length byte and so many
// bytes. A last row that is cut short says how many bytes the sealed record has.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>

#include "overlay.h"
#include "shared/os/sealed_memfd.h"
#include "shared/os/seccomp_filter.h"
#include "supervisor/jail/launch_spec_check.h"
#include "supervisor/jail/syscall_table.h"

namespace {

using namespace tenantd;

void require(bool holds) {
  if (!holds) std::abort();
}

// What the jail relies on without looking again.
void check_promises(const LaunchSpec& spec) {
  require(spec.mount_count <= spec.mounts.size());
  require(spec.data_file_count <= spec.data_files.size());
  require(spec.hostname.valid() && spec.tenant.tenant_id.valid());
  require(spec.open_files_limit >= 16 && spec.processes_limit > 0);
  for (std::size_t i = 0; i < spec.mount_count; ++i) {
    const MountSpec& mount = spec.mounts[i];
    require(mount.target.valid() && mount.source.valid());
    require(mount.target.view().front() == '/' && mount.target.view().size() > 1);
    require(mount.target.view().find("/../") == std::string_view::npos);
    require(!mount.target.view().ends_with("/.."));
    require(mount.detached_index >= -1 &&
            mount.detached_index < static_cast<std::int32_t>(LaunchSpec::max_mounts));
  }
  for (std::size_t i = 0; i < spec.data_file_count; ++i) {
    const std::string_view name = spec.data_files[i].view();
    require(!name.empty() && name != ".." && name.find('/') == std::string_view::npos);
  }
  require(spec.shard_count <= max_shards);
  for (std::uint32_t shard = spec.shard_count == 0 ? 0 : shard_limit(spec.shard_count);
       shard < max_shards; ++shard) {
    require(!spec.shards.has(shard));
  }
  FilterPlan plan;
  plan.rules = has_libraries(spec) ? allowed_syscalls_with_libraries() : allowed_syscalls();
  plan.refused = refused_syscalls();
  require(assemble_filter(plan).has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  LaunchSpec spec = fuzz::good_launch_spec();
  auto bytes = std::as_writable_bytes(std::span(&spec, 1));
  const std::size_t record_size = fuzz::overlay(bytes, std::span(data, size));
  const auto sealed = make_sealed_memfd("spec", bytes.first(record_size));
  if (!sealed) return 0;  // no descriptors left
  LaunchSpec read;
  const bool whole = read_sealed_record(sealed->get(), read).has_value();
  require(whole == (record_size == sizeof spec));
  if (!whole) return 0;
  require(std::memcmp(static_cast<void*>(&read), static_cast<void*>(&spec), sizeof spec) == 0);
  if (check_launch_spec(read)) check_promises(read);
  return 0;
}
