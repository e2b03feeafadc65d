#include "supervisor/launch/pool_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <optional>
#include <vector>

#include "shared/os/fd.h"
#include "shared/os/process.h"
#include "supervisor/launch/data_place.h"
#include "supervisor/launch/owned_directory.h"

namespace tenantd {
namespace {

constexpr std::string_view marker_prefix = "shards-";
constexpr std::string_view lock_name = "routes.db.lock";

std::optional<std::uint32_t> number_of(std::string_view text) {
  std::uint32_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size()) {
    return std::nullopt;
  }
  return number;
}

bool is_shard_name(const std::string& name) {
  const auto number = number_of(name);
  return number && *number < max_shards && name == shard_directory_name(*number);
}

struct Marker {
  std::string name;
  std::uint32_t shard_count = 0;
};

std::optional<Marker> find_marker(const std::string& pool) {
  for (const std::string& name : names_in(pool)) {
    if (!name.starts_with(marker_prefix)) continue;
    // One that is not whole yet (make_owned) has another name.
    const auto count = number_of(std::string_view(name).substr(marker_prefix.size()));
    if (count) return Marker{name, *count};
  }
  return std::nullopt;
}

// The pool's uid: the owner of the marker, which is made with a fresh one.
Result<uid_t> prepare_marker(const std::string& state_dir, std::uint32_t shard_count,
                             const UidAllocator& uids) {
  const std::string pool = pool_path(state_dir);
  if (auto made = make_parent(pool, traverse_mode); !made) return tl::unexpected(made.error());
  if (auto same = check_shard_count(state_dir, shard_count); !same) {
    return tl::unexpected(same.error());
  }
  const std::string path = pool + '/' + std::string(marker_prefix) + std::to_string(shard_count);
  if (!exists(path)) {
    const auto uid = uids.lowest_free(directories_of_uids(state_dir));
    if (!uid) return uid;
    if (auto made = make_owned(path, *uid, uids.privileged()); !made) {
      return tl::unexpected(made.error());
    }
  }
  const auto owner = check_existing(path, uids);
  if (!owner || !uids.privileged()) return owner;
  if (*owner == uids.control_uid() || owners_below(state_dir + "/tenants", "").contains(*owner) ||
      owners_below(placed_path(state_dir), "").contains(*owner)) {
    return fail(ErrorCode::permission_denied,
                path + " has the uid of a tenant or of control: " + std::to_string(*owner));
  }
  return owner;
}

Status check_owner(const std::string& path, uid_t uid, const UidAllocator& uids) {
  const auto owner = check_existing(path, uids);
  if (!owner) return tl::unexpected(owner.error());
  if (*owner == uid) return {};
  return fail(ErrorCode::permission_denied, path + " does not belong to the pool");
}

Status prepare_owned(const std::string& path, uid_t uid, const UidAllocator& uids) {
  if (!exists(path)) {
    if (auto made = make_owned(path, uid, uids.privileged()); !made) return made;
  }
  return check_owner(path, uid, uids);
}

// Whoever has the shard open holds this lock (the worker's store). The state machine sees to it
// that nobody has; this is the second look.
bool is_open_somewhere(const std::string& shard) {
  const std::string path = shard + '/' + std::string(lock_name);
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file) return false;
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  return ::fcntl(file.get(), F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
}

Status move_shard(const std::string& from, const std::string& to) {
  if (is_open_somewhere(from)) {
    return fail(ErrorCode::unavailable, from + " is still open in another process");
  }
  if (::rename(from.c_str(), to.c_str()) != 0) return fail_errno("rename " + from, errno);
  return {};
}

// Everywhere but in the worker's own directory.
std::vector<std::string> find_shard(const std::string& pool, const std::string& own,
                                    const std::string& name) {
  std::vector<std::string> found;
  for (const std::string& place : names_in(pool)) {
    std::string path = pool;
    path.append("/").append(place).append("/").append(name);
    if (place != own && exists(path)) found.push_back(std::move(path));
  }
  return found;
}

Status take_shard(const std::string& pool, const std::string& own, const std::string& name,
                  uid_t uid, const UidAllocator& uids) {
  std::string path = pool;
  path.append("/").append(own).append("/").append(name);
  const std::vector<std::string> elsewhere = find_shard(pool, own, name);
  const bool here = exists(path);
  if (elsewhere.size() + (here ? 1 : 0) > 1) {
    return fail(ErrorCode::permission_denied,
                "shard " + name + " is there twice: " + elsewhere.front(),
                "leave the one with the data; tenantd never makes a second one");
  }
  if (!elsewhere.empty()) {
    if (auto checked = check_owner(elsewhere.front(), uid, uids); !checked) return checked;
    return move_shard(elsewhere.front(), path);
  }
  return prepare_owned(path, uid, uids);
}

}  // namespace

std::string pool_path(const std::string& state_dir) { return state_dir + "/pool"; }

std::string pool_directory_path(const std::string& state_dir, const TenantId& worker) {
  return pool_path(state_dir) + '/' + worker.str();
}

Status check_shard_count(const std::string& state_dir, std::uint32_t shard_count) {
  const auto marker = find_marker(pool_path(state_dir));
  if (!marker || marker->shard_count == shard_count) return {};
  return fail(ErrorCode::invalid_config,
              "the standard tenants' data is divided into " + std::to_string(marker->shard_count) +
                  " shards, and tenantd.toml wants " + std::to_string(shard_count),
              "set shards = " + std::to_string(marker->shard_count) + " in [pool]");
}

ShardSet shards_on_disk(const std::string& state_dir) {
  ShardSet found;
  const std::string pool = pool_path(state_dir);
  for (const std::string& place : names_in(pool)) {
    for (const std::string& name : names_in(pool + '/' + place)) {
      if (is_shard_name(name)) found.add(*number_of(name));
    }
  }
  return found;
}

Result<uid_t> prepare_pool_directory(const std::string& state_dir, const TenantId& worker,
                                     std::uint32_t shard_count, const ShardSet& shards,
                                     const UidAllocator& uids) {
  const auto uid = prepare_marker(state_dir, shard_count, uids);
  if (!uid) return uid;
  const std::string pool = pool_path(state_dir);
  const std::string parked = pool + "/parked";
  const std::string own = pool_directory_path(state_dir, worker);
  Status done = make_parent(parked, 0700);
  if (done) done = prepare_owned(own, *uid, uids);
  // First out with what is not its own any more: a worker sees its own shards only.
  for (const std::string& name : names_in(own)) {
    if (!done) break;
    if (is_shard_name(name) && !shards.has(*number_of(name))) {
      std::string to = parked;
      to.append("/").append(name);
      done = move_shard(own + '/' + name, to);
    }
  }
  for (std::uint32_t shard = 0; done && shard < max_shards; ++shard) {
    if (!shards.has(shard)) continue;
    done = take_shard(pool, worker.str(), shard_directory_name(shard), *uid, uids);
  }
  if (!done) return tl::unexpected(done.error());
  return uid;
}

}  // namespace tenantd
