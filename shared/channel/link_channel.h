// One end of a link (contract/link.h) on the loop: whole messages in, a bounded queue of messages
// out.
//
// Runs in: supervisor, worker, control. What comes in is hostile until parse_link_message accepted
// it. The supervisor never accepts a descriptor; a program accepts at most one a message.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <span>
#include <vector>

#include "shared/contract/link.h"
#include "shared/loop/loop.h"
#include "shared/os/fd.h"

namespace tenantd {

class LinkChannel {
 public:
  static constexpr std::size_t max_message_bytes = 6144;
  static constexpr std::size_t max_queued_messages = 256;
  static constexpr int max_messages_per_turn = 64;  // then other descriptors get their turn

  enum class Descriptors { refuse, accept };
  // Both may destroy the channel. `descriptor` is empty unless one came and was accepted.
  using OnMessage = std::function<void(std::span<const std::byte> packet, UniqueFd descriptor)>;
  using OnClosed = std::function<void()>;

  [[nodiscard]] static Result<std::unique_ptr<LinkChannel>> create(Loop& loop, UniqueFd socket,
                                                                   Descriptors descriptors,
                                                                   OnMessage on_message,
                                                                   OnClosed on_closed);
  ~LinkChannel();

  // Sends now or queues. The descriptor is owned until sent, then closed. Errors:
  // resource_exhausted when the queue is full (the message is dropped), unavailable when the peer
  // is gone.
  template <class T>
  [[nodiscard]] Status send(const T& message, UniqueFd descriptor = UniqueFd()) {
    static_assert(sizeof(T) <= max_message_bytes);
    return send_bytes(std::as_bytes(std::span(&message, 1)), std::move(descriptor));
  }
  [[nodiscard]] std::size_t queued() const noexcept { return queue_.size(); }
  [[nodiscard]] int fd() const noexcept { return socket_.get(); }

 private:
  struct Queued {
    std::vector<std::byte> bytes;
    UniqueFd descriptor;
  };
  LinkChannel(Loop& loop, UniqueFd socket, Descriptors descriptors, OnMessage on_message,
              OnClosed on_closed);
  [[nodiscard]] Status send_bytes(std::span<const std::byte> bytes, UniqueFd descriptor);
  void on_ready(int events);
  [[nodiscard]] bool receive_all();
  void flush();
  void end_soon();
  void close_once();

  UniqueFd socket_;
  Descriptors descriptors_;
  OnMessage on_message_;
  OnClosed on_closed_;
  std::deque<Queued> queue_;
  Poll poll_;
  Timer end_;                    // runs once the peer was seen to read no more
  std::shared_ptr<bool> alive_;  // false once destroyed: callbacks may destroy us
};

}  // namespace tenantd
