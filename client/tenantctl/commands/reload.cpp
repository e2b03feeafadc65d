// Command: reload.
#include <memory>

#include "client/tenantctl/commands/context.h"

namespace tenantd {
namespace {

Result<int> reload(const Context& context, bool confirm_removal) {
  auto admin = context.connect_admin();
  if (!admin) return fail(admin.error());
  const auto done = admin->reload(confirm_removal);
  if (!done) return fail(done.error());
  return context.print_either(*done, (done->message.empty() ? "done" : done->message) + "\n");
}

}  // namespace

void add_reload_command(CLI::App& app, Context& context) {
  auto confirm = std::make_shared<bool>(false);
  CLI::App* const command = app.add_subcommand("reload", "Read the tenants directory again");
  command->add_flag("--confirm-removal", *confirm, "Let a held mass removal happen");
  command->callback([&context, confirm] {
    context.action = [&context, confirm] { return reload(context, *confirm); };
  });
}

}  // namespace tenantd
