#include "supervisor/config/secure_file.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "supervisor/config/check_config.h"
#include "test_support.h"

using namespace tenantd;
using namespace tenantd::test;
namespace fs = std::filesystem;

namespace {

// config/tenants/acme.toml in a private directory, all of it good.
struct Fixture {
  TemporaryDirectory root;
  fs::path directory = root.path() / "config" / "tenants";
  fs::path file = directory / "acme.toml";
  Fixture() {
    fs::create_directories(directory);
    for (const fs::path& path : {root.path() / "config", directory}) mode(path, 0755);
    write_text(file, "plan = \"premium\"\n");
    mode(file, 0644);
  }
  static void mode(const fs::path& path, mode_t bits) { REQUIRE(::chmod(path.c_str(), bits) == 0); }
  [[nodiscard]] Result<std::string> read() const {
    return read_secure_file(file.string(), ::geteuid());
  }
  // The refusal, which must name `path` and, if given, hold `hint`.
  void refused(ErrorCode code, const fs::path& path, const std::string& hint = {}) const {
    const auto text = read();
    REQUIRE_FALSE(text.has_value());
    CHECK(text.error().code == code);
    CHECK(text.error().file == path.string());
    CHECK(text.error().hint.find(hint) != std::string::npos);
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a good file below a sticky shared directory is read") {
  CHECK(read().value() == "plan = \"premium\"\n");
  mode(root.path(), 01777);
  CHECK(read().has_value());
}

TEST_CASE_FIXTURE(Fixture, "what others may write is refused, with how to mend it") {
  mode(file, 0664);
  refused(ErrorCode::permission_denied, file, "chmod go-w");
  mode(file, 0646);
  refused(ErrorCode::permission_denied, file, "chmod go-w");
  mode(file, 0600);
  CHECK(read().has_value());
  mode(directory, 0775);
  refused(ErrorCode::permission_denied, directory, "chmod go-w");
  mode(directory, 01777);
  refused(ErrorCode::permission_denied, directory, "directory of its own");
  mode(directory, 0700);
  CHECK(read().has_value());
  mode(root.path(), 0777);
  refused(ErrorCode::permission_denied, root.path(), "chmod o-w");
}

TEST_CASE_FIXTURE(Fixture, "what belongs to somebody else is refused") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: only root can give files away");
    return;
  }
  REQUIRE(::chown(file.c_str(), 12'345, 0) == 0);
  refused(ErrorCode::permission_denied, file, "chown 0");
  CHECK(read_secure_file(file.string(), 12'345).has_value());
  REQUIRE(::chown(file.c_str(), 0, 12'345) == 0);
  CHECK(read().has_value());
  REQUIRE(::chown(directory.c_str(), 12'345, 0) == 0);
  refused(ErrorCode::permission_denied, directory, "chown 0");
}

TEST_CASE_FIXTURE(Fixture, "symbolic links are refused wherever they stand in the path") {
  fs::rename(file, directory / "real");
  fs::create_symlink("real", file);
  refused(ErrorCode::permission_denied, file, "realpath");
  fs::remove(file);
  fs::rename(directory / "real", file);
  fs::rename(root.path() / "config", root.path() / "elsewhere");
  fs::create_directory_symlink("elsewhere", root.path() / "config");
  refused(ErrorCode::permission_denied, root.path() / "config", "realpath");
}

TEST_CASE_FIXTURE(Fixture, "only regular files of a bounded size count, and none is waited for") {
  write_text(file, std::string(max_config_bytes, '#'));
  CHECK(read().value().size() == max_config_bytes);
  write_text(file, std::string(max_config_bytes + 1, '#'));
  refused(ErrorCode::resource_exhausted, file);
  fs::remove(file);
  refused(ErrorCode::not_found, file);
  REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
  refused(ErrorCode::permission_denied, file);
  fs::remove(file);
  fs::create_directory(file);
  refused(ErrorCode::permission_denied, file);
}

TEST_CASE_FIXTURE(Fixture, "names and paths cannot lead elsewhere") {
  const auto opened = open_secure_directory(directory.string(), ::geteuid());
  REQUIRE(opened.has_value());
  for (const std::string& name : {std::string(), std::string("."), std::string(".."),
                                  std::string("../tenants/acme.toml"), std::string("a\0b", 3)}) {
    CHECK_FALSE(read_secure_file(opened->get(), directory.string(), name, ::geteuid()).has_value());
  }
  for (const std::string& path : {std::string("relative"), directory.string() + "/../tenants",
                                  directory.string() + "/", std::string()}) {
    CHECK_FALSE(open_secure_directory(path, ::geteuid()).has_value());
  }
}

TEST_CASE_FIXTURE(Fixture, "check_config judges every file and says 6 for a bad one") {
  const std::string daemon_path = (root.path() / "config" / "tenantd.toml").string();
  write_text(daemon_path, "tenants_dir = \"" + directory.string() + "\"\n");
  mode(daemon_path, 0644);
  const SystemAccounts accounts;
  const ConfigReport good = check_config(daemon_path, {}, accounts);
  CHECK_MESSAGE(good.exit_code() == 0, good.text);
  CHECK(good.valid == 2);
  write_text(directory / "bad.toml", "plan = \"premium\"\n[router]\nthreshold = 2\n");
  write_text(directory / "note.txt", "not a tenant\n");
  write_text(directory / "acme.toml~", "not looked at\n");
  for (const char* name : {"bad.toml", "note.txt"}) mode(directory / name, 0644);
  const ConfigReport bad = check_config(daemon_path, {}, accounts);
  CHECK(bad.exit_code() == 6);
  CHECK(bad.valid == 2);
  CHECK(bad.invalid == 1);
  CHECK(bad.text.find("bad.toml:3:13: tenant bad: router.threshold: 2 is out of range") !=
        std::string::npos);
  CHECK(bad.text.find("ignored  " + (directory / "note.txt").string()) != std::string::npos);
  CHECK(bad.text.find("acme.toml~") == std::string::npos);
  DaemonOverrides overrides;
  overrides.tenants_dir = "/nonexistent/tenants";
  CHECK(check_config(daemon_path, overrides, accounts).exit_code() == 6);
}
