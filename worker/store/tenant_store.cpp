#include "worker/store/tenant_store.h"

#include <utility>

#include "worker/store/rows.h"

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

// What a row takes beside its texts and its vector; statement_texts says the same.
constexpr std::size_t row_bytes = 64;

std::int64_t route_row_bytes(const RouteDefinition& route) {
  return static_cast<std::int64_t>(row_bytes + route.id.size() + route.description.size() +
                                   route.metadata.size() + encode_tags(route.tags).size() +
                                   encode_rules(route.rules).size());
}

std::int64_t utterance_bytes(const RouteDefinition& route) {
  std::size_t bytes = 0;
  for (const Utterance& utterance : route.utterances) {
    bytes += row_bytes + utterance.text.size() + utterance.encoder.size() +
             embedding_bytes(utterance.embedding).size();
  }
  return static_cast<std::int64_t>(bytes);
}

}  // namespace

Result<std::unique_ptr<TenantStore>> TenantStore::open(TenantId tenant, const std::string& path,
                                                       std::uint64_t max_storage_bytes) {
  auto file = StoreFile::open(path);
  if (!file) return fail(file.error());
  auto store = std::make_unique<TenantStore>(tenant, std::move(*file), max_storage_bytes);
  store->shared_ = false;
  if (Status status = store->limit_file(); !status) return fail(status.error());
  return store;
}

Status TenantStore::limit_file() {
  if (shared_) return {};
  return file_->database().limit_size(max_bytes_ == 0 ? 0 : max_bytes_ + room_beside_);
}

TenantStore::TenantStore(TenantId tenant, std::shared_ptr<StoreFile> shard,
                         std::uint64_t max_storage_bytes)
    : tenant_(tenant), file_(std::move(shard)), max_bytes_(max_storage_bytes), shared_(true) {}

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
  max_bytes_ = bytes;
  return limit_file();
}

Status TenantStore::set_room_beside(const ExecutionContext& context, std::uint64_t bytes) {
  if (Status status = check(context); !status) return status;
  room_beside_ = bytes;
  return limit_file();
}

Result<HistoryStore> TenantStore::history(const ExecutionContext& context) const {
  if (Status status = check(context); !status) return fail(status.error());
  return HistoryStore(tenant_, file_);
}

Result<std::uint64_t> TenantStore::load(const ExecutionContext& context,
                                        const std::function<Status(RouteDefinition)>& take,
                                        const std::function<bool(const StoredRoute&)>& knows) {
  if (Status status = check(context); !status) return fail(status.error());
  Result<std::uint64_t> version = load_all(context.tenant().view(), take, knows);
  file_->statements().end_all();
  if (!version) remember(&version.error());
  return version;
}

Result<std::uint64_t> TenantStore::load_all(std::string_view tenant,
                                            const std::function<Status(RouteDefinition)>& take,
                                            const std::function<bool(const StoredRoute&)>& knows) {
  Statement& state = file_->statements().select_tenant;
  state.bind(1, tenant);
  const Result<bool> known = state.step();
  if (!known) return fail(known.error());
  const std::int64_t version = *known ? state.integer(0) : 0;
  const std::int64_t expected_routes = *known ? state.integer(1) : 0;
  Statement& routes = file_->statements().select_routes;
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
  Statement& rows = file_->statements().select_utterances;
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
  file_->statements().end_all();
  if (version) {
    remember(nullptr);
  } else {
    remember(&version.error());
  }
  return version;
}

Result<std::uint64_t> TenantStore::apply_all(std::string_view tenant,
                                             std::span<const RouteEdit> edits) {
  Result<Transaction> transaction = Transaction::begin(file_->database());
  if (!transaction) return fail(transaction.error());
  Statement& make = file_->statements().insert_tenant;
  make.bind(1, tenant);
  if (Status status = make.run(); !status) return fail(status.error());
  const Result<std::int64_t> before = stored_version(tenant);
  if (!before) return fail(before.error());
  Growth growth;
  for (const RouteEdit& edit : edits) {
    if (Status applied = apply_one(tenant, edit, *before + 1, growth); !applied) {
      // An unfinished statement would keep the roll-back from working.
      file_->statements().end_all();
      return fail(applied.error());
    }
  }
  const auto version = raise_version(tenant, growth);
  if (!version) return version;
  if (Status status = transaction->commit(); !status) return fail(status.error());
  return version;
}

