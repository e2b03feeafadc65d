// What the planted owner has, and how the two planted tenants speak to their worker.
//
// Runs in: tenantd-probe. The intruder's tries are in row_probes.cpp.
#pragma once

#include <array>
#include <cinttypes>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "shared/protocol/cache_messages.h"
#include "shared/protocol/routing_messages.h"
#include "supervisor/probe/conversation.h"
#include "supervisor/probe/row_probes.h"

namespace tenantd::probe {

struct Verdict {
  RowVerdict verdict = RowVerdict::held;
  std::string text;
};
inline Verdict held(std::string text) { return {RowVerdict::held, std::move(text)}; }
inline Verdict broken(std::string text) { return {RowVerdict::broken, std::move(text)}; }

// The worker refuses everybody for now, or the attempt did not come about: nothing is shown.
inline Verdict untold(const Error& error) {
  const bool busy =
      error.code == ErrorCode::resource_exhausted || error.code == ErrorCode::store_degraded;
  return {busy ? RowVerdict::refused : RowVerdict::untold, error.message};
}
inline Verdict untold(std::string why) { return {RowVerdict::untold, std::move(why)}; }

// The worker counts a tenant's rows as it reads them: too many, or too few, are nobody's lack of
// room, but rows that are taken for another's.
inline Verdict judge_mixed(Verdict verdict) {
  const bool mixed = verdict.verdict == RowVerdict::refused &&
                     verdict.text.find("the database is corrupt") != std::string::npos;
  if (!mixed) return verdict;
  return {RowVerdict::broken, "what is stored of it is not what it has: " + verdict.text};
}

inline std::string counted(std::size_t number, const char* what) {
  return std::to_string(number) + " " + what;
}

class RowPlant {
 public:
  explicit RowPlant(RowTenants tenants)
      : intruder_(std::move(tenants.intruder)), owner_(std::move(tenants.owner)) {
    std::array<char, 24> hex{};
    (void)std::snprintf(hex.data(), hex.size(), "%016" PRIx64, tenants.nonce);
    mark_ = hex.data();
    owned_ = {"verify-" + mark_ + "-1", "verify-" + mark_ + "-2"};
    nobodys_ = "verify-" + mark_ + "-3";
    intruder_.watch_for(
        {secret("text"), secret("note"), secret("value"), std::string(tenants.owner_id.view())});
  }

 protected:
  static constexpr std::size_t max_cleaning_rounds = 32;

  [[nodiscard]] std::string secret(const char* what) const { return what + mark_; }
  [[nodiscard]] static RouteRequest query(std::string_view text) {
    RouteRequest request;
    request.text = text;
    request.alternatives = 64;
    request.limit = 64;
    return request;
  }
  [[nodiscard]] static Status edit(Conversation& peer, EditKind kind, RouteMessage route) {
    RoutesEdit request;
    request.edits.push_back({kind, std::move(route)});
    const auto done = peer.call<RoutesEdited>(request);
    return done ? Status() : Status(tl::unexpected(done.error()));
  }
  [[nodiscard]] static RouteMessage named(const std::string& id, std::string text = {}) {
    RouteMessage route;
    route.id = id;
    if (!text.empty()) route.utterances.push_back({std::move(text), {}, {}});
    return route;
  }
  // All ids from `after` on, and no more of the routes than that.
  [[nodiscard]] static Result<std::vector<std::string>> ids(Conversation& peer,
                                                            const std::string& after = {}) {
    std::vector<std::string> found;
    RoutesPageRequest request;
    request.after_route = after;
    for (std::size_t i = 0; i < max_cleaning_rounds; ++i) {
      const auto page = peer.call<RoutesPage>(request);
      if (!page) return tl::unexpected(page.error());
      for (const RouteListing& one : page->routes) found.push_back(one.route.id);
      if (!page->more) break;
      request.after_route = page->next_route;
    }
    return found;
  }
  // What an interrupted run has left, too.
  [[nodiscard]] static Status clean(Conversation& peer) {
    const auto found = ids(peer);
    if (!found) return tl::unexpected(found.error());
    for (const std::string& id : *found) {
      if (Status removed = edit(peer, EditKind::remove, named(id)); !removed) return removed;
    }
    const auto cleared = peer.call<CacheChanged>(CacheClear{});
    if (!cleared) return tl::unexpected(cleared.error());
    return {};
  }

