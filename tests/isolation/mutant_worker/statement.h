// One statement of the store that has lost its tenant, in the connection's ear.
//
// Runs in: the sandbox, in place of a pooled worker. Test only.
#pragma once

#include <sqlite3.h>

#include <string>
#include <string_view>

extern "C" int __real_sqlite3_prepare_v3(sqlite3* database, const char* text, int bytes,
                                         unsigned flags, sqlite3_stmt** statement,
                                         const char** tail);

namespace tenantd {

// Prepares `text` as it is, but for one that begins with one of `beginnings`: that one's first
// "tenant_id = ?1" is true of every row.
template <class Beginnings>
int prepare_without_tenant(const Beginnings& beginnings, sqlite3* database, const char* text,
                           int bytes, unsigned flags, sqlite3_stmt** statement, const char** tail) {
  static constexpr std::string_view tenant = "tenant_id = ?1";
  const std::size_t size =
      bytes < 0 ? std::string_view(text).size() : static_cast<std::size_t>(bytes);
  std::string changed(text, size);
  bool meant = false;
  for (const std::string_view beginning : beginnings) {
    meant = meant || changed.starts_with(beginning);
  }
  const std::size_t at = changed.find(tenant);
  if (!meant || at == std::string::npos) {
    return __real_sqlite3_prepare_v3(database, text, bytes, flags, statement, tail);
  }
  changed.replace(at, tenant.size(), "?1 = ?1");
  const int code =
      __real_sqlite3_prepare_v3(database, changed.c_str(), -1, flags, statement, nullptr);
  if (tail != nullptr) *tail = text + size;
  return code;
}

}  // namespace tenantd