Result<std::int64_t> TenantStore::stored_version(std::string_view tenant) {
  Statement& state = file_->statements().select_tenant;
  state.bind(1, tenant);
  const Result<bool> known = state.step();
  if (!known) return fail(known.error());
  const std::int64_t version = *known ? state.integer(0) : 0;
  state.done();
  return version;
}

// Refuses growth beyond the tenant's bound; what shrinks is taken, whatever the bound is now.
Result<std::uint64_t> TenantStore::raise_version(std::string_view tenant, const Growth& growth) {
  Statement& update = file_->statements().update_tenant;
  update.bind(1, tenant);
  update.bind(2, growth.routes);
  update.bind(3, growth.bytes);
  const Result<bool> row = update.step();
  if (!row) return fail(row.error());
  const auto version = static_cast<std::uint64_t>(update.integer(0));
  const std::int64_t bytes = update.integer(1);
  update.done();
  if (shared_ && max_bytes_ != 0 && growth.bytes > 0 &&
      bytes > static_cast<std::int64_t>(max_bytes_)) {
    Error error;
    error.code = ErrorCode::resource_exhausted;
    error.field = "limits.max_storage";
    error.message = "the tenant's routes would take " + std::to_string(bytes) + " bytes, " +
                    std::to_string(max_bytes_) + " are allowed";
    error.hint = "raise max_storage, or remove routes";
    return fail(std::move(error));
  }
  return version;
}

Status TenantStore::apply_one(std::string_view tenant, const RouteEdit& edit, std::int64_t version,
                              Growth& growth) {
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
  if (edit.kind == RouteEditKind::add_utterances) {
    Statement& update = file_->statements().update_count;
    update.bind(1, tenant);
    update.bind(2, std::string_view(edit.route.id));
    update.bind(3, static_cast<std::int64_t>(edit.route.utterances.size()));
    update.bind(4, version);
    if (Status status = update.run(); !status) return status;
    growth.bytes += utterance_bytes(edit.route);
    return insert_utterances(tenant, edit.route, utterances);
  }
  if (*exists) {
    if (Status status = erase(tenant, edit.route.id, growth); !status) return status;
  }
  if (edit.kind == RouteEditKind::remove) return {};
  ++growth.routes;
  growth.bytes += route_row_bytes(edit.route) + utterance_bytes(edit.route);
  return insert_route(tenant, edit.route, version);
}

Result<bool> TenantStore::read_header(std::string_view tenant, std::string_view route,
                                      std::int64_t& utterance_count) {
  Statement& select = file_->statements().select_count;
  select.bind(1, tenant);
  select.bind(2, route);
  Result<bool> row = select.step();
  if (row && *row) {
    utterance_count = select.integer(0);
    select.done();
  }
  return row;
}

Status TenantStore::erase(std::string_view tenant, std::string_view route, Growth& growth) {
  Statement& bytes = file_->statements().route_bytes;
  bytes.bind(1, tenant);
  bytes.bind(2, route);
  const Result<bool> row = bytes.step();
  if (!row) return fail(row.error());
  if (*row) growth.bytes -= bytes.integer(0);
  bytes.done();
  --growth.routes;
  StoreStatements& statements = file_->statements();
  for (Statement* remove :
       {&statements.delete_staged, &statements.delete_utterances, &statements.delete_route}) {
    remove->bind(1, tenant);
    remove->bind(2, route);
    if (Status status = remove->run(); !status) return status;
  }
  return {};
}

Status TenantStore::insert_route(std::string_view tenant, const RouteDefinition& route,
                                 std::int64_t version) {
  const std::string tags = encode_tags(route.tags);
  Statement& insert = file_->statements().insert_route;
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
  Statement& insert = file_->statements().insert_utterance;
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
