#include "client/tenantctl/routes/batch_sender.h"

#include <chrono>
#include <thread>
#include <utility>

namespace tenantd {
namespace {

constexpr std::uint64_t wait_ms = 1000;

// The worker takes fewer at a time: nothing of the batch was looked at.
bool is_pushed_back(const Error& error) noexcept {
  return error.code == ErrorCode::resource_exhausted && error.retry_after_ms > 0;
}

}  // namespace

void BatchSender::submit(const std::shared_ptr<Sent>& sent) {
  sent->answered = false;
  sent->error.reset();
  const auto taken = client_.edit_routes(sent->batch, [sent](Result<RoutesEdited> edited) {
    sent->answered = true;
    if (!edited) sent->error = edited.error();
  });
  if (taken) return;
  sent->answered = true;
  sent->error = taken.error();
}

std::optional<SendFailure> BatchSender::send(RoutesEdit batch, LineRange lines) {
  const bool builds_on_others =
      !batch.edits.empty() && batch.edits.front().kind == EditKind::add_utterances;
  if (auto failed = wait(builds_on_others ? 0 : window_ - 1)) return failed;
  sent_.push_back(std::make_shared<Sent>(Sent{std::move(batch), lines, false, std::nullopt}));
  submit(sent_.back());
  return std::nullopt;
}

std::optional<SendFailure> BatchSender::finish() { return wait(0); }

std::optional<SendFailure> BatchSender::wait(std::size_t most) {
  for (;;) {
    while (!sent_.empty() && sent_.front()->answered && !sent_.front()->error) sent_.pop_front();
    if (!sent_.empty() && sent_.front()->error) {
      if (client_.outstanding() == 0) return send_again();
    } else if (sent_.size() <= most) {
      return std::nullopt;
    }
    if (const auto waited = client_.wait(wait_ms); !waited) {
      return SendFailure{waited.error(), sent_.front()->lines};
    }
  }
}

// All are answered and the first was not taken. Where it was only pushed back, it and what followed
// goes again, one at a time: the order is that of the file.
std::optional<SendFailure> BatchSender::send_again() {
  window_ = 1;
  while (!sent_.empty()) {
    const std::shared_ptr<Sent> first = sent_.front();
    for (int attempt = 0; first->error; ++attempt) {
      if (!is_pushed_back(*first->error) || attempt == most_attempts) {
        return SendFailure{*first->error, first->lines};
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(first->error->retry_after_ms));
      submit(first);
      while (!first->answered) {
        if (const auto waited = client_.wait(wait_ms); !waited) {
          return SendFailure{waited.error(), first->lines};
        }
      }
    }
    sent_.pop_front();
  }
  return std::nullopt;
}

}  // namespace tenantd
