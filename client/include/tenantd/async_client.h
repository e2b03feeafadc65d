// Requests without waiting: submit, go on, be called back. For programs with an event loop.
//
// Runs in: the user's program, in one thread at a time; starts no thread of its own. Register fd()
// for readability with epoll, libuv, asio, asyncio, …, and call process() whenever it is readable:
// nothing else happens in between, so deadlines, too, are seen there (fd() becomes readable for
// them). Speaks `stream`, whose socket can be polled; a caller that can block gets the ring's speed
// from Client. What is said of attaching again and of fork() in client.h holds here too.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "tenantd/client.h"

namespace tenantd {

namespace client {
class AsyncSession;
}

struct AsyncOptions {
  ConnectOptions connect;              // its transport is not used
  std::size_t max_outstanding = 1024;  // requests without an answer yet
  std::size_t max_bytes = 8U << 20U;   // of those, encoded
};

class AsyncClient {
 public:
  using RequestId = std::uint64_t;
  // Called once for each request that was taken and not cancelled, from process() or wait() only.
  // It may submit and cancel; it must not destroy the client.
  template <class Reply>
  using Callback = std::function<void(Result<Reply>)>;

  // Does not attach: the first request does. Errors: invalid_argument, internal with errno.
  [[nodiscard]] static Result<AsyncClient> open(std::string_view tenant, AsyncOptions options = {});
  AsyncClient(AsyncClient&&) noexcept;
  AsyncClient& operator=(AsyncClient&&) noexcept;
  // Outstanding requests end without a call.
  ~AsyncClient();

  // Readable: call process(). The same descriptor over all attachments; never read or close it.
  [[nodiscard]] int fd() const noexcept;

  // Takes the request, never blocks; it is sent by the next process(), together with others.
  // timeout_ms 0: the default. Errors: resource_exhausted (too many outstanding: backpressure, try
  // again after a callback), invalid_argument, unsupported (in a forked child).
  [[nodiscard]] Result<RequestId> route(const RouteRequest& request, Callback<RouteReply> done,
                                        std::uint64_t timeout_ms = 0);
  [[nodiscard]] Result<RequestId> edit_routes(const RoutesEdit& edit, Callback<RoutesEdited> done,
                                              std::uint64_t timeout_ms = 0);
  [[nodiscard]] Result<RequestId> routes_page(const RoutesPageRequest& request,
                                              Callback<RoutesPage> done,
                                              std::uint64_t timeout_ms = 0);
  [[nodiscard]] Result<RequestId> stats(Callback<TenantStats> done, std::uint64_t timeout_ms = 0);
  // As Client's.
  [[nodiscard]] Result<RequestId> cache_get(std::string_view key, Callback<CacheValue> done,
                                            std::uint64_t timeout_ms = 0);
  [[nodiscard]] Result<RequestId> cache_set(const CacheSet& request, Callback<CacheChanged> done,
                                            std::uint64_t timeout_ms = 0);
  [[nodiscard]] Result<RequestId> cache_delete(std::string_view key, Callback<CacheChanged> done,
                                               std::uint64_t timeout_ms = 0);
  [[nodiscard]] Result<RequestId> ping(Callback<Pong> done, std::uint64_t timeout_ms = 0);

  // True: its callback will not be called. It may have run, or run yet; its answer is dropped.
  bool cancel(RequestId id);

  // Sends, receives, calls back; never blocks. How many requests ended. Error: unsupported (forked
  // child), resource_exhausted (an exception, of memory or of a callback: that callback's request
  // has ended, the others go on).
  [[nodiscard]] Result<std::size_t> process();
  // The same after sleeping until there is something to do, or timeout_ms.
  [[nodiscard]] Result<std::size_t> wait(std::uint64_t timeout_ms);

  [[nodiscard]] std::size_t outstanding() const noexcept;
  [[nodiscard]] const ClientStatistics& statistics() const noexcept;

 private:
  explicit AsyncClient(std::unique_ptr<client::AsyncSession> session) noexcept;
  std::unique_ptr<client::AsyncSession> session_;
};

}  // namespace tenantd
