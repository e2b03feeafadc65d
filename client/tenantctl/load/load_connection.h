// One connection of a load: sends what is due, times the answers.
//
// Runs in: tenantctl, a thread of its own. Shares nothing with other connections while it runs.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "client/pipeline.h"
#include "client/target.h"
#include "client/tenantctl/load/load_run.h"

namespace tenantd {

// What all connections of a run share, read-only.
struct LoadShared {
  const LoadPlan& plan;
  // Encoded requests, sent in turn.
  std::span<const std::vector<std::byte>> payloads;
};

class LoadConnection {
 public:
  // Attaches. Errors: those of attaching.
  [[nodiscard]] static Result<std::unique_ptr<LoadConnection>> open(client::Target target,
                                                                    const LoadShared& shared,
                                                                    std::uint32_t index);
  LoadConnection(const LoadConnection&) = delete;
  LoadConnection& operator=(const LoadConnection&) = delete;

  [[nodiscard]] const Welcome& welcome() const noexcept { return welcome_; }
  // Sends from start_ns on and blocks until the last answer is in.
  void run(std::uint64_t start_ns);
  // Adds what this connection saw.
  void add_to(LoadResult& result) const;

 private:
  LoadConnection(client::Target target, const LoadShared& shared, std::uint32_t index);
  [[nodiscard]] bool may_send(std::uint64_t now_ns) const noexcept;
  void send_closed(std::uint64_t now_ns);
  void send_open(std::uint64_t now_ns);
  void submit(std::uint64_t intended_ns);
  void answered(std::uint64_t intended_ns, const Result<std::span<const std::byte>>& answer);
  void count_unsent(std::uint64_t now_ns);

  client::Target target_;
  const LoadShared& shared_;
  std::uint32_t index_;
  Welcome welcome_;
  ClientStatistics statistics_;
  client::Pipeline pipeline_;
  Transport transport_ = Transport::ring;
  std::uint64_t measure_ns_ = 0;  // the warm-up's end
  std::uint64_t end_ns_ = ~std::uint64_t{0};
  std::uint64_t quota_ = ~std::uint64_t{0};  // of measured requests
  std::uint64_t measured_ = 0;               // sent
  std::uint64_t interval_ns_ = 0;            // between two of this connection; open loop
  std::uint64_t due_ns_ = 0;
  std::uint64_t last_answer_ns_ = 0;
  std::size_t next_payload_ = 0;
  LoadHistogram latency_;
  std::uint64_t answered_ = 0;
  std::uint64_t unsent_ = 0;
  std::map<std::string, std::uint64_t> errors_;
};

}  // namespace tenantd
