// The C ABI's synchronous half: errors, contexts, pools and their calls (tenantd.h says what each
// does).
//
// Runs in: client library, for callers in C and in languages that call C. Trusts its caller's
// pointers; lets no exception out.
#include <deque>
#include <optional>

#include "client/c_abi/convert.h"

using namespace tenantd;
using namespace tenantd::client;

struct tenantd_pool {
  ClientPool pool;
};

// Either its own client or one that is borrowed; and what its last call gave out.
struct tenantd_context {
  std::string tenant;
  std::optional<Client> own;
  std::optional<ClientPool::Lease> lease;
  ReplyView reply;
  std::deque<ReplyView> replies;
  std::deque<std::string> messages;
  std::vector<tenantd_batch_item> items;
  RoutesPage page;
  std::deque<std::vector<const char*>> texts;
  std::vector<tenantd_route_listing> listings;
  std::vector<tenantd_rule> rules;
  tenantd_page page_view{};
  CacheValue cached;

  [[nodiscard]] Client& client() { return own ? *own : **lease; }
};

namespace {

// What a context's call gave out before ends with the next call.
template <class Call>
int in_context(tenantd_context* context, tenantd_error** error, Call&& call) noexcept {
  if (context == nullptr) return report_no_tenant(error);
  return guarded(error, [&]() -> Status { return call(context->client()); });
}

const char* const* texts_of(tenantd_context& context, std::vector<const char*> texts) {
  return context.texts.emplace_back(std::move(texts)).data();
}

}  // namespace

uint32_t tenantd_abi_version(void) { return TENANTD_ABI_VERSION; }
const char* tenantd_code_name(int code) {
  // Names are literals, and so zero-terminated.
  return error_code_name(static_cast<ErrorCode>(code)).data();
}

int tenantd_error_code(const tenantd_error* error) { return static_cast<int>(error->error.code); }
const char* tenantd_error_message(const tenantd_error* error) {
  return error->error.message.c_str();
}
const char* tenantd_error_tenant(const tenantd_error* error) { return error->error.tenant.c_str(); }
const char* tenantd_error_field(const tenantd_error* error) { return error->error.field.c_str(); }
const char* tenantd_error_hint(const tenantd_error* error) { return error->error.hint.c_str(); }
uint32_t tenantd_error_retry_after_ms(const tenantd_error* error) {
  return error->error.retry_after_ms;
}
void tenantd_error_free(tenantd_error* error) { delete error; }

int tenantd_context_open(const tenantd_options* options, const char* tenant,
                         tenantd_context** context, tenantd_error** error) {
  if (tenant == nullptr) return report_no_tenant(error);
  return guarded(error, [&]() -> Status {
    const auto known = options_of(options);
    if (!known) return tl::unexpected(known.error());
    auto client = Client::open(text_of(tenant), connect_options(*known));
    if (!client) return tl::unexpected(client.error());
    auto opened = std::make_unique<tenantd_context>();
    opened->tenant = text_of(tenant);
    opened->own.emplace(std::move(*client));
    *context = opened.release();
    return {};
  });
}

int tenantd_pool_open(const tenantd_options* options, tenantd_pool** pool, tenantd_error** error) {
  return guarded(error, [&]() -> Status {
    const auto known = options_of(options);
    if (!known) return tl::unexpected(known.error());
    PoolOptions wanted;
    wanted.connect = connect_options(*known);
    if (known->max_per_tenant != 0) wanted.max_per_tenant = known->max_per_tenant;
    if (known->max_idle != 0) wanted.max_idle = known->max_idle;
    auto opened = ClientPool::open(std::move(wanted));
    if (!opened) return tl::unexpected(opened.error());
    *pool = new tenantd_pool{std::move(*opened)};
    return {};
  });
}

void tenantd_pool_close(tenantd_pool* pool) { delete pool; }

int tenantd_context_enter(tenantd_pool* pool, const char* tenant, uint64_t timeout_ms,
                          tenantd_context** context, tenantd_error** error) {
  if (pool == nullptr || tenant == nullptr) return report_no_tenant(error);
  return guarded(error, [&]() -> Status {
    auto lease = pool->pool.acquire(tenant, timeout_ms);
    if (!lease) return tl::unexpected(lease.error());
    auto entered = std::make_unique<tenantd_context>();
    entered->tenant = tenant;
    entered->lease.emplace(std::move(*lease));
    *context = entered.release();
    return {};
  });
}

void tenantd_context_close(tenantd_context* context) { delete context; }

const char* tenantd_context_tenant(const tenantd_context* context) {
  return context == nullptr ? nullptr : context->tenant.c_str();
}

int tenantd_enforce(tenantd_context* context, int (*function)(tenantd_context*, void*),
                    void* argument, tenantd_error** error) {
  if (context == nullptr) return report_no_tenant(error);
  if (error != nullptr) *error = nullptr;
  return function(context, argument);
}

