#include "worker/handlers/edit_handler.h"

#include <string>
#include <utility>

namespace tenantd {

Status check_edit(const HandlerServices& services, const RoutesEdit& request) {
  // A store that is degraded now may have room again: the editor says so itself, edit by edit.
  if (services.router == nullptr) return fail(store_degraded_error(services.store));
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.field = "edits";
  if (request.edits.empty()) {
    error.message = "a batch needs at least one edit";
    return fail(std::move(error));
  }
  if (request.edits.size() > services.settings.max_batch_size) {
    error.message = "a batch has at most " + std::to_string(services.settings.max_batch_size) +
                    " edits for this tenant";
    error.hint = "send several batches";
    return fail(std::move(error));
  }
  return {};
}

}  // namespace tenantd
