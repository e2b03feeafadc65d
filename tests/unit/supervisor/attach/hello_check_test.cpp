#include "supervisor/attach/hello_check.h"

#include <doctest/doctest.h>

#include <functional>

using namespace tenantd;

namespace {

Hello good_hello() {
  Hello hello;
  (void)hello.tenant_id.assign("acme-corp");
  return hello;
}

Result<CheckedHello> check(const Hello& hello) {
  return check_hello(std::as_bytes(std::span(&hello, 1)));
}

ErrorCode refusal(const std::function<void(Hello&)>& change) {
  Hello hello = good_hello();
  change(hello);
  const auto checked = check(hello);
  return checked ? ErrorCode{} : checked.error().code;
}

}  // namespace

TEST_CASE("a good hello is taken as it is") {
  const auto peer = check(good_hello());
  REQUIRE(peer.has_value());
  CHECK(peer->tenant->view() == "acme-corp");
  CHECK(peer->protocol_version == 1);
  CHECK(peer->token_size == 0);
  Hello hello = good_hello();
  hello.credential = CredentialKind::token;
  hello.token_size = 16;
  hello.token[15] = 7;
  CHECK(check(hello)->token_size == 16);
  Hello control;
  control.target = HelloTarget::control;
  CHECK(!check(control)->tenant.has_value());
}

TEST_CASE("each field is checked") {
  const auto malformed = ErrorCode::protocol_error;
  CHECK(refusal([](Hello& h) { h.magic = 1; }) == malformed);
  CHECK(refusal([](Hello& h) { h.size = 255; }) == malformed);
  CHECK(refusal([](Hello& h) { h.target = HelloTarget{3}; }) == malformed);
  CHECK(refusal([](Hello& h) { h.target = HelloTarget::control; }) == malformed);  // with an id
  CHECK(refusal([](Hello& h) { h.credential = CredentialKind{2}; }) == malformed);
  CHECK(refusal([](Hello& h) { h.zero[111] = 1; }) == malformed);
  CHECK(refusal([](Hello& h) { h.token[0] = 1; }) == malformed);
  CHECK(refusal([](Hello& h) { h.token_size = 1; }) == malformed);
  CHECK(refusal([](Hello& h) { h.tenant_id.bytes.fill('a'); }) == malformed);
  CHECK(refusal([](Hello& h) { h.tenant_id.bytes[40] = 'x'; }) == malformed);  // behind the end
  CHECK(refusal([](Hello& h) { (void)h.tenant_id.assign("../etc"); }) == malformed);
  CHECK(refusal([](Hello& h) { (void)h.tenant_id.assign(""); }) == malformed);
  CHECK(refusal([](Hello& h) { (void)h.tenant_id.assign("Acme"); }) == malformed);
  CHECK(refusal([](Hello& h) {
          h.version_min = 2;
          h.version_max = 1;
        }) == malformed);
  CHECK(refusal([](Hello& h) {
          h.version_min = 2;
          h.version_max = 9;
        }) == ErrorCode::unsupported);
  CHECK(refusal([](Hello& h) {
          h.version_min = 0;
          h.version_max = 0;
        }) == ErrorCode::unsupported);
}

TEST_CASE("tokens have 16 to 64 bytes and nothing behind them") {
  const auto with_token = [](std::uint16_t size, std::size_t last_byte) {
    return refusal([size, last_byte](Hello& h) {
      h.credential = CredentialKind::token;
      h.token_size = size;
      h.token[last_byte] = 1;
    });
  };
  CHECK(with_token(15, 0) == ErrorCode::protocol_error);
  CHECK(with_token(65, 0) == ErrorCode::protocol_error);
  CHECK(with_token(16, 16) == ErrorCode::protocol_error);
  CHECK(with_token(16, 15) == ErrorCode{});
  CHECK(with_token(64, 63) == ErrorCode{});
}

TEST_CASE("any other size is malformed") {
  std::array<std::byte, 300> bytes{};
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    CHECK(!check_hello(std::span(bytes).first(size)).has_value());
  }
}
