#include "client/c_abi/convert.h"

#include <algorithm>
#include <cstddef>
#include <new>

namespace tenantd::client {
namespace {

tenantd_scored_route view_of(const ScoredRoute& route) noexcept {
  return {route.route.c_str(), route.route.size(),  route.confidence,
          route.dense_score,   route.lexical_score, route.fused_score};
}

}  // namespace

void ReplyView::assign(RouteReply reply) {
  reply_ = std::move(reply);
  alternatives_.clear();
  for (const ScoredRoute& route : reply_.alternatives) alternatives_.push_back(view_of(route));
  words_.clear();
  for (const MatchedWord& word : reply_.words) {
    words_.push_back({word.word.c_str(), word.word.size(), word.weight, 0});
  }
  also_.clear();
  for (const ScoredRoute& route : reply_.also) also_.push_back(view_of(route));
  rules_.clear();
  for (const MatchedRuleMessage& matched : reply_.rules) {
    rules_.push_back({matched.route.c_str(), client::view_of(matched.rule)});
  }
  view_.also = also_.data();
  view_.also_size = also_.size();
  view_.rules = rules_.data();
  view_.rules_size = rules_.size();
  view_.best = view_of(reply_.best);
  view_.is_fallback = reply_.is_fallback ? 1 : 0;
  view_.reason = static_cast<std::uint32_t>(reply_.reason);
  view_.snapshot_version = reply_.snapshot_version;
  view_.alternatives = alternatives_.data();
  view_.alternatives_size = alternatives_.size();
  view_.utterance = reply_.utterance.c_str();
  view_.utterance_size = reply_.utterance.size();
  view_.words = words_.data();
  view_.words_size = words_.size();
  view_.utterance_similarity = reply_.utterance_similarity;
  view_.source = static_cast<std::uint32_t>(reply_.source);
  view_.source_similarity = reply_.source_similarity;
}

Result<tenantd_options> options_of(const tenantd_options* given) {
  return versioned<tenantd_options>(given, TENANTD_OPTIONS_INIT, sizeof(tenantd_options));
}

ConnectOptions connect_options(const tenantd_options& options) {
  ConnectOptions connect;
  if (options.socket_path != nullptr) connect.socket_path = options.socket_path;
  if (options.token != nullptr) {
    connect.token.assign(static_cast<const char*>(options.token), options.token_size);
  }
  connect.transport = options.transport == TENANTD_STREAM ? Transport::stream : Transport::ring;
  if (options.timeout_ms != 0) connect.timeout_ms = options.timeout_ms;
  return connect;
}

Result<RouteRequest> request_of(const tenantd_route_request* given, std::uint64_t& timeout_ms) {
  const auto known = versioned<tenantd_route_request>(given, TENANTD_ROUTE_REQUEST_INIT,
                                                      offsetof(tenantd_route_request, only_routes));
  if (!known) return tl::unexpected(known.error());
  RouteRequest request;
  if (known->text != nullptr) request.text = {known->text, known->text_size};
  if (known->embedding != nullptr) request.embedding = {known->embedding, known->embedding_size};
  request.encoder = text_of(known->encoder);
  request.user = text_of(known->user);
  request.department = text_of(known->department);
  request.alternatives = known->alternatives;
  request.explain = known->explain != 0;
  for (std::size_t i = 0; i < known->only_routes_size; ++i) {
    request.only_routes.push_back(text_of(known->only_routes[i]));
  }
  for (std::size_t i = 0; i < known->only_tags_size; ++i) {
    request.only_tags.push_back(text_of(known->only_tags[i]));
  }
  request.limit = known->limit;
  timeout_ms = known->timeout_ms;
  return request;
}

Result<RoutesEdit> edit_of(const tenantd_route_edit* edits, std::size_t count) {
  RoutesEdit message;
  for (std::size_t i = 0; i < count; ++i) {
    const auto known =
        versioned<tenantd_route_edit>(item_of(edits, i), {}, offsetof(tenantd_route_edit, rules));
    if (!known || known->kind > TENANTD_REMOVE || known->size != edits->size) {
      return fail(ErrorCode::invalid_argument, "an edit of another version than this library's");
    }
    const tenantd_route_edit& given = *known;
    RouteEditMessage edit;
    edit.kind = static_cast<EditKind>(given.kind);
    edit.route.id = text_of(given.id);
    edit.route.description = text_of(given.description);
    edit.route.metadata = text_of(given.metadata);
    edit.route.has_threshold = given.has_threshold != 0;
    edit.route.threshold = given.threshold;
    for (std::size_t t = 0; t < given.tags_size; ++t) {
      edit.route.tags.emplace_back(text_of(given.tags[t]));
    }
    if (given.aggregation > 255) {
      return fail(ErrorCode::invalid_argument, "an unknown aggregation");
    }
    edit.route.priority = given.priority;
    edit.route.has_margin = given.has_margin != 0;
    edit.route.margin = given.margin;
    edit.route.aggregation = static_cast<std::uint8_t>(given.aggregation);
    for (std::size_t r = 0; r < given.rules_size; ++r) {
      const tenantd_rule& from = given.rules[r];
      if (from.kind > TENANTD_PATTERN || from.mode > TENANTD_NEVER) {
        return fail(ErrorCode::invalid_argument, "an unknown kind or mode of a rule");
      }
      edit.route.rules.push_back({static_cast<RuleKindCode>(from.kind),
                                  static_cast<RuleModeCode>(from.mode),
                                  std::string(text_of(from.text))});
    }
    for (std::size_t u = 0; u < given.utterances_size; ++u) {
      const tenantd_utterance& from = given.utterances[u];
      UtteranceMessage utterance;
      if (from.text != nullptr) utterance.text.assign(from.text, from.text_size);
      if (from.embedding != nullptr) {
        utterance.embedding.assign(from.embedding, from.embedding + from.embedding_size);
      }
      utterance.encoder = text_of(from.encoder);
      edit.route.utterances.push_back(std::move(utterance));
    }
    message.edits.push_back(std::move(edit));
  }
  return message;
}

int report(Error error, tenantd_error** out) noexcept {
  const int code = static_cast<int>(error.code);
  if (out != nullptr) *out = new (std::nothrow) tenantd_error{std::move(error)};
  return code;
}

int report_no_tenant(tenantd_error** out) noexcept {
  return guarded(out, [] {
    return Status(fail(ErrorCode::no_tenant, "a call outside a tenant context",
                       "enter a context of the tenant first"));
  });
}

}  // namespace tenantd::client
