#include "control/logbook/logbook.h"

#include <algorithm>

#include "shared/base/tenant_id.h"
#include "shared/protocol/frame.h"

namespace tenantd {
namespace {

// What an entry costs in memory, and more than it costs in a frame.
std::size_t cost_of(const LogEntry& entry) noexcept { return sizeof(LogEntry) + entry.text.size(); }

constexpr std::size_t answer_budget_bytes = max_frame_bytes - 1024;

}  // namespace

void LogBook::append(const LogLine& line) {
  if (!TenantId::parse(line.tenant_id.view())) return;
  const std::string tenant(line.tenant_id.view());
  auto found = books_.find(tenant);
  if (found == books_.end()) {
    order_.push_front(tenant);
    found = books_.emplace(tenant, Book{}).first;
    found->second.place = order_.begin();
  } else {
    order_.splice(order_.begin(), order_, found->second.place);
  }
  Book& book = found->second;
  LogEntry& entry = book.entries.emplace_back();
  entry.sequence = ++last_sequence_;
  entry.time_ms = line.wall_ms;
  entry.generation = line.worker_generation;
  entry.suppressed_before = line.suppressed_before;
  entry.text = line.text.view();
  book.bytes += cost_of(entry);
  bytes_ += cost_of(entry);
  if (book.entries.size() > max_lines) {
    const std::size_t freed = cost_of(book.entries.front());
    book.entries.pop_front();
    book.bytes -= freed;
    bytes_ -= freed;
  }
  while (bytes_ > max_bytes_ && order_.size() > 1) forget_least_recent();
}

void LogBook::forget_least_recent() {
  const auto victim = books_.find(order_.back());
  bytes_ -= victim->second.bytes;
  books_.erase(victim);
  order_.pop_back();
}

bool LogBook::knows(std::string_view tenant) const { return books_.contains(std::string(tenant)); }

std::vector<LogEntry> LogBook::read(std::string_view tenant, std::uint32_t lines,
                                    std::uint64_t after_sequence) const {
  std::vector<LogEntry> out;
  const auto found = books_.find(std::string(tenant));
  if (found == books_.end()) return out;
  const std::deque<LogEntry>& entries = found->second.entries;
  std::size_t budget = answer_budget_bytes;
  const auto take = [&out, &budget, lines](const LogEntry& entry) {
    if (out.size() >= lines || cost_of(entry) > budget) return false;
    budget -= cost_of(entry);
    out.push_back(entry);
    return true;
  };
  if (after_sequence == 0) {
    for (auto entry = entries.rbegin(); entry != entries.rend() && take(*entry);) ++entry;
    std::reverse(out.begin(), out.end());
    return out;
  }
  const auto newer = [after_sequence](const LogEntry& entry) {
    return entry.sequence > after_sequence;
  };
  for (auto entry = std::find_if(entries.begin(), entries.end(), newer);
       entry != entries.end() && take(*entry);) {
    ++entry;
  }
  return out;
}

}  // namespace tenantd
