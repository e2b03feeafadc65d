// What a worker that somebody took over does with what it holds.
//
// Runs in: hostile_worker, confined by the jail like any worker. Nothing here needs a privilege: an
// attack is what the link, the log pipe, the socket directory and a client's socket allow. What the
// system call filter kills for (shutdown, fallocate, ptrace ...) is the probes' business.
#pragma once

#include <cstdint>
#include <string_view>

#include "shared/contract/launch_spec.h"
#include "shared/os/fd.h"

namespace tenantd::hostile {

// An attack is the name of the tenant that it takes over.
struct Attack {
  std::string_view name;
  void (*run)(const LaunchSpec& spec);
};
// Null: no such attack.
[[nodiscard]] const Attack* find_link_attack(std::string_view name);

// What it does with each client that is handed to it.
struct ClientAttack {
  std::string_view name;
  void (*run)(int socket);
};
[[nodiscard]] const ClientAttack* find_client_attack(std::string_view name);
// Says that it is ready and plays the attack on every client, until it is killed.
[[noreturn]] void serve(const LaunchSpec& spec, const ClientAttack& attack);

void pause_ms(std::uint64_t ms);
[[noreturn]] void wait_to_be_killed();

}  // namespace tenantd::hostile
