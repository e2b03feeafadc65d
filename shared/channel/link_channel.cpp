#include "shared/channel/link_channel.h"

#include <utility>

#include "shared/os/socket.h"

namespace tenantd {

LinkChannel::LinkChannel(Loop& loop, UniqueFd socket, Descriptors descriptors, OnMessage on_message,
                         OnClosed on_closed)
    : socket_(std::move(socket)),
      descriptors_(descriptors),
      on_message_(std::move(on_message)),
      on_closed_(std::move(on_closed)),
      end_(loop),
      alive_(std::make_shared<bool>(true)) {}

LinkChannel::~LinkChannel() {
  *alive_ = false;
  poll_.close();
}

Result<std::unique_ptr<LinkChannel>> LinkChannel::create(Loop& loop, UniqueFd socket,
                                                         Descriptors descriptors,
                                                         OnMessage on_message, OnClosed on_closed) {
  std::unique_ptr<LinkChannel> channel(new LinkChannel(
      loop, std::move(socket), descriptors, std::move(on_message), std::move(on_closed)));
  auto* const self = channel.get();
  const Status started = self->poll_.start(loop, self->socket_.get(), UV_READABLE | UV_DISCONNECT,
                                           [self](int events) { self->on_ready(events); });
  if (!started) return tl::unexpected(started.error());
  return channel;
}

Status LinkChannel::send_bytes(std::span<const std::byte> bytes, UniqueFd descriptor) {
  if (queue_.empty()) {
    const auto sent = send_message(socket_.get(), bytes, descriptor.get());
    if (!sent) return tl::unexpected(sent.error());
    if (*sent == IoOutcome::done) return {};
    if (*sent == IoOutcome::closed) {
      end_soon();
      return fail(ErrorCode::unavailable, "the link's peer is gone");
    }
  }
  if (queue_.size() >= max_queued_messages) {
    return fail(ErrorCode::resource_exhausted, "the link's queue is full");
  }
  queue_.push_back({{bytes.begin(), bytes.end()}, std::move(descriptor)});
  poll_.change(UV_READABLE | UV_WRITABLE | UV_DISCONNECT);
  return {};
}

void LinkChannel::on_ready(int events) {
  if ((events & UV_WRITABLE) != 0) flush();
  // What the peer said before it went away is read first.
  if ((events & (UV_READABLE | UV_DISCONNECT)) != 0) (void)receive_all();
}

// False: there may be more, for another turn. Also where it closed or destroyed the channel.
bool LinkChannel::receive_all() {
  const std::shared_ptr<bool> alive = alive_;
  alignas(8) std::array<std::byte, max_message_bytes> buffer;
  for (int i = 0; i < max_messages_per_turn; ++i) {
    auto received = receive_message(socket_.get(), buffer, descriptors_ == Descriptors::accept);
    if (!received || received->outcome == IoOutcome::closed) {
      close_once();
      return false;
    }
    if (received->outcome == IoOutcome::would_block) return true;
    // No message of the contract is that long: it counts as one that does not parse.
    const std::size_t size = received->truncated ? 0 : received->size;
    on_message_(std::span(buffer).first(size), std::move(received->descriptor));
    if (!*alive) return false;
  }
  return false;
}

void LinkChannel::flush() {
  while (!queue_.empty()) {
    const Queued& next = queue_.front();
    const auto sent = send_message(socket_.get(), next.bytes, next.descriptor.get());
    if (sent && *sent == IoOutcome::would_block) return;
    if (sent && *sent == IoOutcome::closed) {
      queue_.clear();
      end_soon();
      break;
    }
    queue_.pop_front();  // sent; or one that the kernel refuses, and the next may do
  }
  poll_.change(UV_READABLE | UV_DISCONNECT);
}

// A peer that only stops to read ends nothing that the read side would report. What it said before
// is read first. Not shutdown(2): a worker, whose supervisor may die at any time, may not call it.
void LinkChannel::end_soon() {
  end_.start(0, [this] {
    const std::shared_ptr<bool> alive = alive_;
    const bool drained = receive_all();
    if (!*alive || !on_closed_) return;
    if (!drained) return end_soon();
    close_once();
  });
}

void LinkChannel::close_once() {
  poll_.close();
  end_.stop();
  const OnClosed on_closed = std::exchange(on_closed_, nullptr);
  if (on_closed) on_closed();
}

}  // namespace tenantd
