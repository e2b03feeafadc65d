// The tenants of a pooled worker: opened when somebody attaches, put back to sleep when memory is
// short, each in its shard.
//
// Runs in: worker, loop thread; shards are opened and read on the editor thread. A tenant that
// sleeps costs nothing: its settings come with each attachment. The supervisor decides who is
// attached to whom; that a tenant belongs to one of this worker's shards is checked here again.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "shared/contract/launch_spec.h"
#include "worker/runtime/attachment_set.h"
#include "worker/runtime/hosted_tenant.h"
#include "worker/runtime/rows_mover.h"
#include "worker/runtime/shard_sweep.h"

namespace tenantd {

// What one tenant's routes may take of a pooled worker's memory; 0: unknown.
[[nodiscard]] std::uint64_t tenant_share_of_routes(std::uint64_t memory_max_bytes) noexcept;

class HostedTenants {
 public:
  static constexpr std::size_t max_waiting = 64;  // attachments of one tenant that is being opened

  // All is borrowed and outlives it. `spec` is a pooled worker's.
  HostedTenants(const LaunchSpec& spec, std::string data_directory, EncoderShelf encoders,
                const HostedServices& shared, AttachmentSet& attachments,
                std::function<void()> on_background_job_done, RowsMover::OnEnd on_moved);

  // Of the next attachment's tenant, or live of one that is open.
  void take_settings(const TenantSettings& settings);
  void attach(const Attach& request, UniqueFd socket);
  // Says GOAWAY and forgets it. Of a tenant that the verifier has planted and that is removed the
  // rows go, too: no file can be its, so nobody else would ever ask for them.
  void release(const TenantId& tenant, GoawayReason reason);
  // `on_moved` follows, perhaps at once.
  void move_rows(const MoveRows& order);
  // Those who wait for a tenant to be opened are told that nobody will.
  void refuse_waiting();
  // From the callbacks of attachments and jobs: the tenant may have nothing left to do.
  void on_left(TenantSeat& seat);
  void on_turn(TenantSeat& seat);
  void on_job_done(HostedTenant& tenant);
  // Deletes what is due of all tenants of its shards.
  void sweep(std::int64_t now_us);
  [[nodiscard]] bool sweeping() const noexcept { return sweep_.running(); }
  // Writes what is buffered of open tenants' histories, and deletes no more.
  void end_histories();
  // Adds the sums of all, those that sleep included.
  void add_status(WorkerStatus& status) const;
  [[nodiscard]] std::size_t size() const noexcept { return rooms_.size(); }

  // Editor thread.
  [[nodiscard]] EditThread::Idle work_while_idle();

 private:
  struct Waiting {
    Attach request;
    UniqueFd socket;
  };
  enum class State : std::uint8_t { opening, open, closing };
  struct Room {
    std::shared_ptr<HostedTenant> tenant;
    TenantSettings settings{};  // the newest
    std::vector<Waiting> waiting;
    std::uint64_t held_bytes = 0;  // as of its last job
    State state = State::opening;
    GoawayReason reason = GoawayReason::stopping;
  };
  using Rooms = std::unordered_map<TenantId, Room>;

  void refuse(const Attach& request, const UniqueFd& socket, ErrorCode code, std::string message);
  void begin_opening(const TenantId& id, Room& room);
  void finish_opening(const std::shared_ptr<HostedTenant>& tenant, Result<TenantData> data);
  void close(Room& room, GoawayReason reason);
  void close_if_idle(Rooms::iterator place);
  void delete_rows(const Room& room);
  void note_held(Room& room);
  void forget_held(Room& room);
  void tell_largest();
  void make_room();
  // Where the tenant's rows are by the supervisor's word; nothing: in no shard of this worker.
  [[nodiscard]] std::optional<std::uint32_t> shard_for(const TenantId& id,
                                                       const TenantSettings& settings) const;
  void take_turns();
  void expect_idle_work(const std::shared_ptr<HostedTenant>& tenant);
  // Editor thread.
  [[nodiscard]] std::shared_ptr<StoreFile> open_for_sweep(std::uint32_t shard);
  [[nodiscard]] Result<std::shared_ptr<StoreFile>> open_shard(std::uint32_t shard);
  [[nodiscard]] std::string path_of(std::uint32_t shard) const;
  [[nodiscard]] Result<TenantData> read(const HostedTenant& tenant, const TenantSettings& settings);

  const LaunchSpec& spec_;
  std::string directory_;
  EncoderShelf encoders_;
  const HostedServices& shared_;
  AttachmentSet& attachments_;
  std::uint64_t memory_for_routes_;  // of all tenants together; 0: unknown
  std::uint64_t held_bytes_ = 0;     // by all
  std::uint64_t largest_bytes_ = 0;  // what `largest_` holds
  const HostedTenant* largest_ = nullptr;
  TenantSettings announced_{};  // of the attachment to come
  Rooms rooms_;
  WorkerStatus past_{};                                        // of tenants that sleep again
  std::map<std::uint32_t, std::shared_ptr<StoreFile>> files_;  // editor thread's: open shards
  // One of them at a time: a move copies what a sweep would delete.
  ShardSweep sweep_;
  RowsMover mover_;
  std::optional<std::int64_t> sweep_wanted_us_;
  std::mutex idle_mutex_;
  std::map<const void*, std::weak_ptr<HostedTenant>> idle_;  // guarded: have perhaps work left
  const void* last_idle_ = nullptr;                          // editor thread's
};

}  // namespace tenantd
