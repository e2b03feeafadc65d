// Control's end of the link: asks the supervisor for what only it can do, and receives what it
// tells.
//
// Runs in: control. The supervisor is trusted, its messages are checked all the same. Commands have
// ids, a deadline and a bounded table; an answer that nobody waits for any more is dropped.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "shared/channel/link_channel.h"
#include "shared/contract/control_link.h"
#include "shared/loop/loop.h"

namespace tenantd {

class SupervisorLink {
 public:
  static constexpr std::size_t max_pending = 128;
  static constexpr std::uint64_t command_timeout_ms = 2'000;
  static constexpr std::uint64_t reload_timeout_ms =
      30'000;  // a rescan of many files is answered at its end
  static constexpr std::uint64_t verify_timeout_ms = 120'000;  // others are verified before
  static constexpr std::uint32_t page_size = 32;  // so that a page of tenants always fits one frame

  // All that came before CommandDone, whose error_code is 0.
  struct Answer {
    std::vector<TenantRecord> tenants;
    std::optional<PostureRecord> posture;
    std::vector<VerifyProbeRecord> probes;
    CommandDone done;
  };
  // Errors: what the supervisor answered; unavailable (no answer in time, or the link is full).
  using OnAnswer = std::function<void(Result<Answer>)>;

  struct Handlers {
    std::function<void(const Attach&, UniqueFd)> on_attach;
    std::function<void(const Event&)> on_event;
    std::function<void(const LogLine&)> on_log_line;
    std::function<void(const Drain&)> on_drain;
    std::function<void()> on_closed;
  };

  [[nodiscard]] static Result<std::unique_ptr<SupervisorLink>> create(Loop& loop, UniqueFd socket,
                                                                      std::uint64_t generation,
                                                                      Handlers handlers);
  // `on_answer` is called once, maybe before this returns, never after the link is destroyed.
  // `checks`: of verify.
  void ask(CommandVerb verb, std::string_view tenant, std::uint32_t requester_uid,
           OnAnswer on_answer, CheckMask checks = 0);
  [[nodiscard]] Status send_ready();
  [[nodiscard]] Status send_drained();
  [[nodiscard]] std::size_t pending() const noexcept { return pending_.size(); }

 private:
  struct Pending {
    OnAnswer on_answer;
    Answer answer;
    std::uint64_t deadline_ns = 0;
  };
  SupervisorLink(Loop& loop, std::uint64_t generation, Handlers handlers);
  void on_message(std::span<const std::byte> packet, UniqueFd descriptor);
  void on_done(const CommandDone& done);
  void expire();

  std::uint64_t generation_;
  Handlers handlers_;
  std::uint64_t last_command_id_ = 0;
  std::unordered_map<std::uint64_t, Pending> pending_;
  Timer expiry_;  // runs while something is pending
  std::unique_ptr<LinkChannel> channel_;
};

}  // namespace tenantd
