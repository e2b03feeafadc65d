// A worker whose store leaves the tenant out where it removes a route.
//
// Runs in: the sandbox, in place of a pooled worker. Test only.
#include <array>

#include "tests/isolation/mutant_worker/statement.h"

extern "C" int __wrap_sqlite3_prepare_v3(sqlite3* database, const char* text, int bytes,
                                         unsigned flags, sqlite3_stmt** statement,
                                         const char** tail) {
  static constexpr std::array<std::string_view, 2> beginnings{"DELETE FROM routes ",
                                                              "DELETE FROM utterances "};
  return tenantd::prepare_without_tenant(beginnings, database, text, bytes, flags, statement, tail);
}
