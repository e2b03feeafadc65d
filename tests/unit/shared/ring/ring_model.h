// A model of the ring's sleep and wake protocol, small enough to try every interleaving.
//
// Client and worker as their atomic steps, in ring.cpp's order: each store goes into the thread's
// own store buffer and reaches memory at any later time, in order (x86-TSO: Owens, Sarkar, Sewell,
// "A better x86 memory model", 2009); a sequentially consistent access waits until its thread's
// buffer has drained. The client sleeps on a futex word, the worker on an edge-triggered eventfd.
// Each guard of the protocol can be left out, to show that the search would find its absence.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

namespace tenantd::test {

struct RingModelRules {
  bool publisher_fence = true;      // tail is visible before the peer's sleep word is loaded
  bool sleeper_fence = true;        // the sleep word is visible before the peer's tail is loaded
  bool sleeper_looks_again = true;  // after saying that it sleeps
  bool word_before_flag = true;     // the futex word is read before the sleep word is stored
  bool sleeps_are_counted = true;   // a ring is spared for the same sleep only
};

struct RingModelOutcome {
  std::size_t states = 0;
  std::size_t lost_wakeups = 0;  // states in which nobody can go on and answers are missing
  bool rang_awake_peer = false;  // more rings than sleeps
};

class RingModel {
 public:
  RingModel(const RingModelRules& rules, std::uint8_t requests)
      : rules_(rules), requests_(requests) {}

  [[nodiscard]] RingModelOutcome explore() {
    std::vector<State> open = {State{}};
    std::unordered_set<std::string> seen = {key(State{})};
    RingModelOutcome outcome;
    while (!open.empty()) {
      const State state = open.back();
      open.pop_back();
      ++outcome.states;
      if (state.rings[client] > state.sleeps[worker] ||
          state.rings[worker] > state.sleeps[client]) {
        outcome.rang_awake_peer = true;
      }
      if (state.received == requests_) continue;
      std::vector<State> next;
      for (const std::size_t side : {client, worker}) {
        drain_one(state, side, next);
        side == client ? step_client(state, next) : step_worker(state, next);
      }
      if (next.empty()) ++outcome.lost_wakeups;
      for (const State& reached : next) {
        if (seen.insert(key(reached)).second) open.push_back(reached);
      }
    }
    return outcome;
  }

 private:
  static constexpr std::size_t client = 0;
  static constexpr std::size_t worker = 1;
  enum Word : std::uint8_t { tail_of_client, tail_of_worker, sleep_of_client, sleep_of_worker };
  struct Store {
    std::uint8_t word = 0;
    std::uint8_t value = 0;
  };
  static constexpr std::size_t buffer_size = 4;
  // All bytes, without padding: a state's key is its bytes.
  struct State {
    std::array<std::uint8_t, 4> memory{};
    std::array<std::array<Store, buffer_size>, 2> buffers{};
    std::array<std::uint8_t, 2> buffered{};
    std::array<std::uint8_t, 2> at{};      // program counters
    std::array<std::uint8_t, 2> sleeps{};  // own ones
    std::array<std::uint8_t, 2> rung{};    // the peer's sleep that was rung last
    std::array<std::uint8_t, 2> rings{};
    std::uint8_t sent = 0;
    std::uint8_t received = 0;
    std::uint8_t taken = 0;
    std::uint8_t doorbell = 0;  // the futex word
    std::uint8_t seen = 0;      // of it, by the client
    std::uint8_t blocked = 0;   // the client, in FUTEX_WAIT
    std::uint8_t edge = 0;      // of the eventfd, not taken yet
  };
  static_assert(alignof(State) == 1);

  static std::string key(const State& state) {
    return {reinterpret_cast<const char*>(&state), sizeof state};
  }
  static void store(State& state, std::size_t side, Word word, std::uint8_t value) {
    state.buffers[side][state.buffered[side]++] = {word, value};
  }
  // A thread sees its own stores; no thread loads what it stores here.
  static std::uint8_t load(const State& state, Word word) { return state.memory[word]; }
  static bool drained(const State& state, std::size_t side) { return state.buffered[side] == 0; }
  static bool has_room(const State& state, std::size_t side) {
    return state.buffered[side] < buffer_size;
  }

