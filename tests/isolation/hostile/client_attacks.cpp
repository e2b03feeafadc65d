#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <vector>

#include "shared/contract/link.h"
#include "shared/os/socket.h"
#include "shared/protocol/messages.h"
#include "shared/ring/ring_layout.h"
#include "tests/isolation/hostile/attacks.h"

namespace tenantd::hostile {
namespace {

constexpr std::uint32_t ring_bytes = 256U << 10U;
constexpr int ring_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;

template <class T>
std::vector<std::byte> frame(std::uint64_t request_id, const T& message) {
  std::vector<std::byte> payload;
  if (!encode(message, payload)) return {};
  FrameHeader header;
  header.size = static_cast<std::uint32_t>(payload.size());
  header.type = static_cast<std::uint16_t>(T::type);
  header.request_id = request_id;
  std::vector<std::byte> out(sizeof header + payload.size());
  std::memcpy(out.data(), &header, sizeof header);
  std::memcpy(out.data() + sizeof header, payload.data(), payload.size());
  return out;
}

void write_all(int socket, const std::vector<std::byte>& bytes) {
  (void)::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

// The next whole frame; an empty header when the client is gone or says nothing.
FrameHeader next_frame(int socket) {
  FrameHeader header;
  std::vector<std::byte> payload(max_frame_bytes);
  for (int i = 0; i < 2000; ++i) {
    const ssize_t n = ::recv(socket, &header, sizeof header, MSG_DONTWAIT | MSG_PEEK);
    if (n == 0) return {};
    if (n == sizeof header) {
      (void)::recv(socket, &header, sizeof header, MSG_DONTWAIT);
      (void)::recv(socket, payload.data(), std::min(header.size, max_frame_bytes), MSG_DONTWAIT);
      return header;
    }
    pause_ms(1);
  }
  return {};
}

void welcome(int socket, std::uint32_t ring) {
  Welcome message;
  message.generation = 1;
  message.dimension = 64;
  message.ring_bytes = ring;
  message.encoder = "hash";
  write_all(socket, frame(0, message));
  (void)next_frame(socket);  // what the client chooses
}

// Up to the first request on a stream; its id.
std::uint64_t first_request(int socket) {
  welcome(socket, 0);
  write_all(socket, frame(0, RingReady{}));
  return next_frame(socket).request_id;
}

ErrorMessage an_error() {
  Error error;
  error.code = ErrorCode::internal;
  error.message = "from a hostile worker";
  return ErrorMessage::from(error);
}

void silent(int /*socket*/) { pause_ms(300); }
void closes(int /*socket*/) {}
void garbage(int socket) {
  std::vector<std::byte> bytes(4096, std::byte{0xa5});
  write_all(socket, bytes);
}
void huge_frame(int socket) {
  FrameHeader header;
  header.size = UINT32_MAX;
  header.type = static_cast<std::uint16_t>(MessageType::welcome);
  std::vector<std::byte> bytes(sizeof header);
  std::memcpy(bytes.data(), &header, sizeof header);
  write_all(socket, bytes);
  pause_ms(300);
}
void half_frame(int socket) {
  auto bytes = frame(0, Welcome{});
  bytes.resize(bytes.size() / 2);
  write_all(socket, bytes);
}
void odd_ring_size(int socket) {
  welcome(socket, 12345);
  pause_ms(300);
}
void unasked(int socket) {
  (void)first_request(socket);
  write_all(socket, frame(0x7777, an_error()));
  pause_ms(300);
}
void other_request(int socket) {
  write_all(socket, frame(first_request(socket) + 1, an_error()));
  pause_ms(300);
}
void answers_twice(int socket) {
  const std::uint64_t id = first_request(socket);
  auto bytes = frame(id, an_error());
  const auto again = bytes;
  bytes.insert(bytes.end(), again.begin(), again.end());
  write_all(socket, bytes);
}
void wrong_answer(int socket) {
  write_all(socket, frame(first_request(socket), Welcome{}));
  pause_ms(300);
}
void welcomes_for_ever(int socket) {
  const auto bytes = frame(0, Welcome{});
  for (int i = 0; i < 10'000; ++i) write_all(socket, bytes);
}

// What the client is given instead of a sealed memory of the agreed size and an eventfd.
struct Offer {
  bool doorbell_fills = false;  // once the client has it: full, and it blocks
  std::uint64_t size = ring_header_bytes + ring_bytes;
  int seals = ring_seals;
  bool doorbell_blocks = false;
  bool doorbell_is_pipe = false;
  std::size_t copies = 1;  // of the memory
};

UniqueFd make_memory(const Offer& offer) {
  UniqueFd memory(::memfd_create("ring", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (::ftruncate(memory.get(), static_cast<off_t>(offer.size)) != 0) memory.reset();
  return memory;
}

void send_ring(int socket, const Offer& offer, int memory) {
  (void)::fcntl(memory, F_ADD_SEALS, offer.seals);
  int ends[2] = {-1, -1};
  UniqueFd doorbell;
  if (offer.doorbell_is_pipe && ::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0) {
    ::close(ends[0]);
    doorbell.reset(ends[1]);
  } else {
    doorbell.reset(::eventfd(0, EFD_CLOEXEC | (offer.doorbell_blocks ? 0 : EFD_NONBLOCK)));
  }
  RingReady ready;
  ready.transport = Transport::ring;
  const auto bytes = frame(0, ready);
  std::vector<int> descriptors(offer.copies, memory);
  descriptors.push_back(doorbell.get());
  std::vector<std::byte> control(CMSG_SPACE(descriptors.size() * sizeof(int)));
  iovec vector{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr header{};
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  cmsghdr* const rights = CMSG_FIRSTHDR(&header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
  std::memcpy(CMSG_DATA(rights), descriptors.data(), descriptors.size() * sizeof(int));
  const std::uint64_t full = UINT64_MAX - 1;
  if (offer.doorbell_fills && ::write(doorbell.get(), &full, sizeof full) < 0) return;
  (void)::sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (offer.doorbell_fills) {
    (void)::fcntl(doorbell.get(), F_SETFL, ::fcntl(doorbell.get(), F_GETFL) & ~O_NONBLOCK);
    pause_ms(2000);  // while it is kept open, nobody's end of file and nobody's reader
  }
}

void offer_ring(int socket, const Offer& offer) {
  welcome(socket, ring_bytes);
  const UniqueFd memory = make_memory(offer);
  send_ring(socket, offer, memory.get());
  pause_ms(200);
  [[maybe_unused]] const int cut = ::ftruncate(memory.get(), 0);  // what seals are for
  pause_ms(200);
}

void ring_unsealed(int socket) { offer_ring(socket, {.seals = 0}); }
void ring_growable(int socket) { offer_ring(socket, {.seals = F_SEAL_SHRINK | F_SEAL_SEAL}); }
void ring_small(int socket) { offer_ring(socket, {.size = ring_header_bytes}); }
void ring_large(int socket) { offer_ring(socket, {.size = 1ULL << 40U}); }
void ring_empty(int socket) { offer_ring(socket, {.size = 0}); }
// The client's request rings: the ring says that its worker sleeps.
void ring_full_doorbell(int socket) {
  welcome(socket, ring_bytes);
  const Offer offer{.doorbell_fills = true};
  const UniqueFd memory = make_memory(offer);
  void* const place =
      ::mmap(nullptr, offer.size, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
  if (place == MAP_FAILED) return;
  static_cast<RingHeader*>(place)->sleep.store(sleep_mask + 1 + sleep_for_frames);
  send_ring(socket, offer, memory.get());
  (void)::munmap(place, offer.size);
}
void ring_blocking_doorbell(int socket) { offer_ring(socket, {.doorbell_blocks = true}); }
void ring_pipe_doorbell(int socket) { offer_ring(socket, {.doorbell_is_pipe = true}); }
void ring_many(int socket) { offer_ring(socket, {.copies = 200}); }
void ring_silent(int socket) { offer_ring(socket, {}); }

// A good ring whose words lie once the client sleeps on it.
void lie(int socket, std::uint64_t tail, std::uint64_t head, std::uint32_t frame_size) {
  welcome(socket, ring_bytes);
  const Offer offer;
  const UniqueFd memory = make_memory(offer);
  void* const place =
      ::mmap(nullptr, offer.size, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
  if (place == MAP_FAILED) return;
  auto* const header = static_cast<RingHeader*>(place);
  FrameHeader first;
  first.size = frame_size;
  first.type = static_cast<std::uint16_t>(MessageType::error);
  first.request_id = 1;
  std::memcpy(static_cast<std::byte*>(place) + ring_header_bytes, &first, sizeof first);
  header->head.store(head);
  header->tail.store(tail);
  send_ring(socket, offer, memory.get());
  pause_ms(400);
  (void)::munmap(place, offer.size);
}
void ring_tail_ahead(int socket) { lie(socket, UINT64_MAX - 7, 0, 0); }
void ring_tail_odd(int socket) { lie(socket, 25, 0, 0); }
void ring_head_ahead(int socket) { lie(socket, 0, UINT64_MAX, 0); }
void ring_frame_outside(int socket) { lie(socket, 32, 0, UINT32_MAX); }
void ring_frame_garbage(int socket) { lie(socket, 4096, 0, 4000); }

constexpr std::array attacks = {
    ClientAttack{"c-silent", silent},
    ClientAttack{"c-closes", closes},
    ClientAttack{"c-garbage", garbage},
    ClientAttack{"c-huge-frame", huge_frame},
    ClientAttack{"c-half-frame", half_frame},
    ClientAttack{"c-odd-ring-size", odd_ring_size},
    ClientAttack{"c-unasked", unasked},
    ClientAttack{"c-other-request", other_request},
    ClientAttack{"c-answers-twice", answers_twice},
    ClientAttack{"c-wrong-answer", wrong_answer},
    ClientAttack{"c-welcomes-for-ever", welcomes_for_ever},
    ClientAttack{"c-ring-unsealed", ring_unsealed},
    ClientAttack{"c-ring-growable", ring_growable},
    ClientAttack{"c-ring-small", ring_small},
    ClientAttack{"c-ring-large", ring_large},
    ClientAttack{"c-ring-empty", ring_empty},
    ClientAttack{"c-ring-blocking-doorbell", ring_blocking_doorbell},
    ClientAttack{"c-ring-full-doorbell", ring_full_doorbell},
    ClientAttack{"c-ring-pipe-doorbell", ring_pipe_doorbell},
    ClientAttack{"c-ring-many", ring_many},
    ClientAttack{"c-ring-silent", ring_silent},
    ClientAttack{"c-ring-tail-ahead", ring_tail_ahead},
    ClientAttack{"c-ring-tail-odd", ring_tail_odd},
    ClientAttack{"c-ring-head-ahead", ring_head_ahead},
    ClientAttack{"c-ring-frame-outside", ring_frame_outside},
    ClientAttack{"c-ring-frame-garbage", ring_frame_garbage},
};

}  // namespace

const ClientAttack* find_client_attack(std::string_view name) {
  for (const ClientAttack& attack : attacks) {
    if (attack.name == name) return &attack;
  }
  return nullptr;
}

void serve(const LaunchSpec& spec, const ClientAttack& attack) {
  const auto ready = make_link_message<Ready>(spec.generation);
  (void)send_message(link_fd, std::as_bytes(std::span(&ready, 1)));
  alignas(8) std::array<std::byte, 6144> buffer{};
  for (;;) {
    auto message = receive_message(link_fd, buffer, true);
    if (!message || message->outcome == IoOutcome::closed) wait_to_be_killed();
    if (message->outcome == IoOutcome::would_block) {
      pause_ms(1);
    } else if (message->descriptor) {
      attack.run(message->descriptor.get());
    }
  }
}

}  // namespace tenantd::hostile
