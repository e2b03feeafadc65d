// A corpus of hostile requests of one tenant against another of the same pooled worker and shard:
// every answer is the same, byte for byte, whether the other has the thing, has something else, or
// is not there.
#include <sys/stat.h>

#include <limits>

#include "shared/protocol/cache_messages.h"
#include "shared/protocol/history_messages.h"
#include "shared/protocol/stats_messages.h"
#include "shared/protocol/trial_messages.h"
#include "tests/unit/worker/hostile_corpus.h"
#include "tests/unit/worker/runtime/desk.h"

namespace tenantd::test {
namespace {

enum class Neighbour : std::uint8_t { none, other, same };
constexpr std::uint32_t one_shard = 1;

RouteEditMessage edit_of(EditKind kind, const std::string& id, const std::string& words = {}) {
  RouteEditMessage edit;
  edit.kind = kind;
  edit.route.id = id;
  if (!words.empty()) edit.route.utterances.emplace_back().text = words;
  return edit;
}

RoutesEdit edits_of(std::vector<RouteEditMessage> edits) {
  RoutesEdit message;
  message.edits = std::move(edits);
  return message;
}

struct World {
  TemporaryDirectory directory;
  std::optional<WorkerProcess> worker;
  std::uint64_t generation = 0;

  World() {
    LaunchSpec spec = test_spec();
    (void)spec.tenant.tenant_id.assign("tenantd-pool-0");
    spec.shard_count = one_shard;
    spec.shards.add(0);
    generation = spec.generation;
    REQUIRE(::mkdir((directory.path() + '/' + shard_directory_name(0)).c_str(), 0700) == 0);
    worker.emplace(directory.path(), spec);
    REQUIRE(worker->link.await<Ready>().has_value());
  }
  UniqueFd attach(const char* tenant) {
    auto message = make_link_message<Settings>(generation);
    message.settings = test_settings();
    REQUIRE(message.settings.tenant_id.assign(tenant));
    message.settings.router.cache_enabled = 1;
    message.settings.max_cache_bytes = 1U << 20U;
    message.settings.cache_similarity_e4 = 9000;
    worker->link.send(message);
    return worker->attach(tenant);
  }
};

// One tenant's connection: says how it was answered.
class Speaker {
 public:
  Speaker(World& world, const char* tenant, Transport transport)
      : world_(world), tenant_(tenant), transport_(transport) {}

  // Every byte of the answer, header and payload. What cannot be said is said so.
  template <class T>
  std::string ask_for(const T& message) {
    if (std::vector<std::byte> payload; !encode(message, payload)) return "cannot be said";
    if (!client_) connect();
    client_->send(++id_, message);
    return hear();
  }
  std::string ask_raw(MessageType type, const std::string& payload) {
    if (!client_) connect();
    FrameHeader header;
    header.size = static_cast<std::uint32_t>(payload.size());
    header.type = static_cast<std::uint16_t>(type);
    header.request_id = ++id_;
    std::vector<std::byte> frame(sizeof header + payload.size());
    std::memcpy(frame.data(), &header, sizeof header);
    if (!payload.empty()) std::memcpy(frame.data() + sizeof header, payload.data(), payload.size());
    transport_ == Transport::ring ? client_->push(frame) : client_->send_bytes(frame);
    return hear();
  }

 private:
  void connect() {
    client_.emplace(world_.attach(tenant_));
    REQUIRE(client_->choose(transport_));
  }
  std::string hear() {
    const auto frame = client_->receive();
    if (!frame) {
      client_.reset();
      return "hung up";
    }
    if (frame->type() == MessageType::executions) return without_times(*frame);
    std::string bytes(reinterpret_cast<const char*>(&frame->header), sizeof frame->header);
    bytes.append(reinterpret_cast<const char*>(frame->payload.data()), frame->payload.size());
    if (frame->type() == MessageType::goaway) client_.reset();
    return bytes;
  }
  static std::string without_times(const Frame& frame) {
    const auto page = frame.as<Executions>();
    std::string text = "executions";
    for (const Execution& one : page.executions) {
      text += " " + std::to_string(one.serial) + "," + one.route + "," +
              std::to_string(one.confidence) + "," + std::to_string(static_cast<int>(one.outcome));
    }
    return text + (page.more ? " more" : "") + " dropped " + std::to_string(page.dropped);
  }

