// A client's bytes after the handshake: frames out of a stream, each dispatched to the real
// handlers.
//
// The first byte chooses how the stream is cut; the rest is what the client sent.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "worker/encoder/hash_encoder.h"
#include "worker/handlers/dispatcher.h"
#include "worker/runtime/frame_reader.h"
// The protocol's headers come first: see worker/handlers/translate.cpp.
#include "worker/cache/tenant_caches.h"
#include "worker/history/execution_recorder.h"
#include "worker/router/tenant_router.h"

namespace {

using namespace tenantd;

TenantSettings fuzz_settings() {
  TenantSettings settings;
  settings.router.dimension = 4;
  settings.router.cache_enabled = 1;
  settings.cache_similarity_e4 = 9000;
  settings.max_cache_bytes = 32'768;  // soon full
  (void)settings.tenant_id.assign("acme");
  (void)settings.router.encoder.assign("hash");
  (void)settings.router.fallback_route.assign("human");
  return settings;
}

SnapshotPtr fuzz_snapshot() {
  RouteDefinition route;
  route.id = "billing";
  route.utterances.push_back({"refund my invoice", {1, 0, 0, 0}, "hash-v1"});
  route.utterances.push_back({"pay the bill", {0, 1, 0, 0}, "hash-v1"});
  route.tags = {"money"};
  route.rules = {{RuleKind::keyword, RuleMode::always, "talk to a human"},
                 {RuleKind::pattern, RuleMode::signal, "INV-[0-9]+"},
                 {RuleKind::keyword, RuleMode::never, "spam"}};
  auto snapshot = std::make_shared<RouteSnapshot>();
  snapshot->settings = fuzz_settings();
  snapshot->encoder = make_hash_encoder(4);
  snapshot->set = build_route_set({build_route(route, 4)}, 4);
  return snapshot;
}

void require(bool holds) {
  if (!holds) std::abort();
}

// Exactly one whole frame of the protocol.
void check_answer(const std::vector<std::byte>& out) {
  FrameHeader header;
  require(out.size() >= sizeof header);
  std::memcpy(&header, out.data(), sizeof header);
  require(out.size() == sizeof header + header.size && header.size <= max_frame_bytes);
  const MessageRule* const rule = find_message_rule(header.type);
  require(rule != nullptr && rule->sender == Sender::server);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  static const TenantBinding binding(TenantId::parse("acme").value());
  static TenantRouter router(TenantId::parse("acme").value(), fuzz_snapshot());
  HandlerServices services;
  TenantCaches caches(TenantId::parse("acme").value(), fuzz_settings());
  services.router = &router;
  services.caches = &caches;
  services.settings = fuzz_settings();
  Dispatcher dispatcher(
      services, [](const EditJob&) { return Status{}; }, nullptr);
  ExecutionRecorder recorder(binding.context().tenant(), 16, 1, [](ExecutionRecorder::Urgency) {});
  recorder.set_sample(binding.context(), 1'000'000);
  services.recorder = &recorder;
  const Caller caller{1000, 0, data[0] % 2 == 1};
  const std::size_t cut = std::size_t{1} + data[0] * std::size_t{data[0]};
  FrameReader reader;
  std::vector<std::byte> out;
  for (std::size_t at = 1; at < size;) {
    const auto space = reader.space();
    const std::size_t take = std::min({space.size(), cut, size - at});
    std::memcpy(space.data(), data + at, take);
    reader.received(take);
    at += take;
    for (;;) {
      const auto frame = reader.next();
      if (!frame) return 0;
      if (!*frame) break;
      out.clear();
      const Dispatched dispatched = dispatcher.dispatch(1, binding.context(), (*frame)->header,
                                                        (*frame)->payload, out, caller);
      if (dispatched == Dispatched::deferred) {
        require(out.empty());
      } else {
        check_answer(out);
      }
      if (dispatched == Dispatched::peer_fault) return 0;
    }
  }
  return 0;
}
