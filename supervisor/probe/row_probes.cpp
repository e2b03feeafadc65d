#include "supervisor/probe/row_probes.h"

#include "shared/protocol/hello.h"
#include "supervisor/probe/row_plant.h"

namespace tenantd::probe {
namespace {

static_assert(row_protocol_version >= protocol_version_min &&
              row_protocol_version <= protocol_version_max);

class RowScript : private RowPlant {
 public:
  using RowPlant::RowPlant;

  void meet(const TellRow& tell) {
    const Verdict ready = prepare();
    using Step = Verdict (RowScript::*)();
    static constexpr std::array<std::pair<RowProbe, Step>, 8> steps = {{
        {RowProbe::rows_listed, &RowScript::list},
        {RowProbe::rows_read, &RowScript::read},
        {RowProbe::rows_routed, &RowScript::route},
        {RowProbe::row_existence, &RowScript::ask_for_existence},
        {RowProbe::rows_removed, &RowScript::overwrite_and_remove},
        {RowProbe::other_entry, &RowScript::reach_for_entry},
        {RowProbe::other_statistics, &RowScript::read_statistics},
        {RowProbe::error_texts, &RowScript::read_errors},
    }};
    for (const auto& [probe, step] : steps) {
      Verdict one = ready.verdict == RowVerdict::held ? (this->*step)() : ready;
      if (probe == RowProbe::rows_listed) one = judge_mixed(std::move(one));
      tell(probe, one.verdict, one.text);
    }
  }

  void look_after(const TellRow& tell) {
    Verdict listed;
    Verdict stored;
    for (Conversation* const peer : {&intruder_, &owner_}) {
      if (Status opened = peer->open(); !opened) listed = stored = untold(opened.error());
    }
    listed = judge_mixed(std::move(listed));
    if (listed.verdict == RowVerdict::held) listed = list();
    if (stored.verdict == RowVerdict::held) stored = owner_has_all();
    // It was stored a moment ago: that it cannot be read now is no lack of room.
    if (stored.verdict == RowVerdict::refused) {
      stored = broken("what was stored cannot be read: " + stored.text);
    }
    for (Conversation* const peer : {&intruder_, &owner_}) {
      Status cleaned = clean(*peer);
      const auto left = ids(*peer);
      if (!cleaned || !left) {
        if (stored.verdict == RowVerdict::held) {
          stored = untold(cleaned ? left.error() : cleaned.error());
        }
      } else if (!left->empty() && stored.verdict == RowVerdict::held) {
        stored = broken("routes are there that are removed");
      }
    }
    tell(RowProbe::rows_listed, listed.verdict, listed.text);
    tell(RowProbe::rows_removed, stored.verdict, stored.text);
  }

 private:
  [[nodiscard]] Verdict list() {
    std::size_t own = 0;
    std::size_t others = 0;
    for (const std::string& after :
         {std::string(), owned_[0].substr(0, owned_[0].size() - 1), owned_[0], std::string("z")}) {
      const auto found = ids(intruder_, after);
      if (!found) return untold(found.error());
      for (const std::string& id : *found) ++(id == own_ ? own : others);
    }
    if (others > 0) return broken(counted(others, "routes of others listed"));
    if (own == 0) return untold("its own route is not listed");
    return held("pages from four places list its own route and nobody else's");
  }

  [[nodiscard]] Verdict read() {
    const std::size_t leaks = intruder_.leaking_answers();
    for (const std::string& id : owned_) {
      RoutesPageRequest request;
      request.only_route = id;
      request.with_utterances = true;
      const auto page = intruder_.call<RoutesPage>(request);
      if (page && !page->routes.empty()) return broken("a route of another is read by its id");
      if (!page && page.error().code != ErrorCode::not_found) return untold(page.error());
    }
    if (intruder_.leaking_answers() > leaks) return broken("an answer holds another's words");
    return held("two ids that another has: not_found");
  }

  [[nodiscard]] Verdict route() {
    const std::size_t leaks = intruder_.leaking_answers();
    const std::string exact = text();
    const std::string word = keyword();
    const std::string label = tag();
    RouteRequest plain = query(exact);
    RouteRequest explained = plain;
    explained.explain = true;
    RouteRequest by_vector = query({});
    by_vector.embedding = vector_;
    RouteRequest by_id = explained;
    by_id.only_routes = {owned_[0], owned_[1]};
    RouteRequest by_tag = explained;
    by_tag.only_tags = {label};
    std::size_t asked = 0;
    for (const RouteRequest& one :
         {plain, plain, explained, by_vector, query(word), by_id, by_tag}) {
      const auto reply = intruder_.call<RouteReply>(one);
      if (!reply) return untold(reply.error());
      if (names_owned(*reply)) return broken("a query is answered by another's route");
      if (++asked == 1 && reply->source != AnswerSource::computed) {
        return broken("a query is answered from what another has asked");
      }
    }
    RouteBatch batch;
    batch.items = {plain, by_vector};
    const auto replies = intruder_.call<RouteBatchReply>(batch);
    if (!replies) return untold(replies.error());
    for (const RouteBatchItem& item : replies->items) {
      if (item.answered && names_owned(item.reply)) return broken("a batch finds another's route");
    }
    if (intruder_.leaking_answers() > leaks) return broken("an answer holds another's words");
    return held("another's text, vector, keyword, ids and tag find none of its routes");
  }

