#include <grpcpp/grpcpp.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>

#include "echo.grpc.pb.h"
#include "tests/bench/path_peers.h"

namespace tenantd::bench {
namespace {

class EchoService final : public Echo::Service {
 public:
  grpc::Status Exchange(grpc::ServerContext* /*context*/, const Frame* request,
                        Frame* answer) override {
    if (request->payload().size() != request_bytes) return {grpc::StatusCode::INTERNAL, "size"};
    answer->set_payload(std::string(answer_bytes, 'a'));
    return grpc::Status::OK;
  }
};

void serve(const std::string& address) {
  EchoService service;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  if (server) server->Wait();
}

// Its client and server are made after the fork: the library's threads do not survive one.
class GrpcPeer : public Peer {
 public:
  explicit GrpcPeer(const Place& place)
      : path_("/tmp/tenantd-grpc-bench-" + std::to_string(::getpid())),
        server_(fork_peer(place, [this] { serve("unix:" + path_); })),
        channel_(grpc::CreateChannel("unix:" + path_, grpc::InsecureChannelCredentials())),
        stub_(Echo::NewStub(channel_)) {
    request_.set_payload(std::string(request_bytes, 'q'));
    const auto deadline = std::chrono::system_clock::now() + std::chrono::seconds(20);
    if (!channel_->WaitForConnected(deadline)) std::exit(1);
  }
  ~GrpcPeer() override {
    end_peer(server_);
    (void)::unlink(path_.c_str());
  }
  bool run(int depth) override {
    if (depth == 1) {
      grpc::ClientContext context;
      Frame answer;
      return stub_->Exchange(&context, request_, &answer).ok() &&
             answer.payload().size() == answer_bytes;
    }
    std::array<Call, most_in_flight> calls;
    for (int i = 0; i < depth; ++i) {
      Call& call = calls[static_cast<std::size_t>(i)];
      call.reader = stub_->AsyncExchange(&call.context, request_, &queue_);
      call.reader->Finish(&call.answer, &call.status, &call);
    }
    bool good = true;
    for (int i = 0; i < depth; ++i) {
      void* tag = nullptr;
      bool ok = false;
      good = queue_.Next(&tag, &ok) && ok && static_cast<Call*>(tag)->status.ok() && good;
    }
    return good;
  }

 private:
  struct Call {
    grpc::ClientContext context;
    grpc::Status status;
    Frame answer;
    std::unique_ptr<grpc::ClientAsyncResponseReader<Frame>> reader;
  };

  std::string path_;
  pid_t server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<Echo::Stub> stub_;
  grpc::CompletionQueue queue_;
  Frame request_;
};

}  // namespace

std::unique_ptr<Peer> make_grpc_peer(const Place& place) {
  return std::make_unique<GrpcPeer>(place);
}

}  // namespace tenantd::bench
