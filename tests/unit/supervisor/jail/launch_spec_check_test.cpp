#include "supervisor/jail/launch_spec_check.h"

#include <doctest/doctest.h>

using namespace tenantd;

namespace {

LaunchSpec good_spec() {
  LaunchSpec spec;
  spec.mount_count = 1;
  spec.mounts[0].kind = MountSpec::Kind::data_bind;
  REQUIRE(spec.mounts[0].source.assign("/var/lib/tenantd/tenants/acme"));
  REQUIRE(spec.mounts[0].target.assign("/data"));
  return spec;
}

}  // namespace

TEST_CASE("a good launch spec passes and every broken field is refused") {
  CHECK(check_launch_spec(good_spec()));
  const auto refused = [](auto change) {
    LaunchSpec spec = good_spec();
    change(spec);
    return !check_launch_spec(spec);
  };
  CHECK(refused([](LaunchSpec& spec) { spec.magic = 0; }));
  CHECK(refused([](LaunchSpec& spec) { spec.version = 99; }));
  CHECK(refused([](LaunchSpec& spec) { spec.kind = static_cast<ProgramKind>(7); }));
  CHECK(refused([](LaunchSpec& spec) { spec.mount_count = 13; }));
  CHECK(refused([](LaunchSpec& spec) { spec.hostname.bytes.fill('x'); }));
  CHECK(refused([](LaunchSpec& spec) { spec.tenant.tenant_id.bytes.fill('x'); }));
  CHECK(refused([](LaunchSpec& spec) { spec.data_file_count = LaunchSpec::max_data_files + 1; }));
  for (const char* name : {"", "..", "a/b", "/etc/shadow"}) {
    CHECK(refused([name](LaunchSpec& spec) {
      spec.data_file_count = 1;
      spec.data_files[0].assign_truncated(name);
    }));
  }
  CHECK(refused([](LaunchSpec& spec) { spec.open_files_limit = 0; }));
  CHECK(refused([](LaunchSpec& spec) { spec.processes_limit = 0; }));
  CHECK(refused([](LaunchSpec& spec) { spec.tolerated_layers = 0x80000000U; }));
  CHECK(refused([](LaunchSpec& spec) { spec.mounts[0].kind = static_cast<MountSpec::Kind>(9); }));
  CHECK(refused([](LaunchSpec& spec) { spec.mounts[0].detached_index = 12; }));
  CHECK(refused([](LaunchSpec& spec) { spec.mounts[0].detached_index = -2; }));
  CHECK(refused([](LaunchSpec& spec) { spec.mounts[0].target.bytes.fill('/'); }));
  CHECK(refused([](LaunchSpec& spec) { (void)spec.mounts[0].target.assign("/data/../etc"); }));
  CHECK(refused([](LaunchSpec& spec) {
    spec.mounts[0].kind = MountSpec::Kind::scratch_tmpfs;
    spec.mounts[0].size_bytes = 0;
  }));
}

TEST_CASE("a pooled worker has shards of those that there are, and files for them") {
  const auto pooled = [](auto change) {
    LaunchSpec spec = good_spec();
    set_data_files(spec, shard_data_files);
    spec.shard_count = 64;
    spec.shards.add(0);
    spec.shards.add(63);
    spec.shards.add(64 + max_own_shards - 1);
    change(spec);
    return check_launch_spec(spec).has_value();
  };
  CHECK(pooled([](LaunchSpec&) {}));
  CHECK_FALSE(pooled([](LaunchSpec& spec) { spec.shard_count = 63; }));
  CHECK_FALSE(pooled([](LaunchSpec& spec) { spec.shards.add(64 + max_own_shards); }));
  CHECK_FALSE(pooled([](LaunchSpec& spec) { spec.shard_count = 0; }));
  CHECK_FALSE(pooled([](LaunchSpec& spec) { spec.shard_count = max_shards + 1; }));
  CHECK_FALSE(pooled([](LaunchSpec& spec) { spec.shards = {}; }));
  CHECK_FALSE(pooled([](LaunchSpec& spec) { spec.data_file_count = 0; }));
  CHECK_FALSE(pooled([](LaunchSpec& spec) { spec.kind = ProgramKind::control; }));
}

TEST_CASE("plain absolute paths") {
  for (const char* path : {"/data", "/usr/lib/x86_64-linux-gnu", "/..a"}) {
    CAPTURE(path);
    CHECK(is_plain_absolute_path(path));
  }
  for (const char* path : {"", "/", "data", "/data/", "//data", "/a//b", "/a/./b", "/a/..", "/."}) {
    CAPTURE(path);
    CHECK_FALSE(is_plain_absolute_path(path));
  }
}

TEST_CASE("a network is a tenant's own worker's, and ports belong to it") {
  const auto accepted = [](auto change) {
    LaunchSpec spec = good_spec();
    spec.allowances = static_cast<std::uint32_t>(Allowance::internet_sockets);
    change(spec);
    return check_launch_spec(spec).has_value();
  };
  CHECK(accepted([](LaunchSpec&) {}));
  CHECK(accepted([](LaunchSpec& spec) { spec.kind = ProgramKind::isolation_probe; }));
  CHECK(accepted([](LaunchSpec& spec) { spec.connect_port_count = 64; }));
  CHECK_FALSE(accepted([](LaunchSpec& spec) { spec.connect_port_count = 65; }));
  CHECK_FALSE(accepted([](LaunchSpec& spec) { spec.kind = ProgramKind::control; }));
  CHECK_FALSE(accepted([](LaunchSpec& spec) { spec.kind = ProgramKind::encoder_compiler; }));
  CHECK_FALSE(accepted([](LaunchSpec& spec) { spec.allowances |= 4; }));
  CHECK_FALSE(accepted([](LaunchSpec& spec) { spec.allowances = 2; }));
  CHECK_FALSE(accepted([](LaunchSpec& spec) {
    spec.allowances = 0;
    spec.connect_port_count = 1;
  }));
  CHECK_FALSE(accepted([](LaunchSpec& spec) {
    set_data_files(spec, shard_data_files);
    spec.shard_count = 64;
    spec.shards.add(0);
  }));
}