int tenantd_route(tenantd_context* context, const tenantd_route_request* request,
                  const tenantd_route_reply** reply, tenantd_error** error) {
  return in_context(context, error, [&](Client& client) -> Status {
    std::uint64_t timeout_ms = 0;
    const auto message = request_of(request, timeout_ms);
    if (!message) return tl::unexpected(message.error());
    auto answer = client.route(*message, timeout_ms);
    if (!answer) return tl::unexpected(std::move(answer.error()));
    context->reply.assign(std::move(*answer));
    *reply = context->reply.get();
    return {};
  });
}

int tenantd_route_many(tenantd_context* context, const tenantd_route_request* requests,
                       size_t count, const tenantd_batch_item** items, tenantd_error** error) {
  return in_context(context, error, [&](Client& client) -> Status {
    std::uint64_t first_timeout_ms = 0;
    std::vector<RouteRequest> messages;
    for (std::size_t i = 0; i < count; ++i) {
      std::uint64_t timeout_ms = 0;
      const auto message = request_of(item_of(requests, i), timeout_ms);
      if (!message) return tl::unexpected(message.error());
      if (item_of(requests, i)->size != requests->size) {
        return fail(ErrorCode::invalid_argument, "requests of different sizes");
      }
      if (i == 0) first_timeout_ms = timeout_ms;
      messages.push_back(*message);
    }
    auto answers = client.route_many(messages, first_timeout_ms);
    if (!answers) return tl::unexpected(answers.error());
    context->replies.clear();
    context->messages.clear();
    context->items.clear();
    for (auto& answer : *answers) {
      tenantd_batch_item item{};
      if (answer) {
        item.reply = context->replies.emplace_back(std::move(*answer)).get();
      } else {
        item.code = static_cast<int>(answer.error().code);
        item.message = context->messages.emplace_back(answer.error().message).c_str();
      }
      context->items.push_back(item);
    }
    *items = context->items.data();
    return {};
  });
}

int tenantd_edit_routes(tenantd_context* context, const tenantd_route_edit* edits, size_t count,
                        tenantd_edited* edited, tenantd_error** error) {
  return in_context(context, error, [&](Client& client) -> Status {
    const auto message = edit_of(edits, count);
    if (!message) return tl::unexpected(message.error());
    const auto done = client.edit_routes(*message);
    if (!done) return tl::unexpected(done.error());
    if (edited != nullptr) *edited = {done->snapshot_version, done->routes, done->utterances};
    return {};
  });
}

int tenantd_routes_page(tenantd_context* context, const char* only, const char* after_route,
                        uint32_t after_utterance, int with_utterances, const tenantd_page** page,
                        tenantd_error** error) {
  return in_context(context, error, [&](Client& client) -> Status {
    RoutesPageRequest request;
    request.only_route = text_of(only);
    request.after_route = text_of(after_route);
    request.after_utterance = after_utterance;
    request.with_utterances = with_utterances != 0;
    auto answer = client.routes_page(request);
    if (!answer) return tl::unexpected(answer.error());
    context->page = std::move(*answer);
    context->texts.clear();
    context->listings.clear();
    for (const RouteListing& from : context->page.routes) {
      tenantd_route_listing listing{};
      listing.id = from.route.id.c_str();
      listing.description = from.route.description.c_str();
      listing.metadata = from.route.metadata.c_str();
      std::vector<const char*> tags;
      for (const std::string& tag : from.route.tags) tags.push_back(tag.c_str());
      listing.tags_size = tags.size();
      listing.tags = texts_of(*context, std::move(tags));
      std::vector<const char*> utterances;
      for (const auto& utterance : from.route.utterances) {
        utterances.push_back(utterance.text.c_str());
      }
      listing.utterances_size = utterances.size();
      listing.utterances = texts_of(*context, std::move(utterances));
      listing.utterance_count = from.utterance_count;
      listing.has_threshold = from.route.has_threshold ? 1 : 0;
      listing.threshold = from.route.threshold;
      context->listings.push_back(listing);
    }
    context->page_view = {context->listings.data(), context->listings.size(),
                          context->page.next_route.c_str(), context->page.next_utterance,
                          context->page.more ? 1U : 0U};
    *page = &context->page_view;
    return {};
  });
}

int tenantd_page_rules(tenantd_context* context, size_t index, tenantd_route_rules* rules,
                       tenantd_error** error) {
  return in_context(context, error, [&](Client&) -> Status {
    if (index >= context->page.routes.size()) {
      return fail(ErrorCode::not_found, "the last page has no such listing");
    }
    const RouteMessage& route = context->page.routes[index].route;
    context->rules.clear();
    for (const RuleMessage& rule : route.rules) context->rules.push_back(view_of(rule));
    *rules = {context->rules.data(), context->rules.size(), route.priority, route.aggregation};
    return {};
  });
}

