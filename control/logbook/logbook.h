// The newest log lines of every tenant's worker, in memory.
//
// Runs in: control. Lines come from the supervisor, which captured them from a tenant's worker:
// their bytes are the tenant's. Bounded for each tenant and in total; the least recently written
// tenant goes first.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "shared/contract/control_link.h"
#include "shared/protocol/admin_messages.h"

namespace tenantd {

class LogBook {
 public:
  static constexpr std::size_t max_lines = 256;  // of one tenant
  static constexpr std::size_t default_max_bytes = 16U << 20U;

  explicit LogBook(std::size_t max_bytes = default_max_bytes) noexcept : max_bytes_(max_bytes) {}

  // Drops a line whose tenant id is not valid.
  void append(const LogLine& line);

  [[nodiscard]] bool knows(std::string_view tenant) const;
  // In order of their sequence. after_sequence 0: the newest `lines`; else the oldest after it, so
  // that a follower that asks again with the last sequence misses nothing that is still kept. At
  // most `lines`, and at most what fits one frame.
  [[nodiscard]] std::vector<LogEntry> read(std::string_view tenant, std::uint32_t lines,
                                           std::uint64_t after_sequence) const;
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

 private:
  struct Book {
    std::deque<LogEntry> entries;
    std::size_t bytes = 0;
    std::list<std::string>::iterator place;  // in order_
  };
  void forget_least_recent();

  std::size_t max_bytes_;
  std::size_t bytes_ = 0;  // the sum of all books' bytes
  std::uint64_t last_sequence_ = 0;
  std::unordered_map<std::string, Book> books_;
  std::list<std::string> order_;  // ids, most recently written first
};

}  // namespace tenantd
