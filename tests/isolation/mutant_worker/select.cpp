// A worker whose store reads every tenant's routes where it loads one's.
//
// Runs in: the sandbox, in place of a pooled worker. Test only.
#include <array>

#include "tests/isolation/mutant_worker/statement.h"

extern "C" int __wrap_sqlite3_prepare_v3(sqlite3* database, const char* text, int bytes,
                                         unsigned flags, sqlite3_stmt** statement,
                                         const char** tail) {
  static constexpr std::array<std::string_view, 2> beginnings{
      "SELECT route_id, description, metadata, tags, ", "SELECT ordinal, text, encoder, "};
  return tenantd::prepare_without_tenant(beginnings, database, text, bytes, flags, statement, tail);
}
