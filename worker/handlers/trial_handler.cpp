#include "worker/handlers/trial_handler.h"

#include <algorithm>
#include <string>
#include <utility>

#include "worker/router/trial.h"
#include "worker/router/validate.h"

namespace tenantd {
namespace {

constexpr std::size_t most_utterances = 512;

TrialSettings to_wire(const RouterSettings& settings) {
  return {settings.dense_weight, settings.lexical_weight,
          static_cast<std::uint8_t>(settings.aggregation), settings.top_k,
          settings.prototype_weight_e4};
}

RouterSettings settings_of(const RoutesTrial& request, RouterSettings settings) {
  if (request.as_they_are) return settings;
  settings.dense_weight = request.settings.dense_weight;
  settings.lexical_weight = request.settings.lexical_weight;
  settings.aggregation = static_cast<Aggregation>(request.settings.aggregation);
  settings.top_k = request.settings.top_k;
  settings.prototype_weight_e4 = request.settings.prototype_weight_e4;
  return settings;
}

TrialAnswer to_wire(Trial::Found&& found) { return {std::move(found.route), found.confidence}; }

TrialUtterance to_wire(Trial::Utterance&& from) {
  TrialUtterance utterance;
  utterance.route = std::move(from.route);
  utterance.has_answer = from.answer.has_value();
  if (from.answer) utterance.answer = to_wire(std::move(*from.answer));
  utterance.has_stranger = from.stranger.has_value();
  if (from.stranger) utterance.stranger = to_wire(std::move(*from.stranger));
  return utterance;
}

}  // namespace

Status check_trial(const HandlerServices& services, const RoutesTrial& request) {
  if (services.router == nullptr) return fail(store_degraded_error(services.store));
  if (request.queries.size() <= services.settings.max_batch_size) return {};
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.field = "queries";
  error.message = "more than this tenant's max_batch_size";
  return fail(std::move(error));
}

Result<RoutesTried> TrialHandler::run(const TenantRouter& router, const ExecutionContext& context,
                                      const RoutesTrial& request) {
  const auto current = router.snapshot(context);
  if (!current) return tl::unexpected(current.error());
  const RouteSnapshot& base = **current;
  TenantSettings tried = base.settings;
  tried.router = settings_of(request, base.settings.router);
  if (Status status = validate_settings(tried); !status) return tl::unexpected(status.error());
  const bool is_known =
      known_ && known_->version == base.version && known_->settings == tried.router;
  Trial trial(context, base, tried.router,
              is_known ? std::optional(known_->calibration) : std::nullopt);
  known_ = Known{base.version, tried.router, trial.snapshot().calibration};

  RoutesTried reply;
  reply.snapshot_version = base.version;
  reply.settings = to_wire(tried.router);
  reply.decided = to_wire(trial.snapshot().scoring);
  reply.threshold = base.settings.router.threshold;
  reply.fallback = base.settings.router.fallback_route.view();
  reply.expected_error = trial.snapshot().calibration.expected_error;
  for (auto& found : trial.leave_out(std::min<std::size_t>(request.utterances, most_utterances))) {
    reply.utterances.push_back(to_wire(std::move(found)));
  }
  for (std::size_t i = 0; i < request.queries.size(); ++i) {
    RouteQuery query;
    if (!request.queries[i].text.empty()) query.text = request.queries[i].text;
    query.embedding = request.queries[i].embedding;
    auto found = trial.ask(query);
    if (!found) {
      Error error = std::move(found.error());
      error.field = "queries[" + std::to_string(i) + "]" +
                    (error.field.empty() ? std::string() : "." + error.field);
      return fail(std::move(error));
    }
    reply.queries.push_back(to_wire(std::move(*found)));
  }
  return reply;
}

}  // namespace tenantd
