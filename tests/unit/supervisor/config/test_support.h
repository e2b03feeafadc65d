// What the tests of the configuration reader share.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "supervisor/config/daemon_config.h"
#include "supervisor/config/tenant_config.h"

namespace tenantd::test {

inline std::filesystem::path source_root() {
  const char* const root = std::getenv("TENANTD_SOURCE_ROOT");
  return root == nullptr ? std::filesystem::current_path() : std::filesystem::path(root);
}

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline void write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

// Golden files are rewritten instead of compared.
inline bool accept_golden() {
  const char* const accept = std::getenv("TENANTD_ACCEPT_GOLDEN");
  return accept != nullptr && std::string(accept) == "1";
}

// root 0, alice 1001, group support 2001.
class FakeAccounts final : public AccountResolver {
 public:
  [[nodiscard]] std::optional<std::uint32_t> user_id(const std::string& name) const override {
    if (name == "root") return 0;
    if (name == "alice") return 1001;
    return std::nullopt;
  }
  [[nodiscard]] std::optional<std::uint32_t> group_id(const std::string& name) const override {
    if (name == "root") return 0;
    if (name == "support") return 2001;
    return std::nullopt;
  }
};

inline UidFiles debian_uids() {
  return {"root:x:0:0:root:/root:/bin/bash\nalice:x:1001:1001::/home/alice:/bin/sh\n",
          "alice:100000:65536\n", "alice:100000:65536\n"};
}

inline Checked<TenantConfig> parse_tenant(const std::string& text,
                                          const DaemonConfig& daemon = default_daemon_config(),
                                          const std::string& id = "acme-corp") {
  const FakeAccounts accounts;
  return parse_tenant_config(text, id + ".toml", TenantId::parse(id).value(), daemon, accounts);
}

inline Checked<DaemonConfig> parse_daemon(const std::string& text,
                                          const DaemonOverrides& overrides = {}) {
  return parse_daemon_config(text, "tenantd.toml", overrides, debian_uids());
}

// All problems as text; empty if there are none.
template <class T>
std::string problems(const Checked<T>& checked) {
  return checked ? std::string() : describe_all(checked.error());
}

// A private directory that goes with its contents.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "tenantd-config-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data()) == nullptr ? std::string() : pattern;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace tenantd::test
