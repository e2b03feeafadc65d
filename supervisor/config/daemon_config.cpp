#include "supervisor/config/daemon_config.h"

#include <unistd.h>

#include <algorithm>

#include "shared/base/cpu_set.h"
#include "shared/base/tenant_id.h"
#include "supervisor/config/schema_reader.h"
#include "supervisor/config/secure_file.h"

namespace tenantd {
namespace {

// What `text` sets, stored into `config`; the places of the keys stay in the result.
struct ReadFile {
  TomlNode root;
  std::vector<ReadField> fields;
  [[nodiscard]] Place place(std::string_view section, std::string_view key) const {
    for (const ReadField& field : fields) {
      if (field.row->section == section && field.row->key == key) return field.place;
    }
    return {};
  }
};

bool read_into(std::string_view text, Diagnostics& diagnostics, DaemonConfig& config,
               ReadFile& read) {
  const NoAccounts accounts;
  ReadContext context{accounts, diagnostics};
  if (!parse_toml(text, diagnostics, read.root)) return false;
  read.fields = read_fields(daemon_fields(), read.root, {}, context);
  for (ReadField& field : read.fields) field.row->store(&config, std::move(field.value));
  return true;
}

// Flags pass through the same rows as the file's keys.
void apply_override(std::string_view key, const TomlNode& node, Diagnostics& flags,
                    DaemonConfig& config) {
  const NoAccounts accounts;
  ReadContext context{accounts, flags};
  for (const FieldSpec& row : daemon_fields()) {
    if (row.full_name() != key) continue;
    if (auto value = read_value(row, node, std::string(key), context)) {
      row.store(&config, *std::move(value));
    }
  }
}

void apply_overrides(const DaemonOverrides& overrides, Diagnostics& flags, DaemonConfig& config) {
  const auto text_node = [](const std::string& text) {
    TomlNode node;
    node.kind = TomlNode::Kind::text;
    node.text = text;
    return node;
  };
  const auto apply_path = [&](std::string_view key, const std::optional<std::string>& value) {
    if (value) apply_override(key, text_node(*value), flags, config);
  };
  apply_path("tenants_dir", overrides.tenants_dir);
  apply_path("state_dir", overrides.state_dir);
  apply_path("run_dir", overrides.run_dir);
  apply_path("cgroup.root", overrides.cgroup_root);
  if (overrides.tolerate_missing.empty()) return;
  TomlNode list;
  list.kind = TomlNode::Kind::list;
  const std::vector<std::string> of_file = config.tolerate_missing;
  for (const std::string& name : overrides.tolerate_missing) list.items.push_back(text_node(name));
  apply_override("tolerate_missing", list, flags, config);
  config.tolerate_missing.insert(config.tolerate_missing.end(), of_file.begin(), of_file.end());
}

void check_daemon(const DaemonConfig& config, const ReadFile& read, const UidFiles& uid_files,
                  Diagnostics& diagnostics) {
  for (const std::string& problem : uid_range_problems(config.uid_range, uid_files)) {
    diagnostics.add(read.place("uid_range", "first"), "uid_range", problem,
                    "the default, 1900000000 to 1900999999, is free on most hosts");
  }
  if (config.restart.backoff_min_ms > config.restart.backoff_max_ms) {
    diagnostics.add(read.place("restart", "backoff_min"), "restart.backoff_min",
                    "is above backoff_max");
  }
  if (!TenantId::parse(config.cgroup.name)) {
    diagnostics.add(read.place("cgroup", "name"), "cgroup.name",
                    quoted(config.cgroup.name) + " is not a name for a cgroup",
                    "small letters, digits and inner hyphens");
  }
  if (const auto cpus = CpuSet::parse(config.physical.cpus); !cpus) {
    diagnostics.add(read.place("physical", "cpus"), "physical.cpus", cpus.error().message,
                    cpus.error().hint);
  } else if (cpus->empty() && config.physical.partition) {
    diagnostics.add(read.place("physical", "partition"), "physical.partition",
                    "takes CPUs from the whole host, and cpus sets none aside");
  }
  const auto bad = std::find_if(config.admin_group.begin(), config.admin_group.end(), [](char c) {
    return c == ':' || c == '/' || c == ',' || c == ' ';
  });
  if (bad != config.admin_group.end()) {
    diagnostics.add(read.place({}, "admin_group"), "admin_group",
                    quoted(config.admin_group) + " is not the name of a group");
  }
}

}  // namespace

bool DaemonConfig::accepts_unenforced(const FieldSpec& row) const {
  return std::any_of(
      accept_unenforced.begin(), accept_unenforced.end(),
      [&row](const std::string& name) { return name == row.section || name == row.full_name(); });
}

LayerSet DaemonConfig::tolerated_layers() const {
  LayerSet layers;
  for (const std::string& name : tolerate_missing) {
    const auto found = std::find(layer_names.begin(), layer_names.end(), name);
    if (found != layer_names.end()) layers.add(static_cast<Layer>(found - layer_names.begin()));
  }
  return layers;
}

Checked<DaemonConfig> parse_daemon_config(std::string_view text, const std::string& file,
                                          const DaemonOverrides& overrides,
                                          const UidFiles& uid_files) {
  Diagnostics diagnostics(file);
  Diagnostics flags("command line");
  DaemonConfig config = default_daemon_config();
  ReadFile read;
  const bool parsed = read_into(text, diagnostics, config, read);
  apply_overrides(overrides, flags, config);
  if (parsed) check_daemon(config, read, uid_files, diagnostics);
  if (diagnostics.empty() && flags.empty()) return config;
  std::vector<Error> errors = diagnostics.take();
  std::vector<Error> flag_errors = flags.take();
  std::move(flag_errors.begin(), flag_errors.end(), std::back_inserter(errors));
  return tl::unexpected(std::move(errors));
}

Checked<DaemonConfig> load_daemon_config(const std::string& path,
                                         const DaemonOverrides& overrides) {
  Diagnostics diagnostics(path);
  const Result<std::string> text = read_secure_file(path, ::geteuid());
  if (!text) diagnostics.add(text.error());
  const Result<UidFiles> uid_files = read_uid_files();
  if (!uid_files) diagnostics.add(uid_files.error());
  if (!diagnostics.empty()) return tl::unexpected(diagnostics.take());
  return parse_daemon_config(*text, path, overrides, *uid_files);
}

DaemonConfig default_daemon_config() {
  static const DaemonConfig defaults = [] {
    Diagnostics diagnostics("defaults");
    DaemonConfig config;
    ReadFile read;
    (void)read_into(default_toml(daemon_fields(), 0), diagnostics, config, read);
    return config;
  }();
  return defaults;
}

}  // namespace tenantd
