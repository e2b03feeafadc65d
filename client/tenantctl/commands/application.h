// The command line as a whole.
#pragma once

#include "client/tenantctl/commands/context.h"

namespace tenantd {

// Adds all commands and global options. `context` outlives `app`.
void build_application(CLI::App& app, Context& context);
// Parses, runs, prints errors. The exit status: see exit_code_for(); 2 for a wrong command line.
[[nodiscard]] int run_tenantctl(int count, const char* const* arguments);

}  // namespace tenantd
