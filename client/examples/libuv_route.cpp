// Routes sentences at once from a libuv loop: libuv_route SOCKET TENANT TEXT...
#include <tenantd/async_client.h>
#include <uv.h>

#include <cstdio>

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  tenantd::AsyncOptions options;
  options.connect.socket_path = argv[1];
  auto client = tenantd::AsyncClient::open(argv[2], options);
  if (!client) return 1;

  uv_poll_t poll;
  uv_poll_init(uv_default_loop(), &poll, client->fd());
  poll.data = &*client;
  for (int i = 3; i < argc; ++i) {
    tenantd::RouteRequest request;
    request.text = argv[i];
    const auto id = client->route(request, [](tenantd::Result<tenantd::RouteReply> reply) {
      std::puts(reply ? reply->best.route.c_str() : reply.error().describe().c_str());
    });
    if (!id) return 1;
  }
  uv_poll_start(&poll, UV_READABLE, [](uv_poll_t* handle, int, int) {
    auto& ready = *static_cast<tenantd::AsyncClient*>(handle->data);
    if (!ready.process() || ready.outstanding() == 0) uv_poll_stop(handle);
  });
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  return 0;
}