int tenantd_page_margin(tenantd_context* context, size_t index, uint32_t* has_margin, float* margin,
                        tenantd_error** error) {
  return in_context(context, error, [&](Client&) -> Status {
    if (index >= context->page.routes.size()) {
      return fail(ErrorCode::not_found, "the last page has no such listing");
    }
    const RouteMessage& route = context->page.routes[index].route;
    *has_margin = route.has_margin ? 1 : 0;
    *margin = route.margin;
    return {};
  });
}

int tenantd_tenant_stats(tenantd_context* context, tenantd_stats* stats, tenantd_error** error) {
  return in_context(context, error, [&](Client& client) -> Status {
    const auto answer = client.stats();
    if (!answer) return tl::unexpected(answer.error());
    *stats = {answer->generation,
              answer->routes,
              answer->utterances,
              answer->requests,
              answer->errors,
              answer->attachments,
              answer->snapshot_version,
              answer->store_degraded ? 1U : 0U,
              0};
    return {};
  });
}

int tenantd_ping(tenantd_context* context, tenantd_error** error) {
  return in_context(context, error, [](Client& client) { return client.ping(); });
}

int tenantd_context_welcome(tenantd_context* context, tenantd_welcome* welcome,
                            tenantd_error** error) {
  return in_context(context, error, [&](Client& client) -> Status {
    const Welcome& from = client.welcome();
    *welcome = {from.version,    static_cast<std::uint32_t>(client.transport()),
                from.dimension,  from.max_batch_size,
                from.generation, from.encoder.c_str()};
    return {};
  });
}

int tenantd_context_statistics(tenantd_context* context, tenantd_statistics* statistics,
                               tenantd_error** error) {
  return in_context(context, error, [&](Client& client) -> Status {
    const ClientStatistics& from = client.statistics();
    *statistics = {from.calls,
                   from.reconnects,
                   from.resends,
                   from.timeouts,
                   from.late_answers,
                   from.goaways,
                   from.latency.quantile_ns(0.5),
                   from.latency.quantile_ns(0.99),
                   from.latency.max_ns()};
    return {};
  });
}

int tenantd_cache_get(tenantd_context* context, const char* key, size_t key_size,
                      tenantd_cache_value* value, tenantd_error** error) {
  return in_context(context, error, [&](Client& client) -> Status {
    auto answer = client.cache_get({key, key_size});
    if (!answer) return tl::unexpected(std::move(answer.error()));
    context->cached = std::move(*answer);
    const CacheValue& from = context->cached;
    *value = {from.value.data(), from.value.size(), from.found ? 1U : 0U,
              static_cast<std::uint32_t>(from.kind), from.ttl_left_ms};
    return {};
  });
}

int tenantd_cache_set(tenantd_context* context, const char* key, size_t key_size, const void* value,
                      size_t value_size, uint32_t kind, uint64_t ttl_ms, tenantd_error** error) {
  return in_context(context, error, [&](Client& client) -> Status {
    if (kind > TENANTD_JSON) return fail_field("kind", "is 0 to 2");
    const auto done =
        client.cache_set({key, key_size}, {static_cast<const char*>(value), value_size}, ttl_ms,
                         static_cast<CacheValueKind>(kind));
    if (!done) return tl::unexpected(done.error());
    return {};
  });
}

int tenantd_cache_delete(tenantd_context* context, const char* key, size_t key_size,
                         uint64_t* removed, tenantd_error** error) {
  return in_context(context, error, [&](Client& client) -> Status {
    const auto done = client.cache_delete({key, key_size});
    if (!done) return tl::unexpected(done.error());
    if (removed != nullptr) *removed = done->removed;
    return {};
  });
}

int tenantd_cache_clear(tenantd_context* context, uint64_t* removed, tenantd_error** error) {
  return in_context(context, error, [&](Client& client) -> Status {
    const auto done = client.cache_clear();
    if (!done) return tl::unexpected(done.error());
    if (removed != nullptr) *removed = done->removed;
    return {};
  });
}

int tenantd_cache_statistics(tenantd_context* context, tenantd_cache_stats* stats,
                             tenantd_error** error) {
  return in_context(context, error, [&](Client& client) -> Status {
    const auto answer = client.cache_stats();
    if (!answer) return tl::unexpected(answer.error());
    const CacheUsage& values = answer->values;
    *stats = {values.hits,          values.misses,          values.entries,
              values.bytes,         values.evictions,       values.expirations,
              values.max_entries,   values.max_bytes,       answer->routing.hits,
              answer->similar_hits, answer->routing.misses, answer->routing.entries};
    return {};
  });
}
