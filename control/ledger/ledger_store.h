// The ledger's tables and statements. Every call blocks on the disk.
//
// Runs in: control. Trusts nothing in the file: a database of another program, of a newer version
// or a corrupt one is refused and left as it is.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "shared/database/sqlite.h"
#include "shared/protocol/admin_messages.h"

namespace tenantd {

struct LedgerLimits {
  std::uint64_t max_rows = 100'000;
  std::uint64_t max_rows_of_tenant = 10'000;  // a crash loop cannot push the others' history out
};

class LedgerStore {
 public:
  static constexpr std::int64_t schema_version = 1;

  // Opens or creates and migrates. Errors: store_degraded, unavailable (another process has it).
  [[nodiscard]] static Result<LedgerStore> open(const std::string& path, LedgerLimits limits);

  [[nodiscard]] std::uint64_t last_sequence() const noexcept { return last_sequence_; }
  // All or none in one transaction, with their sequences as given, then what is over a bound goes.
  [[nodiscard]] Status insert(std::span<const EventInfo> events);
  // In order of their sequence. after_sequence 0: the newest `limit`; else the oldest after it.
  // Tenant empty: all.
  [[nodiscard]] Result<std::vector<EventInfo>> read(std::string_view tenant, std::uint32_t limit,
                                                    std::uint64_t after_sequence);

  // The newest verifications of a tenant, in order of their sequence.
  [[nodiscard]] Result<std::vector<EventInfo>> verifications(std::string_view tenant,
                                                             std::uint32_t limit);

  // The first tenant behind that one of whom there are events before a time; empty: no more. Never
  // the daemon itself.
  [[nodiscard]] Result<std::string> next_tenant(std::string_view behind, std::int64_t before_ms);
  struct Deleted {
    std::uint64_t count = 0;
    std::int64_t oldest_ms = 0;
    std::int64_t newest_ms = 0;
  };
  // In one transaction: a tenant has at most max_rows_of_tenant events.
  [[nodiscard]] Result<Deleted> delete_older(std::string_view tenant, std::int64_t before_ms);

 private:
  LedgerStore(Database database, LedgerLimits limits)
      : database_(std::move(database)), limits_(limits) {}
  [[nodiscard]] Status prepare();
  [[nodiscard]] Status trim(std::span<const EventInfo> added);

  Database database_;
  LedgerLimits limits_;
  std::uint64_t last_sequence_ = 0;
  std::unordered_map<std::string, std::uint64_t> rows_of_tenant_;
  std::vector<Statement> statements_;  // by Query
};

}  // namespace tenantd
