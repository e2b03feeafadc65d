// The C ABI's asynchronous half (tenantd.h says what each call does).
//
// Runs in: client library. Trusts its caller's pointers; lets no exception out.
#include "client/c_abi/convert.h"

using namespace tenantd;
using namespace tenantd::client;

struct tenantd_async {
  AsyncClient client;
};

int tenantd_async_open(const tenantd_options* options, const char* tenant, tenantd_async** async,
                       tenantd_error** error) {
  if (tenant == nullptr) return report_no_tenant(error);
  return guarded(error, [&]() -> Status {
    const auto known = options_of(options);
    if (!known) return tl::unexpected(known.error());
    AsyncOptions wanted;
    wanted.connect = connect_options(*known);
    if (known->max_outstanding != 0) wanted.max_outstanding = known->max_outstanding;
    auto opened = AsyncClient::open(tenant, std::move(wanted));
    if (!opened) return tl::unexpected(opened.error());
    *async = new tenantd_async{std::move(*opened)};
    return {};
  });
}

void tenantd_async_close(tenantd_async* async) { delete async; }

int tenantd_async_fd(const tenantd_async* async) {
  return async == nullptr ? -1 : async->client.fd();
}

int tenantd_async_route(tenantd_async* async, const tenantd_route_request* request,
                        tenantd_done done, void* user, uint64_t* id, tenantd_error** error) {
  if (async == nullptr) return report_no_tenant(error);
  return guarded(error, [&]() -> Status {
    std::uint64_t timeout_ms = 0;
    const auto message = request_of(request, timeout_ms);
    if (!message) return tl::unexpected(message.error());
    // The id is known after submit() only; the callback comes from process(), later.
    auto known_id = std::make_shared<std::uint64_t>(0);
    const auto taken = async->client.route(
        *message,
        [done, user, known_id](Result<RouteReply> reply) {
          if (reply) {
            const ReplyView view(std::move(*reply));
            return done(user, *known_id, TENANTD_OK, view.get(), nullptr);
          }
          const tenantd_error failed{std::move(reply.error())};
          done(user, *known_id, tenantd_error_code(&failed), nullptr, &failed);
        },
        timeout_ms);
    if (!taken) return tl::unexpected(taken.error());
    *known_id = *taken;
    if (id != nullptr) *id = *taken;
    return {};
  });
}

int tenantd_async_cancel(tenantd_async* async, uint64_t id) {
  return async != nullptr && async->client.cancel(id) ? 1 : 0;
}

int tenantd_async_process(tenantd_async* async, tenantd_error** error) {
  if (async == nullptr) return report_no_tenant(error);
  return guarded(error, [&]() -> Status {
    const auto ended = async->client.process();
    if (!ended) return tl::unexpected(ended.error());
    return {};
  });
}

int tenantd_async_wait(tenantd_async* async, uint64_t timeout_ms, tenantd_error** error) {
  if (async == nullptr) return report_no_tenant(error);
  return guarded(error, [&]() -> Status {
    const auto ended = async->client.wait(timeout_ms);
    if (!ended) return tl::unexpected(ended.error());
    return {};
  });
}

size_t tenantd_async_outstanding(const tenantd_async* async) {
  return async == nullptr ? 0 : async->client.outstanding();
}
