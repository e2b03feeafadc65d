// A control process that may be compromised against the supervisor's queue of its commands: any
// packets of its link.
//
// The input is a row of packets: a little-endian u16 length, then so many bytes; the queue gets a
// turn of the loop after each packet whose length is odd. Every command is answered once, with a
// bounded number of records, whatever it asks for.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include "supervisor/control/command_queue.h"

namespace {

using namespace tenantd;

void require(bool holds) {
  if (!holds) std::abort();
}

class FakeWorker final : public Worker {
 public:
  FakeWorker(WorkerEvents& events, TenantId tenant, std::uint64_t generation)
      : events_(events), tenant_(std::move(tenant)), generation_(generation) {}
  [[nodiscard]] pid_t pid() const override { return 1; }
  [[nodiscard]] uid_t uid() const override { return 1; }
  [[nodiscard]] std::uint64_t generation() const override { return generation_; }
  [[nodiscard]] LayerSet applied_layers() const override { return LayerSet::all(); }
  [[nodiscard]] LayerSet missing_layers() const override { return {}; }
  [[nodiscard]] bool outdated_by(const TenantConfig&) const override { return false; }
  [[nodiscard]] ShardSet shards() const override { return {}; }
  [[nodiscard]] WorkerUsage usage() const override { return {}; }
  [[nodiscard]] Status attach_tenant(const TenantSettings&, Attach, UniqueFd) override {
    return {};
  }
  void update_tenant(const TenantSettings&) override {}
  void release_tenant(const TenantId&, DrainReason) override {}
  void move_rows(const TenantId&, std::uint32_t, std::uint32_t) override {}
  void drain(DrainReason, std::uint32_t) override {}
  void kill() override {}
  void update_settings(const TenantSettings&) override {}
  [[nodiscard]] Status apply_limits(const ResourceLimits&) override { return {}; }
  [[nodiscard]] Status attach(Attach, UniqueFd) override { return {}; }
  void request_status() override {
    events_.on_status(tenant_, generation_, make_link_message<WorkerStatus>(generation_));
  }

 private:
  WorkerEvents& events_;
  TenantId tenant_;
  std::uint64_t generation_;
};

struct Host final : TenantHost {
  Tenants* tenants = nullptr;
  [[nodiscard]] std::uint64_t now_ms() const override { return UINT64_MAX / 2; }  // never stale
  void set_alarm(std::uint64_t) override {}
  Result<std::unique_ptr<Worker>> start_worker(const TenantId& tenant, const TenantConfig&,
                                               std::uint64_t generation) override {
    return std::unique_ptr<Worker>(std::make_unique<FakeWorker>(*tenants, tenant, generation));
  }
  [[nodiscard]] std::uint64_t last_generation(const TenantId&) const override { return 0; }
  void journal(EventType, const TenantId&, pid_t, std::uint64_t, const std::string&) override {}
  void worker_ready(const TenantId&) override {}
  void worker_unavailable(const TenantId&, const Error&) override {}
  void worker_gone(const TenantId&, const DeathCause*) override {}
  void rows_moved(const TenantId&, const RowsMoved&) override {}
  void impossible(const TenantId&, const std::string&) override { std::abort(); }
};

// Seventy tenants: more than a page. Some run, some start, and some share pooled workers.
void populate(Tenants& tenants, PooledTenants& pooled) {
  const DaemonConfig defaults = default_daemon_config();
  const NoAccounts accounts;
  for (int i = 0; i < 70; ++i) {
    const TenantId id = TenantId::parse(std::string("t").append(std::to_string(i))).value();
    const char* const text = i % 7 == 0 ? "plan = \"standard\"" : "plan = \"premium\"";
    auto config = parse_tenant_config(text, "t.toml", id, defaults, accounts);
    require(config.has_value());
    if (config->plan == Plan::standard) {
      pooled.apply_file(id, *config);
      continue;
    }
    tenants.apply_file(id, std::move(*config));
    if (i % 2 == 0 && tenants.find(id)->worker) tenants.on_ready(id, tenants.find(id)->generation);
  }
}

struct Answers {
  std::map<std::uint64_t, int> expected;  // by command id
  int outstanding = 0;
  int records = 0;

  CommandQueue::Answers callbacks() {
    return {[this](const TenantRecord& record) {
              require(expected[record.command_id] > 0);
              require(++records <= static_cast<int>(CommandQueue::max_page));
            },
            [this](const PostureRecord& record) { require(expected[record.command_id] > 0); },
            [this](const VerifyProbeRecord& record) {
              require(expected[record.command_id] > 0);
              require(++records <= static_cast<int>(VerifyProbeRecord::max_records));
            },
            [this](const CommandDone& done) {
              require(expected[done.command_id]-- > 0);
              require(done.message.valid());
              --outstanding;
              records = 0;
            },
            [] { return std::size_t{0}; }};
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Loop loop;
  Host host;
  TenantPolicy policy = TenantPolicy::from(default_daemon_config());
  Tenants tenants(host, policy, 1);
  host.tenants = &tenants;
  const DaemonConfig config = default_daemon_config();
  OwnShards own_shards;
  PoolWorkers pool_workers(tenants, config, own_shards);
  PooledTenants pooled(
      host, pool_workers, [](std::uint64_t) {}, [](const TenantId&) {});
  populate(tenants, pooled);
  Answers answers;
  CommandQueue queue(
      loop,
      {tenants, pooled, pool_workers, [] { return DaemonRecord{}; }, [] {},
       [] { return std::size_t{0}; },
       [](const Tenant&) -> Result<PostureRecord> { return make_link_message<PostureRecord>(0); },
       [] { return false; },
       [](const TenantId& tenant, CheckMask checks, const CommandTargets::OnVerified& on_verified) {
         if (checks == all_checks) return on_verified(fail(ErrorCode::not_found, "gone"), {});
         on_verified(std::vector<VerifyProbeRecord>(tenant.view().size()), "premium (process)");
       }},
      answers.callbacks());
  while (size >= 2) {
    std::uint16_t length = 0;
    std::memcpy(&length, data, sizeof length);
    data += 2;
    size -= 2;
    const std::size_t taken = std::min<std::size_t>(length, size);
    Command command;
    if (parse_link_message(std::as_bytes(std::span(data, taken)), command)) {
      ++answers.expected[command.command_id];
      ++answers.outstanding;
      if (!queue.take(command)) {  // malformed: its sender is killed, nobody waits
        --answers.expected[command.command_id];
        --answers.outstanding;
      }
      require(answers.outstanding <= static_cast<int>(CommandQueue::max_commands) + 1);
    }
    if ((length & 1U) != 0) loop.run_once();
    data += taken;
    size -= taken;
  }
  for (int turn = 0; turn < 200 && answers.outstanding > 0; ++turn) loop.run_once();
  require(answers.outstanding == 0);
  return 0;
}
