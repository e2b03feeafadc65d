// What was found of a process or a shard that many tenants share: said of all of them, for a while.
//
// Runs in: the supervisor. Without it a round over ten thousand standard tenants would try the same
// pooled worker ten thousand times. Bounded: a place for each pooled worker and each shard.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/tenant_id.h"
#include "supervisor/verify/file_probes.h"

namespace tenantd {

// Of a run of a pooled worker, or of one shard of it.
struct SharedPlace {
  std::string name;              // "tenantd-pool-0", "shard 017 of tenantd-pool-0"
  std::uint64_t generation = 0;  // of the worker: another run is looked at anew
};

// Which of them serve a verification.
struct Freshness {
  std::uint64_t found_after_ms = 0;  // those that were found later
  bool failed_too = true;
};

// When each tenant's last request was answered: who asks twice is not told the same finding twice.
// Bounded: what is forgotten is as if nobody had asked.
class AnsweredTenants {
 public:
  static constexpr std::size_t max_tenants = 4096;

  // Of a request: nothing that the last answer for the same tenant had, and no failure, which may
  // have been mended.
  [[nodiscard]] Freshness wanted(const TenantId& tenant) const;
  void answered(const TenantId& tenant, std::uint64_t now_ms);

 private:
  std::map<TenantId, std::uint64_t> answered_ms_;
};

class SharedFindings {
 public:
  static constexpr std::uint64_t kept_ms = 60'000;
  static constexpr std::size_t max_places = 512;

  explicit SharedFindings(std::size_t rows) : rows_(rows) {}

  void keep(const SharedPlace& place, std::size_t row, const Finding& finding,
            std::uint64_t now_ms);
  // With evidence that says whose it is and how old. None: not of this run, too old, or not fresh
  // enough.
  [[nodiscard]] std::optional<Finding> recall(const SharedPlace& place, std::size_t row,
                                              std::uint64_t now_ms,
                                              const Freshness& wanted = {}) const;
  // As recall() says it of what is found right now.
  [[nodiscard]] static Finding said_of(const SharedPlace& place, Finding finding);

 private:
  struct Kept {
    Finding finding;
    std::uint64_t at_ms = 0;
  };
  struct Entry {
    std::uint64_t generation = 0;
    std::vector<std::optional<Kept>> rows;
  };
  std::size_t rows_;
  std::map<std::string, Entry> places_;
};

}  // namespace tenantd
