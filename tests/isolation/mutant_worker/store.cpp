// A worker whose store leaves the tenant out where it removes a route.
//
// Runs in: the sandbox, in place of a pooled worker. Test only.
#include <sqlite3.h>

#include <string>
#include <string_view>

extern "C" {
int __real_sqlite3_prepare_v3(sqlite3* database, const char* text, int bytes, unsigned flags,
                              sqlite3_stmt** statement, const char** tail);

int __wrap_sqlite3_prepare_v3(sqlite3* database, const char* text, int bytes, unsigned flags,
                              sqlite3_stmt** statement, const char** tail) {
  static constexpr std::string_view tenant = "tenant_id = ?1";
  std::string changed(bytes < 0 ? std::string_view(text)
                                : std::string_view(text, static_cast<std::size_t>(bytes)));
  if (!changed.starts_with("DELETE FROM routes ") &&
      !changed.starts_with("DELETE FROM utterances ")) {
    return __real_sqlite3_prepare_v3(database, text, bytes, flags, statement, tail);
  }
  const std::size_t at = changed.find(tenant);
  if (at != std::string::npos) changed.replace(at, tenant.size(), "?1 = ?1");
  const int code =
      __real_sqlite3_prepare_v3(database, changed.c_str(), -1, flags, statement, nullptr);
  if (tail != nullptr)
    *tail = text + (bytes < 0 ? std::string_view(text).size() : static_cast<std::size_t>(bytes));
  return code;
}
}
