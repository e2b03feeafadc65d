#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "store_fixtures.h"
#include "tests/unit/worker/encoder/model_fixtures.h"
#include "worker/router/validate.h"

using namespace tenantd;
using namespace tenantd::fixtures;

namespace reencoding_test {

namespace {

constexpr std::string_view potion = "potion@00aa";
constexpr std::string_view newer = "potion@00bb";

// Two models of two numbers; the rows of the newer one are the other way round.
class Models {
 public:
  Models() {
    write("00aa", word_rows());
    auto rows = word_rows();
    std::reverse(rows.begin(), rows.end());
    write("00bb", rows);
  }
  [[nodiscard]] EncoderShelf shelf() const { return EncoderShelf(directory_.path().string()); }
  void remove(const std::string& digest) const {
    std::filesystem::remove(directory_.path() / (digest + ".model"));
  }

 private:
  void write(const std::string& digest, const std::vector<float>& rows) const {
    const auto model =
        compile(tokenizer_json(), safetensors_of({{"embeddings", "F32", "7,2", bytes_of(rows)}}))
            .value();
    std::ofstream(directory_.path() / (digest + ".model"), std::ios::binary)
        .write(reinterpret_cast<const char*>(model.data()),
               static_cast<std::streamsize>(model.size()));
  }
  DataDirectory directory_;
};

RouteDefinition words_route(std::string id, std::size_t utterances) {
  RouteDefinition route;
  route.id = std::move(id);
  for (std::size_t i = 0; i < utterances; ++i) {
    route.utterances.push_back({i % 2 == 0 ? "printer jam" : "jams", {}, {}});
  }
  return route;
}

// One process: a store, its editor and router.
struct Process {
  Process(const DataDirectory& directory, const Models& models, std::string_view encoder,
          std::uint32_t dimension)
      : store(open_store(directory).value()),
        editor(RouteEditor::open(tenant.context(), *store, settings(dimension, encoder),
                                 models.shelf())
                   .value()),
        router(editor.make_router(tenant.context())) {}

  Result<EditOutcome> edit(RouteEditKind kind, RouteDefinition route) {
    std::vector<RouteEdit> edits;
    edits.push_back({kind, std::move(route)});
    auto outcome = editor.apply(tenant.context(), edits);
    if (!outcome) MESSAGE(outcome.error().describe());
    return outcome;
  }
  Result<RouteDecision> ask(std::string_view text) {
    RouteQuery query;
    query.text = text;
    return router->route(tenant.context(), query);
  }
  std::string encoder() { return router->snapshot(tenant.context()).value()->set->encoder; }
  // One slice; whether there is more.
  bool work() {
    const auto more = editor.reencode(tenant.context());
    REQUIRE_MESSAGE(more.has_value(), more.error().describe());
    return *more;
  }
  void finish() {
    for (int i = 0; work(); ++i) REQUIRE(i < 1000);
  }
  ReencodingState progress() { return editor.progress()->get(); }
  std::vector<RouteDefinition> stored() { return load_all(*store).value(); }

