// Tenants with a shard of their own, because a worker died while it ran a request of theirs: which
// shard, whether their rows are there yet, and what they are accused of.
//
// Runs in: supervisor; blocks on small files. Each is one file of <state_dir>/own-shards, named
// "064.<tenant>", so that who has which shard is known even of a file whose text is broken. A
// tenant keeps its shard for good: nothing here is ever deleted.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "shared/base/error.h"
#include "shared/base/tenant_id.h"
#include "shared/contract/shards.h"

namespace tenantd {

struct OwnShard {
  std::uint32_t shard = 0;
  bool moved = false;  // its rows are there, and nowhere else
  // As of PooledTenant; the time is UTC, in milliseconds.
  std::uint32_t deaths = 0;
  std::int64_t accused_wall_ms = 0;
  std::string accusation;
};

class OwnShards {
 public:
  // `directory` empty: nothing is kept on disk.
  explicit OwnShards(std::string directory = {}) : directory_(std::move(directory)) {}

  // What the files say. Returns what is wrong with which: of a broken one only the name counts, its
  // tenant is accused once and its rows are looked after again.
  [[nodiscard]] std::vector<std::string> load();
  // Numbers that are in use without a file here.
  void avoid(const ShardSet& taken) noexcept { taken_ = taken; }

  [[nodiscard]] const OwnShard* find(const TenantId& tenant) const;
  [[nodiscard]] const std::map<TenantId, OwnShard>& all() const noexcept { return all_; }
  // Durable when it returns. A tenant without one gets the lowest free number from `shard_count`
  // on. Errors: resource_exhausted (there is none), internal with errno (it is not kept).
  [[nodiscard]] Status keep(const TenantId& tenant, std::uint32_t shard_count, OwnShard fresh);
  // Of one that has a shard: in force at once. Error: it is not on the disk.
  [[nodiscard]] Status change(const TenantId& tenant, const OwnShard& now);

 private:
  [[nodiscard]] Status write(const TenantId& tenant, const OwnShard& one) const;

  std::string directory_;
  ShardSet taken_;
  std::map<TenantId, OwnShard> all_;
};

}  // namespace tenantd
