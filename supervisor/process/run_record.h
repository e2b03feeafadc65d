// What a supervisor leaves behind about a tenant's newest worker, so that the next one knows it
// again and never gives a generation twice.
//
// Runs in: supervisor. `<run>/workers/<tenant>.record`, 0600 in a directory of mode 0700, written
// before the worker's first instruction. A record is a hint: the kernel's word (start ticks, uid,
// cgroup, and at registration SO_PEERCRED) decides.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/error.h"
#include "shared/base/tenant_id.h"
#include "shared/contract/process_contract.h"
#include "supervisor/config/tenant_config.h"
#include "supervisor/physical/allotment.h"

namespace tenantd {

struct RunRecord {
  TenantId tenant;
  pid_t pid = 0;  // 0: it has ended; only the generation matters
  std::uint64_t start_ticks = 0;
  std::string boot_id;  // start ticks mean nothing after a reboot
  std::uint64_t generation = 0;
  uid_t uid = 0;
  LayerSet applied;
  LayerSet missing;
  std::string fingerprint;  // of the settings that only a new worker can change
  ShardSet shards;          // that a pooled worker writes
  Allotment allotment{};    // what a platinum tenant's worker has for itself
  std::string network{};    // what of the host's networks it has; empty: none. See network_claims.h

  friend bool operator==(const RunRecord&, const RunRecord&) = default;
};

[[nodiscard]] std::string encode_record(const RunRecord& record);
// Errors: protocol_error naming the bad line.
[[nodiscard]] Result<RunRecord> decode_record(std::string_view text);

class RunRecords {
 public:
  // `directory` exists.
  explicit RunRecords(std::string directory) : directory_(std::move(directory)) {}
  [[nodiscard]] Status write(const RunRecord& record) const;
  // Its worker has ended: only its generation stays known.
  void end(RunRecord record) const;
  void erase_all() const;
  // Every readable record; files that are none are removed.
  [[nodiscard]] std::vector<RunRecord> load_all() const;

 private:
  [[nodiscard]] std::string path_of(const TenantId& tenant) const;
  std::string directory_;
};

// The boot that this process lives in. Errors: internal with errno.
[[nodiscard]] Result<std::string> current_boot_id();
// Same text: a worker started with one of the two files need not be replaced for the other.
[[nodiscard]] std::string worker_fingerprint(const TenantConfig& config);

}  // namespace tenantd