  World& world_;
  const char* tenant_;
  Transport transport_;
  std::optional<RawClient> client_;
  std::uint64_t id_ = 0;
};

// What the victim has of a text: a route with it as id, tag, words and rule, and a cached value.
// Returns how much of it was taken.
std::size_t own(Speaker& victim, const std::string& text) {
  RouteEditMessage route = edit_of(EditKind::put, text, "words of " + text);
  route.route.tags = {text};
  route.route.description = "the neighbour's secret";
  const std::string edited = victim.ask_for(edits_of({route}));
  (void)victim.ask_for(ask("words of " + text));
  (void)victim.ask_for(CacheSet{text, "secret", CacheValueKind::bytes, 0});
  const auto type = static_cast<std::uint16_t>(MessageType::routes_edited);
  FrameHeader header;
  if (edited.size() < sizeof header) return 0;
  std::memcpy(&header, edited.data(), sizeof header);
  return header.type == type ? 1 : 0;
}

struct Transcript {
  std::vector<std::string> what;
  std::vector<std::string> answers;
  void add(std::string name, std::string answer) {
    what.push_back(std::move(name));
    answers.push_back(std::move(answer));
  }
};

void reach_for_routes(Speaker& attacker, const std::string& text, Transcript& out) {
  const auto edit = [&](const char* name, std::vector<RouteEditMessage> edits) {
    out.add(name, attacker.ask_for(edits_of(std::move(edits))));
  };
  edit("add words to what is not there", {edit_of(EditKind::add_utterances, text, "more")});
  edit("remove what is not there", {edit_of(EditKind::remove, text)});
  edit("a batch that fails behind it",
       {edit_of(EditKind::add, text, "mine"), edit_of(EditKind::remove, "nobody's")});
  edit("add", {edit_of(EditKind::add, text, "mine alone")});
  edit("add again", {edit_of(EditKind::add, text, "mine alone")});
  for (const std::uint32_t utterance : {0U, 1U, std::numeric_limits<std::uint32_t>::max()}) {
    RoutesPageRequest page;
    page.after_route = text;
    page.after_utterance = utterance;
    page.with_utterances = page.with_embeddings = true;
    out.add("a page behind it", attacker.ask_for(page));
    page.only_route = text;
    out.add("a page of it, behind it", attacker.ask_for(page));
  }
  edit("replace", {edit_of(EditKind::put, text, "mine, replaced")});
  edit("add words", {edit_of(EditKind::add_utterances, text, "words of " + text)});
  RoutesPageRequest only;
  only.only_route = text;
  out.add("it alone", attacker.ask_for(only));
  edit("remove", {edit_of(EditKind::remove, text)});
  edit("remove again", {edit_of(EditKind::remove, text)});
}

void reach_for_answers(Speaker& attacker, const std::string& text, Transcript& out) {
  const std::string words = "words of " + text;
  RouteRequest query = ask(words);
  query.explain = true;
  query.alternatives = query.limit = 64;
  out.add("the neighbour's words", attacker.ask_for(query));
  out.add("again, from its cache", attacker.ask_for(query));
  out.add("its text", attacker.ask_for(ask(text)));
  query.only_routes = {text};
  out.add("among its routes", attacker.ask_for(query));
  query.only_tags = {text};
  out.add("among its tags", attacker.ask_for(query));
  query.encoder = text;
  out.add("by an encoder of its name", attacker.ask_for(query));
  RouteRequest named = ask("anything");
  named.user = named.department = text;
  named.labels = {{"tenant", text}};
  out.add("in its name", attacker.ask_for(named));
  RouteBatch batch;
  batch.items = {query, named, ask(text)};
  out.add("a batch", attacker.ask_for(batch));
  RoutesTrial trial;
  trial.utterances = 512;
  trial.queries.push_back({words, {}});
  out.add("a trial", attacker.ask_for(trial));
}

void reach_for_values(Speaker& attacker, const std::string& text, Transcript& out) {
  out.add("get", attacker.ask_for(CacheGet{text}));
  out.add("delete", attacker.ask_for(CacheDelete{text}));
  out.add("set", attacker.ask_for(CacheSet{text, "mine", CacheValueKind::text, 0}));
  out.add("get its own", attacker.ask_for(CacheGet{text}));
  out.add("statistics of the cache", attacker.ask_for(CacheStatsRequest{}));
  out.add("clear", attacker.ask_for(CacheClear{}));
}

void reach_for_the_rest(Speaker& attacker, Transcript& out) {
  ExecutionsRequest history;
  history.after_serial = 1;
  history.after_us = 1;
  out.add("history behind a serial of anybody's", attacker.ask_for(history));
  out.add("history", attacker.ask_for(ExecutionsRequest{}));
  out.add("retention", attacker.ask_for(RetentionRequest{}));
  out.add("statistics", attacker.ask_for(TenantStatsRequest{}));
  out.add("all routes", attacker.ask_for(RoutesPageRequest{}));
}

Transcript attack(Neighbour neighbour, Transport transport) {
  World world;
  Speaker victim(world, corpus_victim, transport);
  Speaker attacker(world, corpus_attacker, transport);
  const auto texts = hostile_texts();
  const auto neighbours = [neighbour](const std::string& text) {
    return neighbour == Neighbour::same ? text : "elsewhere " + std::to_string(text.size());
  };
  std::size_t owned = 0;
  if (neighbour != Neighbour::none) {
    for (const std::string& text : texts) owned += own(victim, neighbours(text));
    CHECK(owned > texts.size() / 2);
  }
  Transcript out;
  out.add("the first edit",
          attacker.ask_for(edits_of({edit_of(EditKind::put, "own", "own words")})));
  for (const std::string& text : texts) {
    reach_for_routes(attacker, text, out);
    reach_for_answers(attacker, text, out);
    reach_for_values(attacker, text, out);
    // The neighbour uses what it has while it is attacked.
    if (neighbour != Neighbour::none) (void)own(victim, neighbours(text));
    out.add("bytes as an edit", attacker.ask_raw(MessageType::routes_edit, text));
    out.add("bytes as a query", attacker.ask_raw(MessageType::route, text));
  }
  reach_for_the_rest(attacker, out);
  return out;
}

}  // namespace

TEST_CASE("a hostile corpus is answered alike whatever the neighbour has") {
  for (const Transport transport : {Transport::stream, Transport::ring}) {
    const Transcript alone = attack(Neighbour::none, transport);
    REQUIRE(alone.answers.size() > 1000);
    for (const Neighbour neighbour : {Neighbour::other, Neighbour::same}) {
      CAPTURE(static_cast<int>(transport));
      CAPTURE(static_cast<int>(neighbour));
      const Transcript beside = attack(neighbour, transport);
      REQUIRE(beside.answers.size() == alone.answers.size());
      for (std::size_t i = 0; i < alone.answers.size(); ++i) {
        CAPTURE(i);
        CAPTURE(alone.what[i]);
        CHECK(beside.answers[i] == alone.answers[i]);
        CHECK(beside.answers[i].find("secret") == std::string::npos);
      }
    }
  }
}

}  // namespace tenantd::test
