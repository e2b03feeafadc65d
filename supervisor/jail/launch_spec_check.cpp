#include "supervisor/jail/launch_spec_check.h"

namespace tenantd {
namespace {

constexpr std::uint64_t max_open_files = 1U << 20U;
constexpr std::uint64_t max_processes = 1U << 16U;

Status refuse(std::string message) { return fail(ErrorCode::invalid_argument, std::move(message)); }

Status check_mount(const MountSpec& mount, std::size_t index) {
  const std::string name = "launch spec: mount " + std::to_string(index);
  if (mount.kind != MountSpec::Kind::read_only_bind && mount.kind != MountSpec::Kind::data_bind &&
      mount.kind != MountSpec::Kind::scratch_tmpfs) {
    return refuse(name + ": unknown kind");
  }
  if (!mount.source.valid() || !mount.target.valid()) return refuse(name + ": unterminated path");
  if (!is_plain_absolute_path(mount.target.view())) return refuse(name + ": bad target");
  if (mount.detached_index < -1 ||
      mount.detached_index >= static_cast<std::int32_t>(LaunchSpec::max_mounts)) {
    return refuse(name + ": bad detached index");
  }
  if (mount.kind == MountSpec::Kind::scratch_tmpfs) {
    return mount.size_bytes == 0 ? refuse(name + ": a tmpfs without a size") : Status{};
  }
  if (!is_plain_absolute_path(mount.source.view())) return refuse(name + ": bad source");
  return {};
}

Status check_data_files(const LaunchSpec& spec) {
  if (spec.data_file_count > LaunchSpec::max_data_files) {
    return refuse("launch spec: too many data files");
  }
  for (std::size_t i = 0; i < spec.data_file_count; ++i) {
    const FixedText<32>& name = spec.data_files[i];
    if (!name.valid() || name.view().empty() || name.view().front() == '.' ||
        name.view().find('/') != std::string_view::npos) {
      return refuse("launch spec: bad name of data file " + std::to_string(i));
    }
  }
  return {};
}

// Only a tenant's own worker, or the probe that stands for it, has a network.
Status check_allowances(const LaunchSpec& spec) {
  if ((spec.allowances & ~all_allowances) != 0) return refuse("launch spec: unknown allowances");
  if (spec.connect_port_count > LaunchSpec::max_connect_ports) {
    return refuse("launch spec: too many ports");
  }
  if (!has_allowance(spec, Allowance::internet_sockets)) {
    if (spec.allowances == 0 && spec.connect_port_count == 0) return {};
    return refuse("launch spec: ports without sockets");
  }
  const bool worker = spec.kind == ProgramKind::worker || spec.kind == ProgramKind::isolation_probe;
  if (!worker || spec.shard_count > 0) return refuse("launch spec: a network of no tenant");
  return {};
}

// A worker without a shard has nothing to do, and one of a pool keeps no other files.
Status check_shards(const LaunchSpec& spec) {
  if (spec.shard_count > max_shards) return refuse("launch spec: too many shards");
  const std::uint32_t limit = spec.shard_count == 0 ? 0 : shard_limit(spec.shard_count);
  for (std::uint32_t shard = limit; shard < max_shards; ++shard) {
    if (spec.shards.has(shard)) return refuse("launch spec: a shard that is none");
  }
  if (spec.shard_count == 0) return {};
  if (spec.kind != ProgramKind::worker) return refuse("launch spec: shards of no worker");
  if (spec.shards.empty() || spec.data_file_count == 0) {
    return refuse("launch spec: a pooled worker without shards or files");
  }
  return {};
}

}  // namespace

bool is_plain_absolute_path(std::string_view path) noexcept {
  if (path.size() < 2 || path.front() != '/' || path.back() == '/') return false;
  std::size_t start = 1;
  while (start <= path.size()) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    const std::string_view component = path.substr(start, end - start);
    if (component.empty() || component == "." || component == "..") return false;
    start = end + 1;
  }
  return true;
}

Status check_launch_spec(const LaunchSpec& spec) {
  if (spec.magic != LaunchSpec::magic_value) return refuse("launch spec: wrong magic");
  if (spec.version != LaunchSpec::version_value) return refuse("launch spec: wrong version");
  if (spec.kind != ProgramKind::worker && spec.kind != ProgramKind::control &&
      spec.kind != ProgramKind::encoder_compiler && spec.kind != ProgramKind::isolation_probe) {
    return refuse("launch spec: unknown program kind");
  }
  if (spec.mount_count > LaunchSpec::max_mounts) return refuse("launch spec: too many mounts");
  if (!spec.hostname.valid()) return refuse("launch spec: unterminated hostname");
  if (!spec.tenant.tenant_id.valid()) return refuse("launch spec: unterminated tenant id");
  if (spec.open_files_limit < 16 || spec.open_files_limit > max_open_files) {
    return refuse("launch spec: open_files_limit out of range");
  }
  if (spec.processes_limit == 0 || spec.processes_limit > max_processes) {
    return refuse("launch spec: processes_limit out of range");
  }
  if (LayerSet(spec.tolerated_layers).bits() != spec.tolerated_layers ||
      LayerSet(spec.supervisor_layers).bits() != spec.supervisor_layers) {
    return refuse("launch spec: unknown layers");
  }
  for (std::size_t i = 0; i < spec.mount_count; ++i) {
    if (auto checked = check_mount(spec.mounts[i], i); !checked) return checked;
  }
  if (auto checked = check_data_files(spec); !checked) return checked;
  if (auto checked = check_allowances(spec); !checked) return checked;
  return check_shards(spec);
}

bool is_library(const MountSpec& mount) noexcept {
  return mount.kind == MountSpec::Kind::read_only_bind &&
         mount.target.view() != link_directory_path && mount.target.view() != encoders_path;
}

bool has_libraries(const LaunchSpec& spec) noexcept {
  for (std::size_t i = 0; i < spec.mount_count; ++i) {
    if (is_library(spec.mounts[i])) return true;
  }
  return false;
}

}  // namespace tenantd
