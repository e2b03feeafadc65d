// The table of tenantd.toml: one row a key.
#include "supervisor/config/daemon_config.h"
#include "supervisor/config/tenant_config.h"

namespace tenantd {
namespace {

template <auto Access>
FieldSpec at(FieldSpec row) {
  return bind_field<DaemonConfig, Access>(row);
}
// The member a row fills.
#define TENANTD_AT(member)                                 \
  at < [](auto& config) -> auto& { return config.member; } \
  >

using enum ValueType;
constexpr auto reload = Applies::daemon_reload;
constexpr auto restart = Applies::daemon_restart;
constexpr std::uint64_t minute_ms = 60'000;
constexpr std::uint64_t hour_ms = 60 * minute_ms;

constexpr std::string_view format_names[] = {"text", "json"};
constexpr std::string_view level_names[] = {"debug", "info", "warn", "error"};
constexpr std::string_view controller_names[] = {"cpu", "memory", "pids", "io"};

// Every layer but no_new_privs, which no kernel lacks.
std::span<const std::string_view> tolerable_layers() {
  static const std::vector<std::string_view> names = [] {
    std::vector<std::string_view> out;
    for (const std::string_view name : layer_names) {
      if (name != layer_names[static_cast<std::size_t>(Layer::no_new_privs)]) out.push_back(name);
    }
    return out;
  }();
  return names;
}

using Rows = std::vector<FieldSpec>;

// One row a key, its parts in the order of FieldSpec.
// clang-format off
void add_top(Rows& rows) {
  rows.insert(rows.end(), {
    TENANTD_AT(tenants_dir)({.key = "tenants_dir", .type = path,
        .fallback = "\"/etc/tenantd/tenants\"", .applies = restart,
        .doc = "One `<id>.toml` a tenant. Flag: `--tenants-dir`."}),
    TENANTD_AT(state_dir)({.key = "state_dir", .type = path, .fallback = "\"/var/lib/tenantd\"",
        .applies = restart,
        .doc = "Tenants' data and the ledger. Flag: `--state-dir`."}),
    TENANTD_AT(run_dir)({.key = "run_dir", .type = path, .fallback = "\"/run/tenantd\"",
        .applies = restart,
        .doc = "Sockets. Flag: `--run-dir`."}),
    TENANTD_AT(accept_unenforced)({.key = "accept_unenforced", .type = text_list, .max = 64,
        .choices = unenforced_names(), .fallback = "[]",
        .example = "[\"data_residency\", \"security.mfa_required\"]", .applies = reload,
        .doc = "Keys or whole sections of tenants' files that this version does not enforce and "
               "that refuse a tenant unless they are listed here."}),
    TENANTD_AT(tolerate_missing)({.key = "tolerate_missing", .type = text_list, .max = 32,
        .choices = tolerable_layers(), .fallback = "[]", .example = "[\"cgroup_io\"]",
        .applies = restart,
        .doc = "Confinement layers that this host may lack. A missing layer that is not listed "
               "keeps workers from starting. Flag: `--tolerate-missing`."}),
    TENANTD_AT(max_workers)({.key = "max_workers", .type = integer, .min = 1, .max = 100'000,
        .fallback = "1000", .applies = reload,
        .doc = "Workers at once."}),
    TENANTD_AT(start_concurrency)({.key = "start_concurrency", .type = integer, .min = 1,
        .max = 1000, .fallback = "8", .applies = reload,
        .doc = "Workers starting at once."}),
    TENANTD_AT(start_timeout_ms)({.key = "start_timeout", .type = duration, .min = 100,
        .max = hour_ms, .fallback = "\"10s\"", .applies = reload,
        .doc = "A worker that is not ready by then is killed and restarted."}),
    TENANTD_AT(hello_timeout_ms)({.key = "hello_timeout", .type = duration, .min = 10,
        .max = minute_ms, .fallback = "\"2s\"", .applies = reload,
        .doc = "A connection that has not said hello by then is closed."}),
    TENANTD_AT(drain_timeout_ms)({.key = "drain_timeout", .type = duration, .min = 0,
        .max = hour_ms, .fallback = "\"10s\"", .applies = reload,
        .doc = "A worker that is told to stop may finish requests for this long."}),
    TENANTD_AT(orphan_grace_ms)({.key = "orphan_grace", .type = duration, .min = 1000,
        .max = 24 * hour_ms, .fallback = "\"60s\"", .applies = reload,
        .doc = "A worker without a supervisor goes on for this long, then drains and exits. For "
               "workers started after the change."}),
    TENANTD_AT(admin_group)({.key = "admin_group", .type = text, .min = 1, .max = 32,
        .fallback = "\"tenantd\"", .applies = restart,
        .doc = "Members may use the administration; root always may. Need not exist."}),
    TENANTD_AT(region)({.key = "region", .type = text, .max = 63, .fallback = "\"\"",
        .example = "\"eu-west-1\"", .applies = restart,
        .doc = "Where this host is. A tenant whose `data_residency` is another region is refused. "
               "Empty: `data_residency` is not enforced."}),
    TENANTD_AT(encoders)({.key = "encoders", .type = encoder_tables, .max = 16,
        .example = "{ potion = { path = \"/usr/share/encoders/potion-base-2M\" } }",
        .applies = restart,
        .doc = "Models that turn text into vectors for tenants whose `router.encoder` is NAME; see "
               "the keys below."}),
    TENANTD_AT(uid_range.first)({.section = "uid_range", .key = "first", .type = integer, .min = 0,
        .max = UINT32_MAX, .fallback = "1900000000", .applies = restart,
        .doc = "First uid for tenants."}),
    TENANTD_AT(uid_range.last)({.section = "uid_range", .key = "last", .type = integer, .min = 0,
        .max = UINT32_MAX, .fallback = "1900999999", .applies = restart,
        .doc = "Last uid for tenants. The range must not touch users of /etc/passwd, ranges of "
               "/etc/subuid and /etc/subgid, and systemd's ranges."}),
  });
}

void add_policies(Rows& rows) {
  rows.insert(rows.end(), {
    TENANTD_AT(restart.backoff_min_ms)({.section = "restart", .key = "backoff_min",
        .type = duration, .min = 10, .max = hour_ms, .fallback = "\"100ms\"", .applies = reload,
        .doc = "Wait before the first restart; doubles with every death."}),
    TENANTD_AT(restart.backoff_max_ms)({.section = "restart", .key = "backoff_max",
        .type = duration, .min = 10, .max = 24 * hour_ms, .fallback = "\"30s\"", .applies = reload,
        .doc = "Longest wait before a restart."}),
    TENANTD_AT(restart.crash_loop_count)({.section = "restart", .key = "crash_loop_count",
        .type = integer, .min = 2, .max = 1000, .fallback = "5", .applies = reload,
        .doc = "So many deaths within `crash_loop_window` quarantine the tenant."}),
    TENANTD_AT(restart.crash_loop_window_ms)({.section = "restart", .key = "crash_loop_window",
        .type = duration, .min = 1000, .max = 24 * hour_ms, .fallback = "\"60s\"",
        .applies = reload,
        .doc = "See `crash_loop_count`."}),
    TENANTD_AT(removal_confirmation.max_tenants)({.section = "removal_confirmation",
        .key = "max_tenants", .type = integer, .min = 1, .max = 1'000'000, .fallback = "50",
        .applies = reload,
        .doc = "More removed files than this at once wait for `tenantctl reload "
               "--confirm-removal`."}),
    TENANTD_AT(removal_confirmation.max_percent)({.section = "removal_confirmation",
        .key = "max_percent", .type = integer, .min = 1, .max = 100, .fallback = "25",
        .applies = reload,
        .doc = "So does a greater share of all tenants than this."}),
    TENANTD_AT(removal_confirmation.percent_from)({.section = "removal_confirmation",
        .key = "percent_from", .type = integer, .min = 1, .max = 1'000'000, .fallback = "5",
        .applies = reload,
        .doc = "The share counts from this many removals on, so that a small host is not asked "
               "about single files."}),
    TENANTD_AT(log.format)({.section = "log", .key = "format", .type = choice,
        .choices = format_names, .fallback = "\"text\"", .applies = restart,
        .doc = "`json`: one object a line."}),
    TENANTD_AT(log.level)({.section = "log", .key = "level", .type = choice, .choices = level_names,
        .fallback = "\"info\"", .applies = reload,
        .doc = "What is logged at least."}),
    TENANTD_AT(log.lines_per_second)({.section = "log", .key = "lines_per_second", .type = integer,
        .min = 1, .max = 100'000, .fallback = "50", .applies = reload,
        .doc = "Lines of one tenant's worker; what is above is counted and dropped."}),
    TENANTD_AT(ceilings.cpu_millicores)({.section = "ceilings", .key = "cpu", .type = cpu,
        .min = 10, .max = 1'024'000, .fallback = "\"400%\"", .applies = reload,
        .doc = "No tenant's `resources.cpu` may be above."}),
    TENANTD_AT(ceilings.memory_max_bytes)({.section = "ceilings", .key = "memory_max",
        .type = size, .min = 16ULL << 20U, .max = 1ULL << 40U, .fallback = "\"4G\"",
        .applies = reload,
        .doc = "No tenant's `resources.memory_max` may be above."}),
    TENANTD_AT(ceilings.pids_max)({.section = "ceilings", .key = "pids_max", .type = integer,
        .min = 4, .max = 32'768, .fallback = "512", .applies = reload,
        .doc = "No tenant's `resources.pids_max` may be above."}),
  });
}

void add_host(Rows& rows) {
  rows.insert(rows.end(), {
    TENANTD_AT(cgroup.root)({.section = "cgroup", .key = "root", .type = path,
        .example = "\"/sys/fs/cgroup/tenantd.slice\"", .applies = restart,
        .doc = "The cgroup directory that tenantd may use (v2). Default: its own."}),
    TENANTD_AT(cgroup.name)({.section = "cgroup", .key = "name", .type = text, .min = 1, .max = 63,
        .fallback = "\"tenantd\"", .applies = restart,
        .doc = "The group, below the root, that holds all tenants: an id such as `tenantd`. Give "
               "each instance on a host its own."}),
    TENANTD_AT(cgroup.controllers)({.section = "cgroup", .key = "controllers", .type = text_list,
        .max = 4, .choices = controller_names, .fallback = "[\"cpu\", \"memory\", \"pids\"]",
        .applies = restart,
        .doc = "Controllers that must work, unless `tolerate_missing` lists their layer."}),
    TENANTD_AT(worker.program)({.section = "worker", .key = "program", .type = path,
        .example = "\"/usr/libexec/tenantd/tenantd-worker\"", .applies = reload,
        .doc = "The program every worker runs. Default: this installation's `tenantd-worker`. "
               "For workers started after the change."}),
    TENANTD_AT(worker.library_paths)({.section = "worker", .key = "library_paths",
        .type = path_list, .max = 8, .fallback = "[]", .example = "[\"/usr/lib/x86_64-linux-gnu\"]",
        .applies = reload,
        .doc = "Directories bound read-only into every worker's root, for a program that is "
               "linked dynamically. They widen what a worker can read and execute."}),
    TENANTD_AT(hello.max_per_second)({.section = "hello", .key = "max_per_second", .type = integer,
        .min = 1, .max = 1'000'000, .fallback = "2000", .applies = reload,
        .doc = "Connections accepted a second."}),
    TENANTD_AT(hello.max_per_second_per_uid)({.section = "hello", .key = "max_per_second_per_uid",
        .type = integer, .min = 1, .max = 1'000'000, .fallback = "500", .applies = reload,
        .doc = "Connections accepted a second of one user."}),
    TENANTD_AT(hello.max_pending)({.section = "hello", .key = "max_pending", .type = integer,
        .min = 1, .max = 65'536, .fallback = "256", .applies = reload,
        .doc = "Connections at once that have not said hello."}),
    TENANTD_AT(verify.on_start)({.section = "verify", .key = "on_start", .type = boolean,
        .fallback = "true", .applies = reload,
        .doc = "Verify a tenant's isolation when it is new and its worker is ready."}),
    TENANTD_AT(verify.interval_ms)({.section = "verify", .key = "interval", .type = duration,
        .min = 0, .max = 31 * 24 * hour_ms, .fallback = "\"0s\"", .example = "\"24h\"",
        .applies = reload,
        .doc = "Time between rounds that verify every tenant, one after another; `0s`: none."}),
    TENANTD_AT(verify.on_violation)({.section = "verify", .key = "on_violation", .type = path,
        .example = "\"/usr/local/sbin/tenantd-violation\"", .applies = reload,
        .doc = "A program that is run when a probe fails, as tenantd's user, with the tenant's id "
               "and the names of the failed probes as arguments. It must belong to root or to "
               "tenantd's user, and nobody else may write it."}),
  });
}

void add_pool(Rows& rows) {
  rows.insert(rows.end(), {
    TENANTD_AT(pool.workers)({.section = "pool", .key = "workers", .type = integer,
        .max = max_pool_workers, .fallback = "2", .applies = reload,
        .doc = "Processes that the standard tenants share; they run while there is such a tenant. "
               "0: standard tenants are refused. A change moves the fewest shards that it can."}),
    TENANTD_AT(pool.shards)({.section = "pool", .key = "shards", .type = integer, .min = 1,
        .max = max_shards, .fallback = "64", .applies = restart,
        .doc = "Databases that the standard tenants' data is spread over. Fixed once the first "
               "pooled worker has run."}),
    TENANTD_AT(pool.cpu_millicores)({.section = "pool", .key = "cpu", .type = cpu, .min = 10,
        .max = 1'024'000, .fallback = "\"200%\"", .applies = reload,
        .doc = "CPU time of each pooled worker at most."}),
    TENANTD_AT(pool.cpu_weight)({.section = "pool", .key = "cpu_weight", .type = integer, .min = 1,
        .max = 10'000, .fallback = "100", .applies = reload,
        .doc = "Share of CPU time of each pooled worker when tenants compete."}),
    TENANTD_AT(pool.memory_max_bytes)({.section = "pool", .key = "memory_max", .type = size,
        .min = 64ULL << 20U, .max = 1ULL << 40U, .fallback = "\"1G\"", .applies = reload,
        .doc = "Memory of each pooled worker at most. A change replaces the workers."}),
    TENANTD_AT(pool.pids_max)({.section = "pool", .key = "pids_max", .type = integer, .min = 4,
        .max = 32'768, .fallback = "128", .applies = reload,
        .doc = "Processes and threads of each pooled worker at most."}),
    TENANTD_AT(pool.max_attachments)({.section = "pool", .key = "max_attachments",
        .type = integer, .min = 1, .max = 65'536, .fallback = "4096", .applies = reload,
        .doc = "Attachments of all tenants of one pooled worker. A change replaces the workers."}),
    TENANTD_AT(pool.max_shard_bytes)({.section = "pool", .key = "max_shard_size", .type = size,
        .min = 1ULL << 20U, .max = 1ULL << 50U, .fallback = "\"64G\"", .applies = reload,
        .doc = "Size of one shard's database at most. A change replaces the workers."}),
  });
}

// clang-format on

}  // namespace

std::span<const FieldSpec> daemon_fields() {
  static const Rows rows = [] {
    Rows all;
    all.reserve(96);
    add_top(all);
    add_policies(all);
    add_host(all);
    add_pool(all);
    add_physical_daemon_fields(all);
    return all;
  }();
  return rows;
}

}  // namespace tenantd
