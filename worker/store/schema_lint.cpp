// The rule of schema.h, asked of SQLite itself.
#include <array>
#include <string>
#include <string_view>

#include "worker/store/schema.h"

namespace tenantd {
namespace {

// Each query gives a row for what breaks the rule: its name.
struct SchemaRule {
  std::string_view query;
  std::string_view breach;
};

constexpr std::array<SchemaRule, 6> rules{{
    {"SELECT name FROM sqlite_schema WHERE type IN ('view', 'trigger')", "is a view or a trigger"},
    {"SELECT name FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite\\_%'"
     " ESCAPE '\\' AND (type <> 'table' OR NOT wr OR NOT strict)",
     "is not a STRICT table WITHOUT ROWID"},
    {"SELECT t.name FROM sqlite_schema t WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%'"
     " ESCAPE '\\' AND NOT EXISTS (SELECT 1 FROM pragma_table_xinfo(t.name) c"
     " WHERE c.pk = 1 AND c.name = 'tenant_id' AND c.type = 'TEXT' AND c.\"notnull\")",
     "has a primary key that does not begin with tenant_id"},
    {"SELECT i.name FROM sqlite_schema t, pragma_index_list(t.name) i WHERE t.type = 'table'"
     " AND NOT EXISTS (SELECT 1 FROM pragma_index_info(i.name) c"
     " WHERE c.seqno = 0 AND c.name = 'tenant_id')",
     "is an index that does not begin with tenant_id"},
    {"SELECT i.name FROM sqlite_schema t, pragma_index_list(t.name) i WHERE t.type = 'table'"
     " AND i.partial",
     "is a partial index"},
    {"SELECT t.name FROM sqlite_schema t, pragma_foreign_key_list(t.name) f"
     " WHERE t.type = 'table' GROUP BY t.name, f.id"
     " HAVING NOT max(f.\"from\" = 'tenant_id' AND f.\"to\" = 'tenant_id')",
     "has a foreign key without tenant_id"},
}};

}  // namespace

Status lint_schema(Database& database) {
  for (const SchemaRule& rule : rules) {
    Result<Statement> statement = database.prepare(rule.query);
    if (!statement) return fail(statement.error());
    const Result<bool> row = statement->step();
    if (!row) return fail(row.error());
    if (!*row) continue;
    std::string message = "schema: ";
    message.append(statement->text(0)).append(" ").append(rule.breach);
    return fail(ErrorCode::internal, std::move(message));
  }
  return {};
}

}  // namespace tenantd
