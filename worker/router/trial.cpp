#include "worker/router/trial.h"

#include <algorithm>
#include <utility>

namespace tenantd {
namespace {

SnapshotPtr with_settings(const RouteSnapshot& base, const RouterSettings& settings,
                          const std::optional<Calibration>& known, Searcher& searcher) {
  auto next = std::make_shared<RouteSnapshot>(base);
  next->settings.router = settings;
  if (!known) {
    calibrate(*next, searcher);
  } else {
    next->calibration = *known;
    next->scoring = known->decide(settings);
    next->edited_since_fit = 0;
  }
  return next;
}

}  // namespace

Trial::Trial(const ExecutionContext& context, const RouteSnapshot& base,
             const RouterSettings& settings, const std::optional<Calibration>& known)
    : context_(context),
      snapshot_(with_settings(base, settings, known, searcher_)),
      router_(context.tenant(), snapshot_) {}

std::vector<Trial::Utterance> Trial::leave_out(std::size_t most) {
  const RouteSet& set = *snapshot_->set;
  std::vector<Utterance> found;
  const std::size_t samples = std::min<std::size_t>(snapshot_->calibration.samples, most);
  LeaveOneOut asker(set, searcher_);
  for_each_sample(set, samples, [&](std::span<const std::uint32_t> utterances) {
    asker.scan(snapshot_->scoring, utterances);
    for (std::size_t i = 0; i < utterances.size(); ++i) {
      found.push_back(leave_out_one(asker.select(i)));
    }
  });
  return found;
}

Trial::Utterance Trial::leave_out_one(const LeaveOneOut::Asked& asked) {
  struct Ranked {
    std::uint32_t route;
    float logit;
  };
  const Calibration& calibration = snapshot_->calibration;
  const auto& routes = snapshot_->set->routes;
  std::vector<Ranked> ranked;  // best first, without its own
  for (const RankedRoute& route : searcher_.best(calibration, Rivals::most + 2)) {
    if (route.route != asked.route) ranked.push_back({route.route, route.logit});
  }
  const auto best = [&]() -> std::optional<Found> {
    if (ranked.empty()) return std::nullopt;
    Rivals rivals;
    for (std::size_t i = 1; i < ranked.size(); ++i) rivals.add(ranked[i].logit);
    return Found{routes[ranked.front().route]->id,
                 calibration.confidence(ranked.front().logit, rivals)};
  };
  Utterance utterance{routes[asked.route]->id, std::nullopt, best()};
  const FusedScore own = fuse(asked.without, snapshot_->scoring);
  if (own.mode == ScoreMode::none || asked.siblings < 2) return utterance;
  const Ranked mine{asked.route, calibration.logit(own)};
  const auto place = std::ranges::find_if(ranked, [&mine](const Ranked& other) {
    return mine.logit > other.logit || (mine.logit == other.logit && mine.route < other.route);
  });
  ranked.insert(place, mine);
  utterance.answer = best();
  return utterance;
}

Result<Trial::Found> Trial::ask(const RouteQuery& query) {
  RouteQuery with_second = query;
  with_second.alternatives_limit = 1;
  auto decision = router_.route(context_, with_second);
  if (!decision) return tl::unexpected(std::move(decision.error()));
  if (!decision->is_fallback) return Found{std::move(decision->route), decision->confidence};
  if (decision->alternatives.empty()) return Found{};
  return Found{std::move(decision->alternatives.front().route), decision->confidence};
}

}  // namespace tenantd