  static void drain_one(const State& from, std::size_t side, std::vector<State>& next) {
    if (from.buffered[side] == 0) return;
    State state = from;
    auto& buffer = state.buffers[side];
    state.memory[buffer[0].word] = buffer[0].value;
    for (std::size_t i = 1; i < buffer_size; ++i) buffer[i - 1] = buffer[i];
    buffer[buffer_size - 1] = {};
    --state.buffered[side];
    next.push_back(state);
  }

  // RingEndpoint::prepare_sleep: the word counts sleeps above its flag.
  void say_asleep(State& state, std::size_t side, Word word) const {
    ++state.sleeps[side];
    const unsigned count = rules_.sleeps_are_counted ? state.sleeps[side] : 0U;
    store(state, side, word, static_cast<std::uint8_t>(count * 2 + 1));
  }
  // RingEndpoint::publish: true when the peer must be rung.
  static bool must_ring(State& state, std::size_t side, Word peer_sleep) {
    const std::uint8_t sleep = load(state, peer_sleep);
    if ((sleep & 1U) == 0 || sleep == state.rung[side]) return false;
    state.rung[side] = sleep;
    ++state.rings[side];
    return true;
  }

  void step_client(const State& from, std::vector<State>& next) const {
    State state = from;
    auto& at = state.at[client];
    if (from.blocked != 0 || !has_room(from, client)) return;
    switch (at) {
      case 0:  // publish: the tail
        store(state, client, tail_of_client, ++state.sent);
        at = 1;
        break;
      case 1:  // publish: does the worker sleep?
        if (rules_.publisher_fence && !drained(from, client)) return;
        at = must_ring(state, client, sleep_of_worker) ? 2 : 3;
        break;
      case 2:  // ring_worker: write the eventfd
        state.edge = 1;
        at = 3;
        break;
      case 3:  // pop
        if (load(state, tail_of_worker) > state.received) {
          state.received = load(state, tail_of_worker);
          at = 0;
        } else {
          at = rules_.word_before_flag ? 4 : 5;
        }
        break;
      case 4:  // wait: the futex word
        state.seen = state.doorbell;
        at = rules_.word_before_flag ? 5 : 7;
        break;
      case 5:  // prepare_sleep: say so
        say_asleep(state, client, sleep_of_client);
        at = 6;
        break;
      case 6:  // prepare_sleep: look again
        if (rules_.sleeper_fence && !drained(from, client)) return;
        if (rules_.sleeper_looks_again && load(state, tail_of_worker) > state.received) {
          at = 8;
        } else {
          at = rules_.word_before_flag ? 7 : 4;
        }
        break;
      case 7:  // FUTEX_WAIT compares and sleeps in one step
        if (state.doorbell == state.seen) state.blocked = 1;
        at = 8;
        break;
      default:  // wake_up
        store(state, client, sleep_of_client, 0);
        at = 3;
    }
    next.push_back(state);
  }

  void step_worker(const State& from, std::vector<State>& next) const {
    State state = from;
    auto& at = state.at[worker];
    if (!has_room(from, worker)) return;
    switch (at) {
      case 0:  // pop: all there is
        at = load(state, tail_of_client) > state.taken ? 1 : 5;
        state.taken = load(state, tail_of_client);
        break;
      case 1:  // publish: the tail
        store(state, worker, tail_of_worker, state.taken);
        at = 2;
        break;
      case 2:  // publish: does the client sleep?
        if (rules_.publisher_fence && !drained(from, worker)) return;
        at = must_ring(state, worker, sleep_of_client) ? 3 : 0;
        break;
      case 3:  // ring_client: a locked addition waits for the buffer
        if (!drained(from, worker)) return;
        ++state.doorbell;
        at = 4;
        break;
      case 4:  // ring_client: FUTEX_WAKE
        state.blocked = 0;
        at = 0;
        break;
      case 5:  // prepare_sleep: say so
        say_asleep(state, worker, sleep_of_worker);
        at = 6;
        break;
      case 6:  // prepare_sleep: look again
        if (rules_.sleeper_fence && !drained(from, worker)) return;
        at = rules_.sleeper_looks_again && load(state, tail_of_client) > state.taken ? 8 : 7;
        break;
      case 7:  // epoll_wait takes the edge, or sleeps
        if (state.edge == 0) return;
        state.edge = 0;
        at = 8;
        break;
      default:  // wake_up
        store(state, worker, sleep_of_worker, 0);
        at = 0;
    }
    next.push_back(state);
  }

  RingModelRules rules_;
  std::uint8_t requests_;
};

}  // namespace tenantd::test
