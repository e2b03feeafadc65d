// Routes sentences at once from an asio loop: asio_route SOCKET TENANT TEXT...
#include <tenantd/async_client.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdio>
#include <functional>

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  tenantd::AsyncOptions options;
  options.connect.socket_path = argv[1];
  auto client = tenantd::AsyncClient::open(argv[2], options);
  if (!client) return 1;

  boost::asio::io_context loop;
  boost::asio::posix::stream_descriptor ready(loop, client->fd());
  for (int i = 3; i < argc; ++i) {
    tenantd::RouteRequest request;
    request.text = argv[i];
    const auto id = client->route(request, [](tenantd::Result<tenantd::RouteReply> reply) {
      std::puts(reply ? reply->best.route.c_str() : reply.error().describe().c_str());
    });
    if (!id) return 1;
  }
  std::function<void()> wait = [&] {
    ready.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                     [&](const boost::system::error_code& error) {
                       if (!error && client->process() && client->outstanding() > 0) wait();
                     });
  };
  wait();
  loop.run();
  ready.release();  // the descriptor is the client's
  return 0;
}
