#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "shared/contract/control_link.h"
#include "shared/os/socket.h"
#include "tests/isolation/hostile/attacks.h"

namespace tenantd::hostile {
namespace {

template <class T>
std::span<const std::byte> bytes_of(const T& message) {
  return std::as_bytes(std::span(&message, 1));
}

template <class T>
bool say(const T& message) {
  return ::send(link_fd, &message, sizeof message, MSG_NOSIGNAL) == sizeof message;
}

// As fast as the link takes it, for as long as anybody listens. The link does not block, so that a
// pause is taken where it is full.
template <class T>
void flood(const T& message) {
  for (;;) {
    if (say(message)) continue;
    if (errno != EAGAIN) return;
    pause_ms(1);
  }
}

void be_ready(const LaunchSpec& spec) { (void)say(make_link_message<Ready>(spec.generation)); }

// Every kind there is, and some that are not, at every wrong length that is nearly right.
template <class Send>
void every_kind(const LaunchSpec& spec, Send send) {
  std::array<std::byte, 6144> bytes{};
  for (std::uint16_t kind = 0; kind < 64; ++kind) {
    for (const std::size_t size : {16UL, 24UL, 88UL, 104UL, 112UL, 160UL, 216UL, 328UL, 5216UL}) {
      LinkHeader header{LinkKind{kind}, link_version, static_cast<std::uint32_t>(size),
                        spec.generation};
      send(header, std::span(bytes), size);
    }
  }
}

void garbage(const LaunchSpec& spec) {
  be_ready(spec);
  std::array<std::uint8_t, 700> bytes{};
  std::uint32_t state = 1;
  for (int i = 0; i < 200; ++i) {
    for (auto& byte : bytes) {
      state = state * 1664525 + 1013904223;
      byte = static_cast<std::uint8_t>(state >> 24U);
    }
    (void)::send(link_fd, bytes.data(), state % bytes.size() + 1, MSG_NOSIGNAL);
  }
}

void truncated(const LaunchSpec& spec) {
  be_ready(spec);
  every_kind(spec, [](LinkHeader header, std::span<std::byte> bytes, std::size_t size) {
    std::memcpy(bytes.data(), &header, sizeof header);
    (void)::send(link_fd, bytes.data(), size - 1, MSG_NOSIGNAL);
  });
}

// Ignored one by one; that they come so fast is what ends it.
void other_generation(const LaunchSpec& spec) {
  be_ready(spec);
  for (std::uint64_t generation = spec.generation + 1;; ++generation) {
    if (!say(make_link_message<Drained>(generation)) && errno != EAGAIN) return;
  }
}

void oversized(const LaunchSpec& spec) {
  be_ready(spec);
  flood(std::array<std::byte, 60'000>{});
}

void old_version(const LaunchSpec& spec) {
  be_ready(spec);
  auto ready = make_link_message<Ready>(spec.generation);
  ready.header.version = 0;
  (void)say(ready);
}

void flood_ready(const LaunchSpec& spec) { flood(make_link_message<Ready>(spec.generation)); }
void flood_drained(const LaunchSpec& spec) {
  be_ready(spec);
  flood(make_link_message<Drained>(spec.generation));
}

void flood_status(const LaunchSpec& spec) {
  be_ready(spec);
  auto status = make_link_message<WorkerStatus>(spec.generation);
  status.routes = status.requests = status.attachments = UINT64_MAX;
  status.store_state = StoreState::degraded;
  flood(status);
}

// What only control may ask, and what only the supervisor may say.
void command(const LaunchSpec& spec) {
  be_ready(spec);
  auto restart = make_link_message<Command>(spec.generation);
  restart.verb = CommandVerb::restart_tenant;
  (void)restart.tenant_id.assign("globex");
  (void)say(restart);
}
void attach(const LaunchSpec& spec) {
  be_ready(spec);
  auto message = make_link_message<Attach>(spec.generation);
  (void)message.tenant_id.assign("globex");
  (void)say(message);
}
void tenant_record(const LaunchSpec& spec) {
  be_ready(spec);
  auto record = make_link_message<TenantRecord>(spec.generation);
  (void)record.tenant_id.assign("globex");
  (void)say(record);
}
void report(const LaunchSpec& spec) {
  be_ready(spec);
  auto all = make_link_message<ConfinementReport>(spec.generation);
  all.applied_layers = LayerSet::all().bits();
  (void)say(all);
}

// Slower than the bound on messages, and with as many descriptors as a message carries.
void descriptors(const LaunchSpec& spec) {
  be_ready(spec);
  static constexpr std::size_t count = 250;
  alignas(cmsghdr) static std::array<std::byte, CMSG_SPACE(count * sizeof(int))> control{};
  auto status = make_link_message<WorkerStatus>(spec.generation);
  iovec vector{&status, sizeof status};
  msghdr header{};
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  cmsghdr* const rights = CMSG_FIRSTHDR(&header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(count * sizeof(int));
  std::array<int, count> what{};
  for (std::size_t i = 0; i < count; ++i) what[i] = i % 2 == 0 ? link_fd : null_fd;
  std::memcpy(CMSG_DATA(rights), what.data(), sizeof what);
  for (;;) {
    (void)::sendmsg(link_fd, &header, MSG_NOSIGNAL);
    pause_ms(10);
  }
}

void twice_ready(const LaunchSpec& spec) {
  be_ready(spec);
  be_ready(spec);
}
void drained_unasked(const LaunchSpec& spec) {
  be_ready(spec);
  (void)say(make_link_message<Drained>(spec.generation));
}
void deaf(const LaunchSpec& spec) { be_ready(spec); }
void silent(const LaunchSpec& /*spec*/) {}
void closes(const LaunchSpec& spec) {
  be_ready(spec);
  ::close(link_fd);
}
void aborts(const LaunchSpec& spec) {
  be_ready(spec);
  std::abort();
}
void exits(const LaunchSpec& /*spec*/) { ::_exit(static_cast<int>(ExitCode::clean)); }
void spins(const LaunchSpec& spec) {
  be_ready(spec);
  for (;;) asm volatile("");
}

void write_log(const LaunchSpec& spec, std::string_view piece) {
  be_ready(spec);
  std::string bytes;
  while (bytes.size() < 65'536) bytes += piece;
  for (;;) {
    if (::write(log_err_fd, bytes.data(), bytes.size()) < 0) pause_ms(1);
  }
}
void log_without_end(const LaunchSpec& spec) { write_log(spec, "no end "); }
void log_short_lines(const LaunchSpec& spec) { write_log(spec, "x\n"); }
void log_no_text(const LaunchSpec& spec) { write_log(spec, "\x1b[2J\xff\x9b\r\n"); }

int connect_to_supervisor() {
  const int socket = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, link_socket_path.data(), link_socket_path.size());
  if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return socket;
  ::close(socket);
  return -1;
}

// A thousand times: as itself, another generation, another tenant, with nothing to say, half-open.
void reconnects(const LaunchSpec& spec) {
  be_ready(spec);
  std::vector<UniqueFd> held;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    UniqueFd socket(connect_to_supervisor());
    auto hello = make_link_message<WorkerHello>(spec.generation + i % 3);
    (void)hello.tenant_id.assign(i % 2 == 0 ? spec.tenant.tenant_id.view() : "globex");
    if (i % 5 != 0) (void)send_message(socket.get(), bytes_of(hello));
    held.push_back(std::move(socket));
    if (held.size() == 100) held.erase(held.begin());
  }
}

constexpr std::array attacks = {
    Attack{"garbage", garbage},
    Attack{"truncated", truncated},
    Attack{"other-generation", other_generation},
    Attack{"oversized", oversized},
    Attack{"old-version", old_version},
    Attack{"flood-ready", flood_ready},
    Attack{"flood-drained", flood_drained},
    Attack{"flood-status", flood_status},
    Attack{"command", command},
    Attack{"attach", attach},
    Attack{"tenant-record", tenant_record},
    Attack{"report", report},
    Attack{"descriptors", descriptors},
    Attack{"twice-ready", twice_ready},
    Attack{"drained-unasked", drained_unasked},
    Attack{"deaf", deaf},
    Attack{"silent", silent},
    Attack{"closes", closes},
    Attack{"aborts", aborts},
    Attack{"exits", exits},
    Attack{"spins", spins},
    Attack{"log-without-end", log_without_end},
    Attack{"log-short-lines", log_short_lines},
    Attack{"log-no-text", log_no_text},
    Attack{"reconnects", reconnects},
};

}  // namespace

const Attack* find_link_attack(std::string_view name) {
  for (const Attack& attack : attacks) {
    if (attack.name == name) return &attack;
  }
  return nullptr;
}

}  // namespace tenantd::hostile
