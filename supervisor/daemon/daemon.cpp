#include "supervisor/daemon/daemon.h"

#include <unistd.h>

#include <algorithm>
#include <random>
#include <utility>

#include "shared/base/clock.h"
#include "shared/os/socket.h"
#include "supervisor/daemon/notify.h"
#include "supervisor/process/encoder_store.h"

namespace tenantd {
namespace {

UidAllocator uids_of(const DaemonParts& parts) {
  return {parts.config.uid_range.first, parts.config.uid_range.size(),
          parts.launcher.host().privileged};
}

// Of all tenants' hooks together: of those that are stopped at once, too.
constexpr HookLimits tenant_hook_limits{
    .max_running = 4, .max_waiting = 256, .max_waiting_per_tenant = 4};
// For the hooks of workers that an orderly stop has ended.
constexpr std::uint64_t hooks_at_stop_ms = 10'000;

OperatorRules operators_of(const DaemonParts& parts) {
  OperatorRules rules;
  rules.daemon_uid = ::geteuid();
  rules.admin_gid = parts.accounts.group_id(parts.config.admin_group);
  return rules;
}

}  // namespace

Daemon::Daemon(DaemonParts parts)
    : parts_(std::move(parts)),
      started_ms_(now_ms()),
      reaper_(parts_.loop, parts_.cgroups,
              [this](const CgroupName& name, const Error& error) {
                parts_.log.warning("a cgroup is left behind: " + error.describe(),
                                   {.tenant = name.tenant ? name.tenant->view() : "control"});
              }),
      records_(parts_.paths.record_directory()),
      services_{parts_.loop,
                parts_.cgroups,
                reaper_,
                records_,
                {.log_lines_per_second = parts_.config.log.lines_per_second},
                parts_.physical,
                nullptr,
                [this](const TenantId& tenant, pid_t pid, std::uint64_t generation,
                       std::string_view line, std::uint64_t suppressed) {
                  on_worker_line(tenant, pid, generation, line, suppressed);
                }},
      workforce_(services_, parts_.launcher, parts_.physical, uids_of(parts_), parts_.paths),
      tenants_(*this, TenantPolicy::from(parts_.config), std::random_device{}()),
      own_shards_(read_own_shards(parts_)),
      pool_workers_(tenants_, parts_.config, own_shards_),
      pooled_(
          *this, pool_workers_,
          [this](std::uint64_t files) {
            tell(EventType::config_applied, {}, 0, 0,
                 "and " + std::to_string(files) + " more files of standard tenants");
          },
          [this](const TenantId& id) { verifier_.onboard_pooled(id); }),
      members_(parts_.config.state_dir),
      broker_(parts_.loop, *this, operators_of(parts_), counters_),
      reception_(parts_.loop, parts_.config.hello, parts_.config.hello_timeout_ms, counters_,
                 [this](UniqueFd connection, const CheckedHello& hello, const PeerIdentity& peer) {
                   broker_.on_hello(std::move(connection), hello, peer);
                 }),
      control_(control_services(), command_targets(), parts_.config, last_control_generation()),
      verifier_(
          verification_services(), parts_.config,
          [this](const VerifyReport& report, std::string_view why) { on_verified(report, why); },
          [this](std::uint64_t tenants) {
            parts_.log.warning("too many new standard tenants at once: " + std::to_string(tenants) +
                               " are not verified as they come");
          }),
      violation_hook_(parts_.loop, HookLimits{},
                      [this](bool problem, const std::string& message, std::string_view tenant) {
                        on_hook(problem, message, tenant);
                      }),
      hooks_(parts_.loop, tenant_hook_limits,
             [this](bool problem, const std::string& message, std::string_view tenant) {
               on_hook(problem, message, tenant);
             }),
      directory_(parts_.loop, parts_.config, parts_.accounts, tenants_, pooled_, members_,
                 directory_callbacks()),
      alarm_(parts_.loop),
      pool_timer_(parts_.loop),
      sleepers_(tenants_, parts_.config.state_dir + "/retention-sweeps", {}, sweep_services()),
      sleepers_timer_(parts_.loop),
      allotment_timer_(parts_.loop),
      affinity_timer_(parts_.loop),
      finish_(parts_.loop) {
  services_.events = &tenants_;
  workforce_.configure(parts_.config);
}

Daemon::~Daemon() = default;

ControlServices Daemon::control_services() {
  return {parts_.loop,
          parts_.launcher,
          parts_.cgroups,
          reaper_,
          uids_of(parts_),
          parts_.paths,
          [this](bool problem, const std::string& message, pid_t pid) {
            parts_.log.write(problem ? LogLevel::warn : LogLevel::info, message, {.pid = pid});
          },
          [this](std::string_view line, pid_t pid, std::uint64_t suppressed) {
            parts_.log.info(line, {.pid = pid, .suppressed = suppressed, .source = "control"});
          },
          [this] {
            control_gone_ = true;
            finish_if_done();
          }};
}

CommandTargets Daemon::command_targets() {
  return {tenants_,
          pooled_,
          pool_workers_,
          [this] { return daemon_record(); },
          [this] { reload(); },
          [this] {
            release_unknown(true);
            return directory_.confirm_removal();
          },
          [this](const Tenant& tenant) { return posture_of(tenant); },
          [this] { return !parts_.launcher.host().privileged; },
          [this](const TenantId& tenant, CheckMask checks, CommandTargets::OnVerified answer) {
            verifier_.verify(tenant, checks, [answer](const Result<VerifyReport>& report) {
              if (!report) return answer(tl::unexpected(report.error()), {});
              answer(report->probes, report->plan);
            });
          }};
}

VerificationServices Daemon::verification_services() {
  return {{parts_.loop, parts_.launcher, parts_.cgroups, reaper_, workforce_.network_helpers()},
          {tenants_, pooled_, pool_workers_},
          workforce_,
          uids_of(parts_),
          parts_.paths};
}

TenantDirectoryCallbacks Daemon::directory_callbacks() {
  return {[this] { on_first_scan(); },
          [this](std::size_t count) {
            tell(EventType::removal_held, {}, 0, 0,
                 std::to_string(count) +
                     " files are gone at once: their tenants go on until "
                     "`tenantctl reload --confirm-removal`");
          },
          [this](const std::string& problem) {
            parts_.log.warning(problem.empty() ? "the tenants directory can be read again"
                                               : "tenants directory: " + problem);
          },
          [this](const TenantId& id, const std::string& why) {
            tell(EventType::config_rejected, id.view(), 0, 0, why);
          }};
}

std::uint64_t Daemon::last_control_generation() const {
  std::uint64_t last = 0;
  if (const auto names = parts_.cgroups.list()) {
    for (const CgroupName& name : *names) {
      if (!name.tenant) last = std::max(last, name.generation);
    }
  }
  return last;
}

Status Daemon::start() {
  tell(EventType::supervisor_started, {}, ::getpid(), 0, TENANTD_VERSION);
  prepare_encoders();
  check_pool();
  adopt_survivors();
  watch_affinity();
  if (Status opened = open_registration(); !opened) return opened;
  control_.start();
  directory_.rescan(false);
  return {};
}

void Daemon::prepare_encoders() {
  EncoderStore store(parts_.launcher, uids_of(parts_), parts_.paths,
                     parts_.config.tolerated_layers(),
                     [this](bool problem, const std::string& message) {
                       parts_.log.write(problem ? LogLevel::warn : LogLevel::info, message, {});
                     });
  parts_.config.prepared_encoders = store.prepare(parts_.config.encoders);
  workforce_.configure(parts_.config);
}

OwnShards Daemon::read_own_shards(const DaemonParts& parts) {
  OwnShards shards(parts.paths.state_dir + "/own-shards");
  for (const std::string& problem : shards.load()) parts.log.error("own shards: " + problem);
  shards.avoid(shards_on_disk(parts.paths.state_dir));
  return shards;
}

void Daemon::check_pool() {
  const Status same = check_shard_count(parts_.config.state_dir, parts_.config.pool.shards);
  if (same) return;
  parts_.config.pool.problem = same.error().message;
  parts_.log.error("no standard tenant can run: " + same.error().describe());
}

void Daemon::adopt_survivors() {
  for (auto& worker : workforce_.find_survivors()) {
    const TenantId id = worker->record().tenant;
    if (Status kept = workforce_.keep_in_place(worker->record()); !kept) {
      parts_.log.warning(
          "a survivor may run on CPUs that are not its own: " + kept.error().describe(),
          {.tenant = id.view(), .pid = worker->pid()});
    }
    tenants_.expect_survivor(id, std::move(worker));
  }
  reaper_.reap_leftovers([this](const CgroupName& name) {
    const Tenant* const tenant = name.tenant ? tenants_.find(*name.tenant) : nullptr;
    return tenant != nullptr && !name.probe && tenant->generation == name.generation;
  });
}

Status Daemon::open_registration() {
  auto socket = listen_unix(parts_.paths.link_directory() + "/supervisor.sock",
                            SocketKind::seqpacket, 4096, 0666);
  if (!socket) return tl::unexpected(socket.error());
  auto registration = Registration::create(
      parts_.loop, std::move(*socket),
      [this](const PeerCredentials& peer) { return is_awaited(peer); },
      [this](const PeerCredentials& peer, const WorkerHello& hello, UniqueFd& connection) {
        return register_worker(peer, hello, connection);
      },
      [this](int) { parts_.log.warning("out of descriptors: workers wait to register"); });
  if (!registration) return tl::unexpected(registration.error());
  registration_ = std::move(*registration);
  return {};
}

Status Daemon::open_client_socket() {
  auto socket = listen_unix(parts_.paths.run_dir + "/tenantd.sock", SocketKind::stream, 4096, 0666);
  if (!socket) return tl::unexpected(socket.error());
  auto listener = Listener::create(
      parts_.loop, std::move(*socket),
      [this](UniqueFd connection) { reception_.receive(std::move(connection)); },
      [this](int) { parts_.log.warning("out of descriptors: clients wait to be accepted"); });
  if (!listener) return tl::unexpected(listener.error());
  clients_ = std::move(*listener);
  return {};
}

// Only now: before, a client of a tenant that is still being read would be told it does not exist.
void Daemon::on_first_scan() {
  if (stopping_) return;
  if (Status opened = open_client_socket(); !opened) {
    parts_.log.error("clients' socket: " + opened.error().describe());
    return stop();
  }
  run_missed_hooks();
  release_unknown(false);
  sleepers_timer_.start(SleeperSweepTimes{}.first_ms, [this] { sweep_sleepers(); });
  parts_.log.info("ready: " + std::to_string(known_tenants()) + " tenants");
  notify_service_manager("READY=1");
}

void Daemon::reload() {
  const std::uint64_t now_us = monotonic_ns() / 1000;
  notify_service_manager("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(now_us));
  const Options& options = parts_.options;
  const bool absent = !options.config_given && ::access(options.config_path.c_str(), F_OK) != 0;
  auto fresh = absent ? parse_daemon_config("", options.config_path, options.overrides, {})
                      : load_daemon_config(options.config_path, options.overrides);
  if (fresh) {
    apply_reloadable(*fresh);
  } else {
    parts_.log.warning("tenantd.toml is invalid, the settings before go on: " +
                       describe_all(fresh.error()));
  }
  directory_.rescan(true);
  notify_service_manager("READY=1");
}

// Directories, the uid range, cgroups, encoders and the log's format stay as they were at the
// start.
void Daemon::apply_reloadable(const DaemonConfig& fresh) {
  DaemonConfig merged = fresh;
  const DaemonConfig& old = parts_.config;
  merged.tenants_dir = old.tenants_dir;
  merged.state_dir = old.state_dir;
  merged.run_dir = old.run_dir;
  merged.tolerate_missing = old.tolerate_missing;
  merged.admin_group = old.admin_group;
  merged.uid_range = old.uid_range;
  merged.cgroup = old.cgroup;
  merged.region = old.region;
  merged.pool.shards = old.pool.shards;
  merged.pool.problem = old.pool.problem;
  merged.encoders = old.encoders;
  merged.prepared_encoders = old.prepared_encoders;
  merged.log.format = old.log.format;
  merged.physical.cpus = old.physical.cpus;
  merged.physical.partition = old.physical.partition;
  parts_.config = std::move(merged);
  services_.bounds.log_lines_per_second = parts_.config.log.lines_per_second;
  workforce_.configure(parts_.config);
  tenants_.set_policy(TenantPolicy::from(parts_.config));
  reception_.configure(parts_.config.hello, parts_.config.hello_timeout_ms);
  control_.configure(parts_.config);
  pool_workers_.configure();
  parts_.physical.set_memory(parts_.config.physical.memory_bytes);
  for (const TenantId& id : parts_.physical.take_refused()) tenants_.retry_refused(id);
  verifier_.configure(parts_.config);
  if (!parts_.options.log_level) parts_.log.set_level(parts_.config.log.level);
}

void Daemon::stop() {
  if (std::exchange(stopping_, true)) return;
  notify_service_manager("STOPPING=1");
  const bool leave_workers = parts_.options.workers_outlive_stop;
  tell(EventType::supervisor_stopping, {}, ::getpid(), 0,
       leave_workers ? "the workers go on" : "all workers drain");
  clients_.reset();
  verifier_.stop();
  sleepers_timer_.stop();
  violation_hook_.stop();
  if (!leave_workers) tenants_.shutdown();
  control_.stop();
  finish_if_done();
}

void Daemon::finish_if_done() {
  if (!stopping_ || !control_gone_) return;
  const bool leave_workers = parts_.options.workers_outlive_stop;
  if (!leave_workers && !tenants_.shut_down()) return;
  if (!hooks_.idle()) {
    if (hooks_end_ms_ == 0) hooks_end_ms_ = now_ms() + hooks_at_stop_ms;
    if (now_ms() >= hooks_end_ms_) hooks_.stop();
  }
  if (!reaper_.idle() || !hooks_.idle()) {
    finish_.start(CgroupReaper::retry_ms, [this] { finish_if_done(); });
    return;
  }
  if (!leave_workers) {
    (void)::unlink((parts_.paths.run_dir + "/tenantd.sock").c_str());
    (void)::unlink((parts_.paths.link_directory() + "/supervisor.sock").c_str());
    records_.erase_all();
    parts_.cgroups.remove_root();
  }
  parts_.loop.stop();
}

}  // namespace tenantd