  // The same answer for what another has and for what nobody has.
  [[nodiscard]] Verdict ask_for_existence() {
    if (Status added = edit(intruder_, EditKind::add, named(owned_[0], "mine by the same name"));
        !added) {
      if (added.error().code != ErrorCode::already_exists) return untold(added.error());
      return broken("an id that another has is refused as taken");
    }
    for (const EditKind kind : {EditKind::remove, EditKind::add_utterances}) {
      const std::string words = kind == EditKind::remove ? "" : "more words";
      const Status taken = edit(intruder_, kind, named(owned_[1], words));
      const Status free = edit(intruder_, kind, named(nobodys_, words));
      if (taken || free) return broken("an edit of a route that is another's is accepted");
      if (intruder_.ended()) return untold(taken.error());
      if (taken.error().code != free.error().code ||
          told(taken.error(), owned_[1]) != told(free.error(), nobodys_)) {
        return broken("what another has is refused otherwise than what nobody has");
      }
    }
    return held("another's id can be added, and is refused as an id that nobody has");
  }
  // All that an error says, but for the id.
  [[nodiscard]] static std::string told(const Error& error, const std::string& id) {
    std::string text = error.message + "|" + error.field + "|" + error.hint + "|" + error.tenant;
    for (auto at = text.find(id); at != std::string::npos; at = text.find(id)) {
      text.replace(at, id.size(), "*");
    }
    return text;
  }

  [[nodiscard]] Verdict overwrite_and_remove() {
    Status done = edit(intruder_, EditKind::put, named(owned_[0], "mine, replaced"));
    if (done) done = edit(intruder_, EditKind::put, named(owned_[1], "mine, too"));
    if (done) done = edit(intruder_, EditKind::remove, named(owned_[0]));
    if (done) done = edit(intruder_, EditKind::remove, named(owned_[1]));
    if (!done) return untold(done.error());
    const Verdict whole = owner_has_all();
    if (whole.verdict != RowVerdict::held) return whole;
    return held("routes of the same ids put and removed; the other's are as they were");
  }

  [[nodiscard]] Verdict owner_has_value() {
    const auto value = owner_.call<CacheValue>(CacheGet{key()});
    if (!value) return untold(value.error());
    const bool whole = value->found && value->value == secret("value");
    return whole ? held({}) : broken("what another has cached is not as it was");
  }
  [[nodiscard]] Verdict reach_for_entry() {
    const auto found = intruder_.call<CacheValue>(CacheGet{key()});
    if (!found) return untold(found.error());
    if (found->found) return broken("another's entry is read");
    const auto removed = intruder_.call<CacheChanged>(CacheDelete{key()});
    if (!removed) return untold(removed.error());
    if (removed->removed != 0) return broken("another's entry is removed");
    const auto set = intruder_.call<CacheChanged>(CacheSet{key(), "mine", {}, 0});
    if (!set) return untold(set.error());
    Verdict whole = owner_has_value();
    if (whole.verdict != RowVerdict::held) return whole;
    const auto cleared = intruder_.call<CacheChanged>(CacheClear{});
    if (!cleared) return untold(cleared.error());
    if (cleared->removed != 1) return broken("more than its own is cleared");
    whole = owner_has_value();
    if (whole.verdict != RowVerdict::held) return whole;
    return held("another's key: not found; set, deleted and cleared, the other's value stays");
  }

  [[nodiscard]] static bool same(const CacheUsage& a, const CacheUsage& b) {
    return a.hits == b.hits && a.misses == b.misses && a.entries == b.entries &&
           a.bytes == b.bytes && a.evictions == b.evictions;
  }
  [[nodiscard]] Verdict read_statistics() {
    const auto before = intruder_.call<CacheStats>(CacheStatsRequest{});
    if (!before) return untold(before.error());
    for (int i = 0; i < 3; ++i) {
      const std::string more = key() + std::to_string(i);
      const auto set = owner_.call<CacheChanged>(CacheSet{more, "more", {}, 0});
      if (!set) return untold(set.error());
      if (const Verdict there = owner_has_value(); there.verdict != RowVerdict::held) return there;
      if (const Verdict there = owner_is_answered(); there.verdict != RowVerdict::held) {
        return there;
      }
    }
    const auto after = intruder_.call<CacheStats>(CacheStatsRequest{});
    if (!after) return untold(after.error());
    if (!same(before->values, after->values) || !same(before->routing, after->routing)) {
      return broken("another's use of its caches is counted");
    }
    return held("nine uses of another's caches change none of its numbers");
  }

  [[nodiscard]] Verdict read_errors() {
    RouteRequest wrong = query({});
    const std::vector<float> too_long(vector_.size() + 1, 1.0F);
    wrong.embedding = too_long;
    (void)intruder_.call<RouteReply>(wrong);
    (void)intruder_.call<CacheValue>(CacheGet{""});
    (void)edit(intruder_, EditKind::add, named(own_, "again"));
    (void)edit(intruder_, EditKind::add, named("", "no name"));
    RouteMessage faulty = named("faulty", "a rule that is none");
    faulty.rules.push_back({RuleKindCode::pattern, RuleModeCode::signal, "("});
    (void)edit(intruder_, EditKind::put, std::move(faulty));
    RoutesEdit many;
    for (int i = 0; i < 64; ++i) many.edits.push_back({EditKind::put, named(std::to_string(i))});
    (void)intruder_.call<RoutesEdited>(many);
    if (intruder_.ended()) return untold("the worker has hung up");
    if (intruder_.leaking_errors() > 0) {
      return broken(counted(intruder_.leaking_errors(), "errors name what is another's"));
    }
    if (intruder_.errors() < 5) return untold("fewer errors than were provoked");
    return held(counted(intruder_.errors(), "errors, and none names anything of another"));
  }
};

}  // namespace

void run_row_probes(RowTenants tenants, const TellRow& tell) {
  const RowPhase phase = tenants.phase;
  RowScript script(std::move(tenants));
  if (phase == RowPhase::meet) return script.meet(tell);
  script.look_after(tell);
}

}  // namespace tenantd::probe
