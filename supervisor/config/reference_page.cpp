#include "supervisor/config/reference_page.h"

#include "supervisor/config/daemon_config.h"
#include "supervisor/config/schema_reader.h"
#include "supervisor/config/tenant_config.h"

namespace tenantd {
namespace {

constexpr std::string_view introduction = R"(# Configuration reference

Generated from the tables in `supervisor/config`; a test compares this page with them.
`tenantd --check-config` checks all files without starting anything and reports every problem with
file, line and column.

Values: sizes are strings with K, M, G or T (powers of 1024): `"64M"`. Times are strings with ms, s,
m, h or d: `"30s"`. CPU is a whole percentage of one CPU: `"50%"`, `"200%"`. Money is a decimal and
its currency, `"10000.00 USD"`, never a number. Paths are absolute. Unknown keys are errors.

Files and their directory must belong to root or to the user that runs tenantd, must not be writable
by group or others, and no symbolic link may lead to them. A file has at most 256 KiB.
)";

constexpr std::string_view tenant_introduction = R"(
## Tenant files: `tenants/<id>.toml`

Column "enforced": *yes*; *no*: parsed and shown under `not_enforced` in the status; *refuses*: a
file that sets the key is refused unless `accept_unenforced` in `tenantd.toml` lists the key or its
section, and then the key is shown under `not_enforced`, too. A boolean `false` asks for nothing.

Column "a change": *nothing*: only the supervisor uses it; *live*: the running worker takes it over;
*next hello*: attachments stay, the next one is judged by it; *new worker*: the worker is replaced.

A default above a ceiling of `tenantd.toml` is lowered to it; a value in a file above it is refused.
)";

constexpr std::string_view daemon_introduction = R"(
## The instance: `tenantd.toml`

Ceilings, weakenings of the confinement and instance settings exist only here. Column "a change":
*SIGHUP* or *restart* of tenantd; workers go on over a restart.
)";

std::string_view enforced_text(Enforcement enforcement) {
  switch (enforcement) {
    case Enforcement::enforced:
      return "yes";
    case Enforcement::not_enforced:
      return "no";
    case Enforcement::refuse_unless_accepted:
      return "refuses";
  }
  return "";
}

std::string_view change_text(Applies applies) {
  switch (applies) {
    case Applies::supervisor:
      return "nothing";
    case Applies::live_settings:
    case Applies::live_resources:
      return "live";
    case Applies::access:
      return "next hello";
    case Applies::new_worker:
      return "new worker";
    case Applies::daemon_reload:
      return "SIGHUP";
    case Applies::daemon_restart:
      return "restart";
  }
  return "";
}

std::string code(std::string_view text) {
  return text.empty() ? "–" : '`' + std::string(text) + '`';
}

// One default, or three for standard / premium / platinum.
std::string defaults_text(const FieldSpec& row) {
  if (row.plan_defaults[0].empty()) {
    if (row.required) return "required";
    return code(row.fallback);
  }
  return code(row.plan_defaults[0]) + " / " + code(row.plan_defaults[1]) + " / " +
         code(row.plan_defaults[2]);
}

void append_row(const FieldSpec& row, bool of_tenant, std::string& out) {
  out +=
      "| `" + std::string(row.key) + "` | " + expectation(row) + " | " + defaults_text(row) + " | ";
  if (of_tenant) out += std::string(enforced_text(row.enforcement)) + " | ";
  out += std::string(change_text(row.applies)) + " | " + std::string(row.doc);
  if (!row.example.empty()) out += " Example: `" + std::string(row.example) + "`";
  out += " |\n";
}

void append_table(std::span<const FieldSpec> rows, bool of_tenant, std::string& out) {
  std::string_view section = "none yet";
  for (const FieldSpec& row : rows) {
    if (row.section != section) {
      section = row.section;
      const std::string title =
          section.empty() ? "Top of the file" : '[' + std::string(section) + ']';
      out += "\n### " + title + "\n\n";
      out += of_tenant ? "| key | value | default | enforced | a change | meaning |\n"
                         "|---|---|---|---|---|---|\n"
                       : "| key | value | default | a change | meaning |\n|---|---|---|---|---|\n";
    }
    append_row(row, of_tenant, out);
  }
}

std::string_view combination_text(Combination combination) {
  switch (combination) {
    case Combination::refused:
      return "not offered";
    case Combination::runs:
      return "runs";
  }
  return "";
}

void append_matrix(std::string& out) {
  out += "\n## Plans\n\nWhich isolation level goes with which plan, and the plans' defaults.\n\n";
  out += "| plan | logical | process | physical | what it is |\n|---|---|---|---|---|\n";
  for (const PlanRow& row : plan_matrix()) {
    out += "| " + std::string(plan_name(row.plan)) + " |";
    for (std::size_t level = 0; level < row.levels.size(); ++level) {
      const bool is_default = static_cast<std::size_t>(row.default_level) == level;
      out += ' ' + std::string(combination_text(row.levels[level])) +
             (is_default ? " (default)" : "") + " |";
    }
    out += ' ' + std::string(row.doc) + " |\n";
  }
  out += "\n| default | standard | premium | platinum |\n|---|---|---|---|\n";
  for (const FieldSpec& row : tenant_fields()) {
    if (row.plan_defaults[0].empty()) continue;
    out += "| `" + row.full_name() + "` | " + code(row.plan_defaults[0]) + " | " +
           code(row.plan_defaults[1]) + " | " + code(row.plan_defaults[2]) + " |\n";
  }
}

void append_io(std::string& out) {
  out += "\n#### Tables of `resources.io`\n\n| key | value | meaning |\n|---|---|---|\n";
  for (const FieldSpec& row : io_fields()) {
    out += "| `" + std::string(row.key) + "` | " + expectation(row) + " | " + std::string(row.doc) +
           " |\n";
  }
}

void append_encoders(std::string& out) {
  out += "\n#### Tables `[encoders.NAME]`\n\n| key | value | meaning |\n|---|---|---|\n";
  for (const FieldSpec& row : encoder_fields()) {
    out += "| `" + std::string(row.key) + "` | " + expectation(row) + " | " + std::string(row.doc) +
           " |\n";
  }
}

}  // namespace

std::string config_reference_markdown() {
  std::string out(introduction);
  append_matrix(out);
  out += tenant_introduction;
  append_table(tenant_fields(), true, out);
  append_io(out);
  out += daemon_introduction;
  append_table(daemon_fields(), false, out);
  append_encoders(out);
  return out;
}

}  // namespace tenantd
