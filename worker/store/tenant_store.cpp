#include "worker/store/tenant_store.h"

#include <utility>

#include "worker/store/rows.h"
#include "worker/store/store_statements.h"

namespace tenantd {
namespace {

tl::unexpected<Error> about_route(ErrorCode code, std::string_view route, std::string message) {
  Error error;
  error.code = code;
  error.field = "route " + std::string(route);
  error.message = std::move(message);
  return fail(std::move(error));
}

tl::unexpected<Error> damaged(std::string_view what) {
  return fail(ErrorCode::store_degraded, "the database is corrupt: " + std::string(what),
              "the file was left as it is; restore a backup");
}

// Priority and aggregation; false for what no route can have.
bool read_choices(Statement& row, RouteDefinition& route) {
  const std::int64_t priority = row.integer(8);
  route.priority = static_cast<std::int32_t>(priority);
  if (route.priority != priority) return false;
  if (row.is_null(9)) return true;
  const std::int64_t aggregation = row.integer(9);
  if (aggregation < 0 || aggregation >= static_cast<std::int64_t>(Aggregation::automatic)) {
    return false;
  }
  route.aggregation = static_cast<Aggregation>(aggregation);
  return true;
}

}  // namespace

TenantStore::TenantStore(TenantId tenant, LockFile lock, Database database,
                         std::unique_ptr<Statements> statements)
    : tenant_(tenant),
      lock_(std::move(lock)),
      database_(std::move(database)),
      statements_(std::move(statements)) {}

TenantStore::~TenantStore() = default;

Status TenantStore::check(const ExecutionContext& context) const {
  if (context.tenant() != tenant_) return fail(ErrorCode::no_tenant, "no such tenant here");
  return {};
}

void TenantStore::remember(const Error* error) {
  const std::lock_guard lock(health_mutex_);
  if (error == nullptr) {
    degraded_reason_.clear();
  } else if (error->code == ErrorCode::store_degraded) {
    degraded_reason_ = error->message;
    corrupt_ = corrupt_ || is_corruption(*error);
  }
}

std::string TenantStore::degraded_reason() const {
  const std::lock_guard lock(health_mutex_);
  return degraded_reason_;
}

Status TenantStore::set_max_storage(const ExecutionContext& context, std::uint64_t bytes) {
  if (Status status = check(context); !status) return status;
  return database_.limit_size(bytes);
}

Result<std::uint64_t> TenantStore::load(const ExecutionContext& context,
                                        const std::function<Status(RouteDefinition)>& take,
                                        const std::function<bool(const StoredRoute&)>& knows) {
  if (Status status = check(context); !status) return fail(status.error());
  Result<std::uint64_t> version = load_all(context.tenant().view(), take, knows);
  statements_->end_all();
  if (!version) remember(&version.error());
  return version;
}

Result<std::uint64_t> TenantStore::load_all(std::string_view tenant,
                                            const std::function<Status(RouteDefinition)>& take,
                                            const std::function<bool(const StoredRoute&)>& knows) {
  Statement& state = statements_->select_tenant;
  state.bind(1, tenant);
  const Result<bool> known = state.step();
  if (!known) return fail(known.error());
  const std::int64_t version = *known ? state.integer(0) : 0;
  const std::int64_t expected_routes = *known ? state.integer(1) : 0;
  Statement& routes = statements_->select_routes;
  routes.bind(1, tenant);
  std::int64_t seen_routes = 0;
  for (;;) {
    const Result<bool> row = routes.step();
    if (!row) return fail(row.error());
    if (!*row) break;
    RouteDefinition route;
    route.id = routes.text(0);
    route.description = routes.text(1);
    route.metadata = routes.text(2);
    route.tags = decode_tags(routes.text(3));
    if (!routes.is_null(4)) route.threshold = static_cast<float>(routes.real(4));
    if (!routes.is_null(11)) route.margin = static_cast<float>(routes.real(11));
    const bool is_sound = decode_rules(routes.text(7), route.rules) &&
                          read_choices(routes, route) && routes.integer(6) == route_checksum(route);
    if (!is_sound) return damaged("a route's checksum is wrong");
    ++seen_routes;
    const StoredRoute stored{route.id, static_cast<std::uint64_t>(routes.integer(10)),
                             static_cast<std::uint64_t>(routes.integer(5))};
    if (knows && knows(stored)) continue;
    Status status = load_utterances(tenant, routes.integer(5), route);
    if (!status) return fail(status.error());
    if (status = take(std::move(route)); !status) return fail(status.error());
  }
  if (seen_routes != expected_routes) return damaged("routes are missing");
  return static_cast<std::uint64_t>(version);
}

Status TenantStore::load_utterances(std::string_view tenant, std::int64_t count,
                                    RouteDefinition& route) {
  Statement& rows = statements_->select_utterances;
  rows.bind(1, tenant);
  rows.bind(2, std::string_view(route.id));
  for (std::int64_t ordinal = 0;; ++ordinal) {
    const Result<bool> row = rows.step();
    if (!row) return fail(row.error());
    if (!*row) return ordinal == count ? Status{} : damaged("utterances are missing");
    Utterance utterance;
    utterance.text = rows.text(1);
    utterance.encoder = rows.text(2);
    const bool sound = rows.integer(0) == ordinal &&
                       decode_embedding(rows.blob(3), utterance.embedding) &&
                       rows.integer(4) == utterance_checksum(route.id, ordinal, utterance);
    if (!sound) return damaged("an utterance's checksum is wrong");
    route.utterances.push_back(std::move(utterance));
  }
}

Result<std::uint64_t> TenantStore::apply(const ExecutionContext& context,
                                         std::span<const RouteEdit> edits) {
  if (Status status = check(context); !status) return fail(status.error());
  if (corrupt_) return fail(ErrorCode::store_degraded, degraded_reason());
  Result<std::uint64_t> version = apply_all(context.tenant().view(), edits);
  statements_->end_all();
  if (version) {
    remember(nullptr);
  } else {
    remember(&version.error());
  }
  return version;
}

Result<std::uint64_t> TenantStore::apply_all(std::string_view tenant,
                                             std::span<const RouteEdit> edits) {
  Result<Transaction> transaction = Transaction::begin(database_);
  if (!transaction) return fail(transaction.error());
  Statement& make = statements_->insert_tenant;
  make.bind(1, tenant);
  if (Status status = make.run(); !status) return fail(status.error());
  const Result<std::int64_t> before = stored_version(tenant);
  if (!before) return fail(before.error());
  std::int64_t more_routes = 0;
  for (const RouteEdit& edit : edits) {
    const Result<std::int64_t> added = apply_one(tenant, edit, *before + 1);
    if (!added) {
      statements_->end_all();  // an unfinished statement would keep the roll-back from working
      return fail(added.error());
    }
    more_routes += *added;
  }
  const auto version = raise_version(tenant, more_routes);
  if (!version) return version;
  if (Status status = transaction->commit(); !status) return fail(status.error());
  return version;
}

Result<std::int64_t> TenantStore::stored_version(std::string_view tenant) {
  Statement& state = statements_->select_tenant;
  state.bind(1, tenant);
  const Result<bool> known = state.step();
  if (!known) return fail(known.error());
  const std::int64_t version = *known ? state.integer(0) : 0;
  state.done();
  return version;
}

Result<std::uint64_t> TenantStore::raise_version(std::string_view tenant,
                                                 std::int64_t more_routes) {
  Statement& update = statements_->update_tenant;
  update.bind(1, tenant);
  update.bind(2, more_routes);
  const Result<bool> row = update.step();
  if (!row) return fail(row.error());
  const auto version = static_cast<std::uint64_t>(update.integer(0));
  update.done();
  return version;
}

// By how many routes the tenant grew.
Result<std::int64_t> TenantStore::apply_one(std::string_view tenant, const RouteEdit& edit,
                                            std::int64_t version) {
  std::int64_t utterances = 0;
  const Result<bool> exists = read_header(tenant, edit.route.id, utterances);
  if (!exists) return fail(exists.error());
  const bool needs_route =
      edit.kind == RouteEditKind::add_utterances || edit.kind == RouteEditKind::remove;
  if (needs_route && !*exists) {
    return about_route(ErrorCode::not_found, edit.route.id, "there is no such route");
  }
  if (edit.kind == RouteEditKind::add && *exists) {
    return about_route(ErrorCode::already_exists, edit.route.id, "the route exists already");
  }
  Status status;
  std::int64_t added = 0;
  if (edit.kind == RouteEditKind::add_utterances) {
    Statement& update = statements_->update_count;
    update.bind(1, tenant);
    update.bind(2, std::string_view(edit.route.id));
    update.bind(3, static_cast<std::int64_t>(edit.route.utterances.size()));
    update.bind(4, version);
    status = update.run();
    if (status) status = insert_utterances(tenant, edit.route, utterances);
  } else {
    if (*exists) {
      status = erase(tenant, edit.route.id);
      --added;
    }
    if (status && edit.kind != RouteEditKind::remove) {
      status = insert_route(tenant, edit.route, version);
      ++added;
    }
  }
  if (!status) return fail(status.error());
  return added;
}

Result<bool> TenantStore::read_header(std::string_view tenant, std::string_view route,
                                      std::int64_t& utterance_count) {
  Statement& select = statements_->select_count;
  select.bind(1, tenant);
  select.bind(2, route);
  Result<bool> row = select.step();
  if (row && *row) {
    utterance_count = select.integer(0);
    select.done();
  }
  return row;
}

Status TenantStore::erase(std::string_view tenant, std::string_view route) {
  for (Statement* remove :
       {&statements_->delete_staged, &statements_->delete_utterances, &statements_->delete_route}) {
    remove->bind(1, tenant);
    remove->bind(2, route);
    if (Status status = remove->run(); !status) return status;
  }
  return {};
}

Status TenantStore::insert_route(std::string_view tenant, const RouteDefinition& route,
                                 std::int64_t version) {
  const std::string tags = encode_tags(route.tags);
  Statement& insert = statements_->insert_route;
  insert.bind(1, tenant);
  insert.bind(2, std::string_view(route.id));
  insert.bind(3, std::string_view(route.description));
  insert.bind(4, std::string_view(route.metadata));
  insert.bind(5, std::string_view(tags));
  if (route.threshold) insert.bind(6, static_cast<double>(*route.threshold));
  insert.bind(7, static_cast<std::int64_t>(route.utterances.size()));
  insert.bind(8, route_checksum(route));
  const std::string rules = encode_rules(route.rules);
  insert.bind(9, std::string_view(rules));
  insert.bind(10, static_cast<std::int64_t>(route.priority));
  if (route.aggregation) insert.bind(11, static_cast<std::int64_t>(*route.aggregation));
  insert.bind(12, version);
  if (route.margin) insert.bind(13, static_cast<double>(*route.margin));
  if (Status status = insert.run(); !status) return status;
  return insert_utterances(tenant, route, 0);
}

Status TenantStore::insert_utterances(std::string_view tenant, const RouteDefinition& route,
                                      std::int64_t first_ordinal) {
  Statement& insert = statements_->insert_utterance;
  std::int64_t ordinal = first_ordinal;
  for (const Utterance& utterance : route.utterances) {
    insert.bind(1, tenant);
    insert.bind(2, std::string_view(route.id));
    insert.bind(3, ordinal);
    insert.bind(4, std::string_view(utterance.text));
    insert.bind(5, std::string_view(utterance.encoder));
    insert.bind(6, embedding_bytes(utterance.embedding));
    insert.bind(7, utterance_checksum(route.id, ordinal, utterance));
    if (Status status = insert.run(); !status) return status;
    ++ordinal;
  }
  return {};
}

}  // namespace tenantd