  [[nodiscard]] bool is_owned(std::string_view id) const {
    return id == owned_[0] || id == owned_[1];
  }
  [[nodiscard]] bool names_owned(const RouteReply& reply) const {
    bool found = is_owned(reply.best.route);
    for (const auto* const list : {&reply.alternatives, &reply.also}) {
      for (const ScoredRoute& one : *list) found = found || is_owned(one.route);
    }
    for (const MatchedRuleMessage& one : reply.rules) found = found || is_owned(one.route);
    return found;
  }

  [[nodiscard]] Verdict prepare() {
    for (Conversation* const peer : {&intruder_, &owner_}) {
      Status done = peer->open();
      if (done) done = clean(*peer);
      if (!done) return untold(done.error());
    }
    Status planted = edit(intruder_, EditKind::put, named(own_, "an unrelated matter"));
    for (std::size_t i = 0; planted && i < owned_.size(); ++i) {
      RouteMessage route = named(owned_[i], i == 0 ? text() : "another thing of " + mark_);
      route.description = secret("note");
      route.tags = {tag()};
      if (i == 0) route.rules.push_back({RuleKindCode::keyword, RuleModeCode::always, keyword()});
      planted = edit(owner_, EditKind::put, std::move(route));
    }
    if (!planted) return untold(planted.error());
    const auto set = owner_.call<CacheChanged>(CacheSet{key(), secret("value"), {}, 0});
    if (!set) return untold(set.error());
    RoutesPageRequest request;
    request.only_route = owned_[0];
    request.with_utterances = true;
    request.with_embeddings = true;
    const auto page = owner_.call<RoutesPage>(request);
    if (!page) return untold(page.error());
    if (page->routes.size() != 1 || page->routes[0].route.utterances.size() != 1) {
      return untold("what was planted is not there");
    }
    vector_ = page->routes[0].route.utterances[0].embedding;
    // Twice: the second time from what the worker remembers.
    for (int i = 0; i < 2; ++i) {
      if (const Verdict there = owner_is_answered(); there.verdict != RowVerdict::held) {
        return untold(there.text);
      }
    }
    return held({});
  }
  [[nodiscard]] std::string text() const { return "the matter of " + secret("text"); }
  [[nodiscard]] std::string keyword() const { return "keyword" + mark_; }
  [[nodiscard]] std::string key() const { return "verify:" + mark_; }
  [[nodiscard]] std::string tag() const { return "verify" + mark_; }

  [[nodiscard]] Verdict owner_is_answered() {
    const std::string asked = text();
    const auto reply = owner_.call<RouteReply>(query(asked));
    if (!reply) return untold(reply.error());
    return reply->best.route == owned_[0] ? held({}) : broken("its owner is not answered by it");
  }
  [[nodiscard]] Verdict owner_has_all() {
    RoutesPageRequest request;
    request.with_utterances = true;
    const auto page = owner_.call<RoutesPage>(request);
    if (!page) return untold(page.error());
    bool whole = page->routes.size() == owned_.size();
    for (std::size_t i = 0; whole && i < owned_.size(); ++i) {
      const RouteMessage& route = page->routes[i].route;
      whole = route.id == owned_[i] && route.utterances.size() == 1 &&
              (i > 0 || route.utterances[0].text == text());
    }
    return whole ? owner_is_answered() : broken("what another has planted is not as it was");
  }

  Conversation intruder_;
  Conversation owner_;
  std::string mark_;
  std::array<std::string, 2> owned_;
  std::string nobodys_;
  std::string own_ = "own";
  std::vector<float> vector_;
};

}  // namespace tenantd::probe