  TenantBinding tenant{acme()};
  std::unique_ptr<TenantStore> store;
  RouteEditor editor;
  std::unique_ptr<TenantRouter> router;
};

void check_all_of(const std::vector<RouteDefinition>& routes, std::string_view encoder,
                  std::size_t dimension) {
  for (const RouteDefinition& route : routes) {
    for (const Utterance& utterance : route.utterances) {
      CHECK(utterance.encoder == encoder);
      CHECK(utterance.embedding.size() == dimension);
    }
  }
}

}  // namespace

TEST_CASE("old vectors answer until all have one of the new encoder, over restarts") {
  const DataDirectory directory;
  const Models models;
  constexpr std::size_t many = Reencoding::slice_utterances + 100;
  {
    Process hashed(directory, models, "hash", 64);
    REQUIRE(hashed.edit(RouteEditKind::put, words_route("a", many)));
    REQUIRE(hashed.edit(RouteEditKind::put, words_route("b", 3)));
    CHECK(hashed.progress().total == 0);
    CHECK_FALSE(hashed.work());
  }
  {
    Process changed(directory, models, potion, 2);
    CHECK(changed.progress().done == 0);
    CHECK(changed.progress().total == many + 3);
    CHECK(changed.work());
    CHECK(changed.progress().done == Reencoding::slice_utterances);
    CHECK(changed.encoder() == "hash-v1");
    CHECK(changed.ask("printer jam")->encoder == "hash-v1");
    check_all_of(changed.stored(), "hash-v1", 64);
  }
  // Killed there: what was done is found again, the rest is made.
  Process resumed(directory, models, potion, 2);
  CHECK(resumed.progress().done == Reencoding::slice_utterances);
  CHECK(resumed.ask("printer jam")->encoder == "hash-v1");
  CHECK(resumed.work());
  CHECK(resumed.progress().done == many + 3);
  CHECK_FALSE(resumed.work());
  CHECK(resumed.progress().total == 0);
  CHECK(resumed.encoder() == potion);
  const auto answer = resumed.ask("printer jam");
  REQUIRE(answer);
  CHECK(answer->encoder == potion);
  CHECK(answer->scores.dense == doctest::Approx(1.0).epsilon(1e-2));
  check_all_of(resumed.stored(), potion, 2);
  CHECK_FALSE(resumed.work());
  // Edits are the new encoder's, and a restart encodes nothing.
  REQUIRE(resumed.edit(RouteEditKind::put, words_route("c", 1)));
  CHECK(resumed.stored()[2].utterances[0].encoder == potion);
}

TEST_CASE("edits while vectors are made anew are kept, in the old encoder and in the new") {
  const DataDirectory directory;
  const Models models;
  {
    Process hashed(directory, models, "hash", 64);
    REQUIRE(hashed.edit(RouteEditKind::put, words_route("a", 4)));
    REQUIRE(hashed.edit(RouteEditKind::put, words_route("b", 4)));
  }
  Process changed(directory, models, potion, 2);
  CHECK(changed.work());
  CHECK(changed.progress().done == 8);
  // Staged: "a" is replaced by something shorter, "b" grows, "c" is new.
  REQUIRE(changed.edit(RouteEditKind::put, words_route("a", 1)));
  REQUIRE(changed.edit(RouteEditKind::add_utterances, words_route("b", 2)));
  REQUIRE(changed.edit(RouteEditKind::add, words_route("c", 1)));
  CHECK(changed.progress().done == 4);
  CHECK(changed.progress().total == 8);
  CHECK(changed.ask("jams")->encoder == "hash-v1");
  // Vectors from outside would be of neither.
  RouteDefinition given = words_route("d", 1);
  given.utterances[0].embedding.assign(64, 1.0F);
  CHECK(changed.edit(RouteEditKind::put, given).error().code == ErrorCode::unavailable);
  changed.finish();
  CHECK(changed.encoder() == potion);
  const auto stored = changed.stored();
  REQUIRE(stored.size() == 3);
  CHECK(stored[0].utterances.size() == 1);
  CHECK(stored[1].utterances.size() == 6);
  check_all_of(stored, potion, 2);
  // Live settings belong to the new encoder now.
  TenantSettings other = settings(2, potion);
  other.router.threshold = 0.9F;
  CHECK(changed.editor.apply_settings(changed.tenant.context(), other));
  CHECK(changed.ask("jams")->threshold == 0.9F);
}

TEST_CASE("settings that change meanwhile do not change the vectors that answer") {
  const DataDirectory directory;
  const Models models;
  {
    Process hashed(directory, models, "hash", 64);
    REQUIRE(hashed.edit(RouteEditKind::put, words_route("a", 4)));
  }
  Process changed(directory, models, potion, 2);
  TenantSettings other = settings(2, potion);
  other.router.threshold = 0.75F;
  REQUIRE(changed.editor.apply_settings(changed.tenant.context(), other));
  CHECK(changed.ask("jams")->encoder == "hash-v1");
  CHECK(changed.ask("jams")->threshold == 0.75F);
  CHECK(changed.editor.apply_settings(changed.tenant.context(), settings(64)).error().code ==
        ErrorCode::unsupported);
  changed.finish();
  CHECK(changed.ask("jams")->encoder == potion);
  CHECK(changed.ask("jams")->threshold == 0.75F);
}

TEST_CASE("another version is another encoder, and an old model that is gone leaves the words") {
  const DataDirectory directory;
  const Models models;
  {
    Process first(directory, models, potion, 2);
    REQUIRE(first.edit(RouteEditKind::put, words_route("a", 4)));
    CHECK(first.ask("jams")->encoder == potion);
  }
  {
    Process second(directory, models, newer, 2);
    CHECK(second.progress().total == 4);
    CHECK(second.ask("jams")->encoder == potion);  // its model is still there
    CHECK(second.work());
  }
  models.remove("00aa");
  Process third(directory, models, newer, 2);
  CHECK(third.progress().done == 4);
  const auto words = third.ask("jams");
  REQUIRE(words);
  CHECK(words->encoder.empty());
  CHECK(words->scores.dense == 0);
  CHECK(words->scores.lexical > 0);
  REQUIRE(third.edit(RouteEditKind::put, words_route("b", 1)));
  third.finish();
  CHECK(third.ask("jams")->encoder == newer);
  check_all_of(third.stored(), newer, 2);
}

TEST_CASE("what was made for a third encoder is dropped") {
  const DataDirectory directory;
  const Models models;
  {
    Process hashed(directory, models, "hash", 64);
    REQUIRE(hashed.edit(RouteEditKind::put, words_route("a", 4)));
  }
  { CHECK(Process(directory, models, potion, 2).work()); }
  Process other(directory, models, newer, 2);
  CHECK(other.progress().done == 0);
  other.finish();
  check_all_of(other.stored(), newer, 2);
}

TEST_CASE("utterances without a text are told, and keep the old vectors") {
  const DataDirectory directory;
  const Models models;
  {
    Process given(directory, models, "elsewhere", 2);
    RouteDefinition route;
    route.id = "vectors";
    route.utterances.push_back({"", {1, 2}, {}});
    REQUIRE(given.edit(RouteEditKind::put, route));
  }
  Process changed(directory, models, potion, 2);
  CHECK_FALSE(changed.work());
  CHECK(changed.progress().problem.starts_with("1 utterances have no text"));
  CHECK(changed.encoder() == "elsewhere");
  // Once it is gone, all goes on.
  REQUIRE(changed.edit(RouteEditKind::put, words_route("vectors", 2)));
  changed.finish();
  CHECK(changed.encoder() == potion);
}

TEST_CASE("a text that the new encoder knows nothing of is known by its words") {
  const DataDirectory directory;
  const Models models;
  {
    Process hashed(directory, models, "hash", 64);
    RouteDefinition route = words_route("a", 2);
    route.utterances.push_back({"zebra crossing", {}, {}});
    REQUIRE(hashed.edit(RouteEditKind::put, route));
  }
  {
    Process changed(directory, models, potion, 2);
    changed.finish();
    CHECK(changed.encoder() == potion);
    CHECK(changed.stored()[0].utterances[2].embedding.empty());
    CHECK(changed.ask("zebra crossing")->route == "a");
  }
  Process again(directory, models, potion, 2);
  CHECK(again.progress().total == 0);
}

TEST_CASE(
    "a broken model or another dimension keeps the routes from being opened, with the reason") {
  const DataDirectory directory;
  const Models models;
  const auto store = open_store(directory).value();
  const TenantBinding tenant(acme());
  const auto wrong =
      RouteEditor::open(tenant.context(), *store, settings(3, potion), models.shelf());
  CHECK(wrong.error().code == ErrorCode::wrong_dimension);
  CHECK(wrong.error().message == "the encoder potion@00aa makes vectors of 2 floats, not of 3");
  const DataDirectory broken;
  std::ofstream(broken.path() / "00aa.model") << "nonsense";
  const auto refused = RouteEditor::open(tenant.context(), *store, settings(2, potion),
                                         EncoderShelf(broken.path().string()));
  CHECK(refused.error().code == ErrorCode::invalid_config);
  // No such model: the vectors come with requests.
  CHECK(RouteEditor::open(tenant.context(), *store, settings(2, "potion@00cc"), models.shelf()));
}

TEST_CASE("the tenant's encoder may be named without its version") {
  const RouterSettings router = settings(2, potion).router;
  CHECK(encoder_id_of(router, "") == potion);
  CHECK(encoder_id_of(router, "potion") == potion);
  CHECK(encoder_id_of(router, potion) == potion);
  CHECK(encoder_id_of(router, "potio") == "potio");
  CHECK(encoder_id_of(router, "hash") == "hash-v1");
  CHECK(encoder_id_of(settings(2).router, "") == "hash-v1");
}

}  // namespace reencoding_test
