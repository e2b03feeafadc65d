#include "worker/handlers/route_handler.h"

#include <utility>
#include <vector>

#include "worker/cache/tenant_caches.h"
#include "worker/encoder/unicode.h"
#include "worker/handlers/translate.h"
#include "worker/router/tenant_router.h"

namespace tenantd {
namespace {

bool remembers(const HandlerServices& services) noexcept {
  return services.settings.router.cache_enabled != 0 && services.caches != nullptr;
}

// What must be right before the router is asked.
Status check_request(const RouteRequest& request) {
  if (request.alternatives > max_alternatives_per_reply) {
    return fail_field("alternatives", "at most 64");
  }
  if (request.limit > max_answers_per_reply) return fail_field("limit", "at most 64");
  return check_attributes(request);
}

}  // namespace

Status check_attributes(const RouteRequest& request) {
  if (request.user.empty() && request.department.empty() && request.labels.empty()) return {};
  constexpr const char* unprintable = "must be printable UTF-8";
  if (!is_printable(request.user)) return fail_field("user", unprintable);
  if (!is_printable(request.department)) return fail_field("department", unprintable);
  for (const Label& label : request.labels) {
    if (label.key.empty()) return fail_field("labels", "a label needs a key");
    if (!is_printable(label.key) || !is_printable(label.value))
      return fail_field("labels", unprintable);
  }
  return {};
}

Result<RouteReply> handle_route(HandlerServices& services, const ExecutionContext& context,
                                const RouteRequest& request) {
  if (request.alternatives > max_alternatives_per_reply) {
    return fail_field("alternatives", "at most 64");
  }
  if (request.limit > max_answers_per_reply) return fail_field("limit", "at most 64");
  if (services.router == nullptr) return fail(store_degraded_error(services.store));
  const RouteQuery query = to_query(request);
  auto decision = remembers(services)
                      ? services.caches->routing.route(context, *services.router, query)
                      : services.router->route(context, query);
  if (!decision) return tl::unexpected(std::move(decision.error()));
  Result<RouteReply> reply;
  fill_reply(*reply, std::move(*decision));
  return reply;
}

Result<RouteBatchReply> handle_route_batch(HandlerServices& services,
                                           const ExecutionContext& context,
                                           const RouteBatch& request) {
  if (services.router == nullptr) return fail(store_degraded_error(services.store));
  if (request.items.empty()) return fail_field("items", "a batch needs at least one item");
  if (request.items.size() > services.settings.max_batch_size) {
    return fail_field("items", "more than this tenant's max_batch_size");
  }
  RouteBatchReply reply;
  reply.items.resize(request.items.size());
  std::vector<RouteQuery> queries;
  std::vector<std::size_t> asked;  // the item of each query
  for (std::size_t i = 0; i < request.items.size(); ++i) {
    if (const Status checked = check_request(request.items[i]); !checked) {
      reply.items[i].error = ErrorMessage::from(checked.error());
      continue;
    }
    queries.push_back(to_query(request.items[i]));
    asked.push_back(i);
  }
  std::vector<Result<RouteDecision>> decisions;
  const Status status =
      remembers(services)
          ? services.caches->routing.route_batch(context, *services.router, queries, decisions)
          : services.router->route_batch(context, queries, decisions);
  if (!status) return fail(status.error());
  for (std::size_t q = 0; q < decisions.size(); ++q) {
    RouteBatchItem& item = reply.items[asked[q]];
    item.answered = decisions[q].has_value();
    if (item.answered) {
      fill_reply(item.reply, std::move(*decisions[q]));
    } else {
      item.error = ErrorMessage::from(decisions[q].error());
    }
  }
  return reply;
}

}  // namespace tenantd
