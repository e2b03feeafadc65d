// Who gets in: every credential against every kind of access, as one table.
#include "supervisor/attach/authorise.h"

#include <doctest/doctest.h>
#include <sodium.h>

using namespace tenantd;

namespace {

constexpr uid_t daemon_uid = 500;
constexpr gid_t admin_gid = 600;

Sha256Digest digest_of(const std::array<std::uint8_t, 64>& token, std::size_t size) {
  Sha256Digest digest{};
  crypto_hash_sha256(digest.data(), token.data(), size);
  return digest;
}

CheckedHello with_token(std::uint8_t fill, std::size_t size = 32) {
  CheckedHello hello;
  hello.credential = CredentialKind::token;
  hello.token_size = size;
  std::fill_n(hello.token.begin(), size, fill);
  return hello;
}

AccessConfig access() {
  AccessConfig config;
  config.users = {1001, 1002};
  config.groups = {2001, 2002};
  config.token_sha256 = {digest_of(with_token(1).token, 32), digest_of(with_token(2).token, 32)};
  return config;
}

bool granted(const CheckedHello& hello, const PeerIdentity& peer, const AccessConfig* config) {
  return authorise(hello, peer, {daemon_uid, admin_gid}, config).granted;
}

const CheckedHello by_peer;

}  // namespace

TEST_CASE("peers by user, primary group and supplementary group") {
  const AccessConfig config = access();
  struct Row {
    PeerIdentity peer;
    bool granted;
  };
  const Row rows[] = {
      {{1, 1001, 9, {}}, true},
      {{1, 1003, 9, {}}, false},
      {{1, 1003, 2002, {}}, true},
      {{1, 1003, 9, {7, 2001}}, true},
      {{1, 1003, 9, {7, 2003}}, false},
      {{1, 2001, 1001, {1002}}, false},  // uids are not gids
      {{1, 0, 0, {}}, true},
      {{1, daemon_uid, 9, {}}, true},
      {{1, 1003, admin_gid, {}}, true},
      {{1, 1003, 9, {admin_gid}}, true},
  };
  for (const Row& row : rows) {
    CAPTURE(row.peer.uid);
    CHECK(granted(by_peer, row.peer, &config) == row.granted);
    CHECK(!granted(by_peer, row.peer, nullptr));
  }
}

TEST_CASE("operators are kept out where the file says so, but listed users stay in") {
  AccessConfig config = access();
  config.operators = false;
  config.users = {0};
  CHECK(granted(by_peer, {1, 0, 0, {}}, &config));
  CHECK(!granted(by_peer, {1, daemon_uid, 9, {}}, &config));
  CHECK(!granted(by_peer, {1, 1003, 9, {admin_gid}}, &config));
}

TEST_CASE("an admin group that does not exist admits nobody") {
  CHECK(!is_operator({1, 1003, 0, {0}}, {daemon_uid, std::nullopt}));
  CHECK(is_operator({1, 0, 5, {}}, {daemon_uid, std::nullopt}));
}

TEST_CASE("tokens: any listed one, exactly, and nothing but the token") {
  const AccessConfig config = access();
  const PeerIdentity stranger{1, 1003, 9, {}};
  CHECK(granted(with_token(1), stranger, &config));
  CHECK(granted(with_token(2), stranger, &config));
  CHECK(!granted(with_token(3), stranger, &config));
  CHECK(!granted(with_token(1, 31), stranger, &config));
  CHECK(!granted(with_token(1), stranger, nullptr));
  // A gateway running as root with a wrong token gets what the token is worth.
  CHECK(!granted(with_token(3), {1, 0, 0, {}}, &config));
  CHECK(!granted(with_token(3), {1, 1001, 9, {}}, &config));
  CHECK(!authorise(with_token(1), {1, 0, 0, {}}, {daemon_uid, admin_gid}, &config).as_operator);
  AccessConfig none = config;
  none.token_sha256.clear();
  CHECK(!granted(with_token(1), stranger, &none));
}

TEST_CASE("a token that is granted has a tag of its digest's first bytes, nothing else has one") {
  const AccessConfig config = access();
  const OperatorRules rules{daemon_uid, admin_gid};
  const auto tag = [&](const CheckedHello& hello, const AccessConfig* judged) {
    return authorise(hello, {1, 1001, 9, {}}, rules, judged).token_tag;
  };
  const Sha256Digest& first = config.token_sha256[0];
  CHECK(tag(with_token(1), &config) ==
        (std::uint32_t{first[0]} << 24U | std::uint32_t{first[1]} << 16U |
         std::uint32_t{first[2]} << 8U | first[3]));
  CHECK(tag(with_token(2), &config) != tag(with_token(1), &config));
  CHECK(tag(with_token(3), &config) == 0);
  CHECK(tag(with_token(1), nullptr) == 0);
  CHECK(tag(by_peer, &config) == 0);
}
