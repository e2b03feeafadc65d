// Sends edits without waiting for each answer, so that a worker stores several in one transaction.
//
// Runs in: tenantctl. What a batch builds on is answered before it is sent. The first failure ends
// the sending; batches behind it that were on their way may have been taken.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

#include "client/include/tenantd/async_client.h"

namespace tenantd {

// Of the file, from 1.
struct LineRange {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
};

struct SendFailure {
  Error error;
  LineRange lines;
};

class BatchSender {
 public:
  explicit BatchSender(AsyncClient client) : client_(std::move(client)) {}

  // Takes the batch; blocks while many are on their way, and before one that begins with
  // add_utterances until all are answered. The failure is that of an earlier batch, or of this one.
  [[nodiscard]] std::optional<SendFailure> send(RoutesEdit batch, LineRange lines);
  // Blocks until all are answered.
  [[nodiscard]] std::optional<SendFailure> finish();

 private:
  struct Sent {
    RoutesEdit batch;
    LineRange lines;
    bool answered = false;
    std::optional<Error> error;
  };
  static constexpr std::size_t most_on_their_way = 32;
  static constexpr int most_attempts = 100;

  void submit(const std::shared_ptr<Sent>& sent);
  [[nodiscard]] std::optional<SendFailure> wait(std::size_t most);
  [[nodiscard]] std::optional<SendFailure> send_again();

  AsyncClient client_;
  std::deque<std::shared_ptr<Sent>> sent_;  // in order; answered ones without an error are gone
  std::size_t window_ = most_on_their_way;
};

}  // namespace tenantd
