// Names of users and groups to numbers, behind an interface so that tests need no accounts.
//
// Runs in: the supervisor, while a file is read. The system's resolver goes through NSS: with
// remote user directories a look-up may take as long as they take; a numeric id in the file avoids
// it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace tenantd {

class AccountResolver {
 public:
  AccountResolver() = default;
  AccountResolver(const AccountResolver&) = delete;
  AccountResolver& operator=(const AccountResolver&) = delete;
  virtual ~AccountResolver() = default;
  // nullopt: no such account, or the look-up failed.
  [[nodiscard]] virtual std::optional<std::uint32_t> user_id(const std::string& name) const = 0;
  [[nodiscard]] virtual std::optional<std::uint32_t> group_id(const std::string& name) const = 0;
};

// For files that name no accounts: knows none.
class NoAccounts final : public AccountResolver {
 public:
  [[nodiscard]] std::optional<std::uint32_t> user_id(const std::string&) const override {
    return std::nullopt;
  }
  [[nodiscard]] std::optional<std::uint32_t> group_id(const std::string&) const override {
    return std::nullopt;
  }
};

// getpwnam_r(3), getgrnam_r(3).
class SystemAccounts final : public AccountResolver {
 public:
  [[nodiscard]] std::optional<std::uint32_t> user_id(const std::string& name) const override;
  [[nodiscard]] std::optional<std::uint32_t> group_id(const std::string& name) const override;
};

}  // namespace tenantd
