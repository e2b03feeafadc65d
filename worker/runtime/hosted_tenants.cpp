#include "worker/runtime/hosted_tenants.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "shared/contract/verification.h"
#include "worker/router/validate.h"
#include "worker/store/route_editor.h"
#include "worker/store/tenant_rows.h"

namespace tenantd {
namespace {

// One tenant's part of what all may hold.
constexpr std::uint64_t tenant_share = 2;

}  // namespace

std::uint64_t tenant_share_of_routes(std::uint64_t memory_max_bytes) noexcept {
  return memory_for_routes(memory_max_bytes) / tenant_share;
}

HostedTenants::HostedTenants(const LaunchSpec& spec, std::string data_directory,
                             EncoderShelf encoders, const HostedServices& shared,
                             AttachmentSet& attachments,
                             std::function<void()> on_background_job_done,
                             RowsMover::OnEnd on_moved)
    : spec_(spec),
      directory_(std::move(data_directory)),
      encoders_(std::move(encoders)),
      shared_(shared),
      attachments_(attachments),
      memory_for_routes_(memory_for_routes(spec.memory_max_bytes)),
      sweep_(
          shared.edits, [this](std::uint32_t shard) { return open_for_sweep(shard); }, max_shards,
          [this, done = on_background_job_done] {
            take_turns();
            done();
          }),
      mover_(
          shared.edits, [this](std::uint32_t shard) { return open_shard(shard); },
          [this, ended = std::move(on_moved), done = on_background_job_done](const MoveRows& order,
                                                                             const Status& status) {
            ended(order, status);
            take_turns();
            done();
          },
          on_background_job_done) {}

void HostedTenants::sweep(std::int64_t now_us) {
  sweep_wanted_us_ = now_us;
  take_turns();
}

void HostedTenants::take_turns() {
  if (sweep_.running()) return;
  if (mover_.busy()) return mover_.go();
  if (sweep_wanted_us_) sweep_.run(*std::exchange(sweep_wanted_us_, std::nullopt));
}

void HostedTenants::move_rows(const MoveRows& order) {
  const auto id = TenantId::parse(order.tenant_id.valid() ? order.tenant_id.view() : "");
  if (!id || !spec_.shards.has(order.from) || !spec_.shards.has(order.to) ||
      order.from != shard_of(id->view(), spec_.shard_count) || order.to < spec_.shard_count) {
    return shared_.log.write(LogLevel::error, "a move that cannot be was not made");
  }
  if (rooms_.contains(*id)) {  // no edit of it may be on its way
    release(*id, GoawayReason::replaced);
    return mover_.refuse(order, fail(ErrorCode::unavailable, "the tenant is still open"));
  }
  mover_.begin(*id, order);
  take_turns();
}

std::optional<std::uint32_t> HostedTenants::shard_for(const TenantId& id,
                                                      const TenantSettings& settings) const {
  const std::uint32_t own = settings.own_shard;
  if (own != 0 && own < spec_.shard_count) return std::nullopt;
  const std::uint32_t shard = own != 0 ? own : shard_of(id.view(), spec_.shard_count);
  return spec_.shards.has(shard) ? std::optional(shard) : std::nullopt;
}

void HostedTenants::take_settings(const TenantSettings& settings) {
  const auto id = TenantId::parse(settings.tenant_id.valid() ? settings.tenant_id.view() : "");
  if (!id || !validate_settings(settings)) {
    return shared_.log.write(LogLevel::error, "settings of no tenant ignored");
  }
  announced_ = settings;
  const auto found = rooms_.find(*id);
  if (found == rooms_.end()) return;
  if (found->second.settings.own_shard != settings.own_shard) {
    return release(*id, GoawayReason::replaced);
  }
  found->second.settings = settings;
  if (found->second.state == State::open) found->second.tenant->apply_settings(settings);
}

void HostedTenants::refuse(const Attach& request, const UniqueFd& socket, ErrorCode code,
                           std::string message) {
  Error error;
  error.code = code;
  error.message = std::move(message);
  if (code == ErrorCode::unavailable || code == ErrorCode::resource_exhausted) {
    error.retry_after_ms = 100;
  }
  attachments_.refuse(request, socket, error);
}

void HostedTenants::attach(const Attach& request, UniqueFd socket) {
  const auto id = TenantId::parse(request.tenant_id.valid() ? request.tenant_id.view() : "");
  auto place = id ? rooms_.find(*id) : rooms_.end();
  const bool announced = id && announced_.tenant_id.view() == id->view();
  // Without a word about it: the home shard.
  const TenantSettings& settings = place != rooms_.end() ? place->second.settings
                                   : announced           ? announced_
                                                         : spec_.tenant;
  if (!id || !shard_for(*id, settings)) {
    return refuse(request, socket, ErrorCode::permission_denied,
                  "this worker does not serve the tenant");
  }
  if (mover_.has(*id)) {
    return refuse(request, socket, ErrorCode::unavailable, "the tenant's rows are being moved");
  }
  if (place == rooms_.end()) {
    if (!announced) {
      return refuse(request, socket, ErrorCode::internal, "the tenant's settings are not known");
    }
    place = rooms_.emplace(*id, Room{}).first;
    place->second.settings = announced_;
    begin_opening(*id, place->second);
  }
  Room& room = place->second;
  if (room.state == State::open) {
    return attachments_.attach(request, std::move(socket), room.tenant->seat());
  }
  if (room.waiting.size() >= max_waiting) {
    return refuse(request, socket, ErrorCode::resource_exhausted,
                  "too many clients wait for the tenant");
  }
  room.waiting.push_back({request, std::move(socket)});
}

void HostedTenants::begin_opening(const TenantId& id, Room& room) {
  room.state = State::opening;
  room.tenant = std::make_shared<HostedTenant>(id, room.settings, spec_.generation, shared_);
  const Status submitted = shared_.edits.submit(
      room.tenant.get(),
      [this, tenant = room.tenant, settings = room.settings]() -> EditThread::Completion {
        if (shared_.mark != nullptr) shared_.mark->editing(tenant->context().tenant());
        auto data = std::make_shared<Result<TenantData>>(read(*tenant, settings));
        if (shared_.mark != nullptr) shared_.mark->done_editing();
        return [this, tenant, data] { finish_opening(tenant, std::move(*data)); };
      });
  if (!submitted) finish_opening(room.tenant, tl::unexpected(submitted.error()));
}

std::string HostedTenants::path_of(std::uint32_t shard) const {
  return directory_ + '/' + shard_directory_name(shard) + "/routes.db";
}

// Editor thread. One that nobody has open is closed again when the sweep has gone through it.
std::shared_ptr<StoreFile> HostedTenants::open_for_sweep(std::uint32_t shard) {
  if (!spec_.shards.has(shard)) return nullptr;
  if (const auto open = files_.find(shard); open != files_.end() && open->second != nullptr) {
    return open->second;
  }
  struct stat status {};
  const std::string path = path_of(shard);
  if (::lstat(path.c_str(), &status) != 0 || status.st_size == 0) return nullptr;
  auto opened = StoreFile::open(path);
  return opened ? std::move(*opened) : nullptr;
}

void HostedTenants::end_histories() {
  sweep_.stop();
  mover_.stop();
  for (auto& [id, room] : rooms_) {
    room.tenant->history().stop_sweeping();
    room.tenant->history().flush();
  }
}

// Editor thread.
Result<TenantData> HostedTenants::read(const HostedTenant& tenant, const TenantSettings& settings) {
  const auto shard = shard_for(tenant.context().tenant(), settings);
  if (!shard) return fail(ErrorCode::unavailable, "the tenant's shard is not here");
  auto file = open_shard(*shard);
  if (!file) return tl::unexpected(std::move(file.error()));
  if (const Status here = check_not_moving(tenant.context(), **file); !here) {
    return tl::unexpected(here.error());
  }
  return TenantData::open_shared(tenant.context(), std::move(*file), settings, encoders_);
}

// Editor thread.
Result<std::shared_ptr<StoreFile>> HostedTenants::open_shard(std::uint32_t shard) {
  auto& file = files_[shard];
  if (file == nullptr) {
    auto opened = StoreFile::open(path_of(shard));
    if (!opened) return opened;
    file = std::move(*opened);
  }
  return file;
}

void HostedTenants::finish_opening(const std::shared_ptr<HostedTenant>& tenant,
                                   Result<TenantData> data) {
  const auto place = rooms_.find(tenant->context().tenant());
  if (place == rooms_.end() || place->second.tenant != tenant) return;
  Room& room = place->second;
  std::vector<Waiting> waiting = std::exchange(room.waiting, {});
  if (!data && data.error().code == ErrorCode::unavailable) {
    // Another worker holds the shard: it has moved, and that one is on its way out.
    for (const Waiting& one : waiting) {
      refuse(one.request, one.socket, ErrorCode::unavailable, data.error().message);
    }
    rooms_.erase(place);
    return;
  }
  tenant->open(std::move(data));
  if (room.state == State::opening) room.state = State::open;
  if (room.settings != tenant->services().settings) tenant->apply_settings(room.settings);
  expect_idle_work(tenant);
  note_held(room);
  for (Waiting& one : waiting) {
    attachments_.attach(one.request, std::move(one.socket), tenant->seat());
  }
  if (room.state == State::closing) return close(room, room.reason);
  make_room();
}

void HostedTenants::release(const TenantId& tenant, GoawayReason reason) {
  const auto place = rooms_.find(tenant);
  if (place == rooms_.end()) return;
  for (const Waiting& one : std::exchange(place->second.waiting, {})) {
    refuse(one.request, one.socket, ErrorCode::unavailable, "the tenant has changed");
  }
  const bool opening = place->second.state == State::opening;
  place->second.state = State::closing;
  place->second.reason = reason;
  if (!opening) close(place->second, reason);
}

void HostedTenants::refuse_waiting() {
  for (auto& [id, room] : rooms_) {
    for (const Waiting& one : std::exchange(room.waiting, {})) {
      refuse(one.request, one.socket, ErrorCode::unavailable, "the worker is going away");
    }
  }
}

void HostedTenants::close(Room& room, GoawayReason reason) {
  room.state = State::closing;
  const TenantId id = room.tenant->context().tenant();
  attachments_.drain_seat(room.tenant->seat(), reason);
  if (const auto place = rooms_.find(id); place != rooms_.end()) close_if_idle(place);
}

void HostedTenants::close_if_idle(Rooms::iterator place) {
  Room& room = place->second;
  HostedTenant& tenant = *room.tenant;
  if (room.state != State::closing || tenant.seat().attachments > 0 || tenant.seat().queued ||
      tenant.in_flight() > 0 || tenant.history().flush()) {
    return;
  }
  forget_held(room);
  const bool planted = tenant.context().tenant().view().starts_with(planted_id_prefix);
  if (planted && room.reason == GoawayReason::removed) delete_rows(room);
  const WorkerCounters& counters = tenant.services().counters;
  past_.requests += counters.requests;
  past_.errors += counters.errors;
  past_.attachments_refused += counters.attachments_refused;
  past_.peer_faults += counters.peer_faults;
  if (room.waiting.empty()) {
    rooms_.erase(place);
  } else {
    begin_opening(tenant.context().tenant(), room);
  }
}

// Behind all its edits, and before it could be opened again. What fails is done by the next
// verification of the shard.
void HostedTenants::delete_rows(const Room& room) {
  const std::shared_ptr<HostedTenant> tenant = room.tenant;
  const auto shard = shard_for(tenant->context().tenant(), room.settings);
  if (!shard) return;
  const Status submitted =
      shared_.edits.submit(tenant.get(), [this, tenant, shard]() -> EditThread::Completion {
        const auto file = files_.find(*shard);
        Result<bool> deleted = false;
        if (file != files_.end() && file->second != nullptr) {
          deleted = delete_tenant_rows(tenant->context(), *file->second);
        }
        return [this, tenant, deleted] {
          if (deleted) return;
          shared_.log.write(LogLevel::warning,
                            "a planted tenant's rows stay: " + deleted.error().message);
        };
      });
  if (!submitted) shared_.log.write(LogLevel::warning, "a planted tenant's rows stay");
}

void HostedTenants::on_left(TenantSeat& seat) {
  const auto place = rooms_.find(seat.context.tenant());
  if (place != rooms_.end()) close_if_idle(place);
}

// What it keeps in its caches counts as what its routes take.
void HostedTenants::on_turn(TenantSeat& seat) {
  const auto place = rooms_.find(seat.context.tenant());
  if (place == rooms_.end() || place->second.state != State::open) return;
  note_held(place->second);
  make_room();
}

void HostedTenants::on_job_done(HostedTenant& tenant) {
  const auto place = rooms_.find(tenant.context().tenant());
  if (place == rooms_.end() || place->second.tenant.get() != &tenant) return;
  if (place->second.state == State::closing) return close_if_idle(place);
  expect_idle_work(place->second.tenant);
  note_held(place->second);
  make_room();
}

void HostedTenants::expect_idle_work(const std::shared_ptr<HostedTenant>& tenant) {
  const std::lock_guard lock(idle_mutex_);
  idle_.insert_or_assign(tenant.get(), tenant);
}

EditThread::Idle HostedTenants::work_while_idle() {
  std::shared_ptr<HostedTenant> tenant;
  {
    const std::lock_guard lock(idle_mutex_);
    auto next = idle_.upper_bound(last_idle_);
    if (next == idle_.end()) next = idle_.begin();
    if (next == idle_.end()) return EditThread::Idle::nothing;
    last_idle_ = next->first;
    tenant = next->second.lock();
    if (tenant == nullptr) idle_.erase(next);
  }
  if (tenant == nullptr) return EditThread::Idle::more;
  const EditThread::Idle left = tenant->work_while_idle();
  if (left != EditThread::Idle::nothing) return left;
  const std::lock_guard lock(idle_mutex_);
  idle_.erase(tenant.get());
  return EditThread::Idle::more;
}

void HostedTenants::add_status(WorkerStatus& status) const {
  status.requests += past_.requests;
  status.errors += past_.errors;
  status.attachments_refused += past_.attachments_refused + attachments_.refused();
  status.peer_faults += past_.peer_faults;
  for (const auto& [id, room] : rooms_) {
    if (room.state == State::open) room.tenant->add_status(status);
  }
}

}  // namespace tenantd
