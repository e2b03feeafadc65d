#include "worker/store/route_image.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "tests/unit/worker/store/same_answers.h"
#include "tests/unit/worker/store/store_fixtures.h"
#include "worker/store/image_keeper.h"
#include "worker/store/route_image_layout.h"

using namespace tenantd;
using namespace tenantd::fixtures;

namespace route_image_test {

namespace {

constexpr std::uint32_t dimension = 24;
const TenantBinding tenant(acme());

// One life of a worker over a directory.
struct Life {
  explicit Life(const DataDirectory& directory, bool with_images = true,
                const TenantSettings& wanted = settings(dimension, "potion"))
      : store(open_store(directory).value()),
        editor(RouteEditor::open(
                   tenant.context(), *store, wanted, EncoderShelf(),
                   with_images ? ImageKeeper(directory.path().string(), 1) : ImageKeeper())
                   .value()),
        router(editor.make_router(tenant.context())) {}
  void edit(RouteEditKind kind, RouteDefinition route) {
    RouteEdit one{kind, std::move(route)};
    (void)editor.apply(tenant.context(), std::span(&one, 1));
  }
  void rest() {
    while (editor.settle(tenant.context()).value()) {
    }
    while (editor.keep_image(tenant.context()).value()) {
    }
  }
  SnapshotPtr now() { return router->snapshot(tenant.context()).value(); }

  std::unique_ptr<TenantStore> store;
  RouteEditor editor;
  std::unique_ptr<TenantRouter> router;
};

// In one batch.
void put_some(Life& life, unsigned routes) {
  std::vector<RouteEdit> edits;
  for (unsigned r = 0; r < routes; ++r) {
    edits.push_back(
        {RouteEditKind::put, sample_route(std::to_string(100 + r), dimension, 1 + r % 5, r)});
  }
  REQUIRE(life.editor.apply(tenant.context(), edits));
}

std::string image_path(const DataDirectory& directory, int slot) {
  return (directory.path() / ("routes.image-" + std::to_string(slot))).string();
}

// True: a start takes floats from the image.
bool starts_from_image(const Life& life) {
  const auto& routes = life.router->snapshot(tenant.context()).value()->set->routes;
  return !routes.empty() && routes[0]->chunks[0]->vectors.is_borrowed();
}

}  // namespace

TEST_CASE("a start from an image and later edits answers as one from the database") {
  std::mt19937 random(77);
  const DataDirectory directory;
  bool used = false;
  for (unsigned life = 0; life < 12; ++life) {
    CAPTURE(life);
    Life now(directory);
    used = used || starts_from_image(now);
    for (unsigned step = 0; step < 8; ++step) {
      const std::string id = std::to_string(100 + random() % 20);
      now.edit(static_cast<RouteEditKind>(random() % 4),
               sample_route(id, dimension, 1 + random() % 5, life * 100 + step));
      // Sometimes the image is begun before the last edits, sometimes it is old.
      if (life % 3 != 2 && step == life % 8) now.rest();
    }
    const SnapshotPtr seen = now.now();
    now.store.reset();  // and its lease
    Life from_image(directory);
    CHECK(from_image.now()->version == seen->version);
    CHECK(from_image.now()->set->utterance_count() == seen->set->utterance_count());
    check_same_answers(*now.router, *from_image.router, random);
    from_image.store.reset();
    Life from_database(directory, false);
    check_same_answers(*from_database.router, *from_image.router, random);
  }
  CHECK(used);
}

TEST_CASE("an image that is unchanged since is all that a start reads") {
  std::mt19937 random(3);
  const DataDirectory directory;
  {
    Life first(directory);
    put_some(first, 30);
    first.rest();
    CHECK_FALSE(first.editor.keep_image(tenant.context()).value());  // one is enough
  }
  Life second(directory);
  CHECK_FALSE(second.editor.settle(tenant.context()).value());  // nothing to fit again
  for (const auto& route : second.now()->set->routes) {
    for (const auto& chunk : route->chunks) CHECK(chunk->vectors.is_borrowed());
  }
  second.store.reset();
  Life reference(directory, false);
  CHECK(reference.now()->calibration == second.now()->calibration);
  CHECK(reference.now()->version == second.now()->version);
  check_same_answers(*reference.router, *second.router, random);
}

TEST_CASE("images alternate while none is mapped, and a mapped one is not written") {
  const DataDirectory directory;
  {
    Life first(directory);
    put_some(first, 10);
    first.rest();
    put_some(first, 20);
    first.rest();
    CHECK(std::filesystem::file_size(image_path(directory, 0)) > 0);
    CHECK(std::filesystem::file_size(image_path(directory, 1)) > 0);
  }
  Life second(directory);  // reads number 1, the newer
  const std::string mapped = read_bytes(image_path(directory, 1));
  for (unsigned more : {25U, 35U, 45U}) {
    put_some(second, more);
    second.rest();
  }
  CHECK(read_bytes(image_path(directory, 1)) == mapped);
}

TEST_CASE("an image of another history of the database is none") {
  std::mt19937 random(5);
  const DataDirectory directory;
  const std::string backup = (directory.path() / "backup").string();
  {
    Life first(directory);
    put_some(first, 10);
  }
  std::filesystem::copy_file(directory.database(), backup);
  {
    Life later(directory);
    put_some(later, 30);
    later.rest();
  }
  std::filesystem::copy_file(backup, directory.database(),
                             std::filesystem::copy_options::overwrite_existing);
  Life restored(directory);
  CHECK_FALSE(starts_from_image(restored));
  CHECK(restored.now()->set->routes.size() == 10);
}

TEST_CASE("a damaged or unfinished image costs a slow start, nothing else") {
  std::mt19937 random(6);
  const DataDirectory directory;
  {
    Life first(directory);
    put_some(first, 12);
    first.rest();
  }
  const std::string whole = read_bytes(image_path(directory, 0));
  for (int round = 0; round < 60; ++round) {
    CAPTURE(round);
    std::string bytes = whole;
    if (round % 4 == 0) {
      bytes.resize(random() % whole.size());
    } else {
      bytes[random() % whole.size()] ^= static_cast<char>(1U << random() % 8);
    }
    write_bytes(image_path(directory, 0), bytes);
    Life now(directory);
    while (now.editor.verify_start(tenant.context()).value()) {
    }
    CHECK(now.now()->set->routes.size() == 12);
    now.store.reset();
    Life reference(directory, false);
    check_same_answers(*reference.router, *now.router, random);
  }
}

TEST_CASE("a forged image whose checksums are right is refused, or routes without harm") {
  std::mt19937 random(8);
  const DataDirectory directory;
  {
    Life first(directory);
    put_some(first, 16);
    first.rest();
  }
  const auto file = open_route_image(image_path(directory, 0));
  REQUIRE(file);
  const std::string forged = image_path(directory, 1);
  int accepted = 0;
  constexpr int rounds = 600;
  for (int round = 0; round < rounds; ++round) {
    CAPTURE(round);
    // One value of one section becomes another; half of the sections are small.
    const std::size_t target = static_cast<std::size_t>(round) % route_image::section_count;
    auto writer = SnapshotWriter::begin(forged).value();
    for (std::size_t section = 0; section < route_image::section_count; ++section) {
      const auto from = file->section(section);
      std::vector<std::byte> bytes(from.begin(), from.end());
      if (section == target && bytes.size() >= 4) {
        const std::uint32_t values[]{0,
                                     1,
                                     0xffffffff,
                                     0x7fffffff,
                                     static_cast<std::uint32_t>(random()),
                                     static_cast<std::uint32_t>(random() % 64)};
        std::memcpy(bytes.data() + random() % (bytes.size() / 4) * 4, &values[random() % 6], 4);
      }
      REQUIRE(writer.begin_section());
      REQUIRE(writer.append(bytes));
    }
    REQUIRE(writer.commit(file->identity()));
    const auto again = open_route_image(forged);
    REQUIRE(again);
    auto image = read_route_image(*again);
    if (!image) continue;
    ++accepted;
    auto snapshot = std::make_shared<RouteSnapshot>();
    auto routes = image->set.routes;
    snapshot->set = build_route_set(std::move(routes), image->set.dimension, &image->set);
    snapshot->settings = settings(image->set.dimension, "potion");
    snapshot->calibration = image->calibration;
    snapshot->scoring = snapshot->calibration.decide(snapshot->settings.router);
    TenantRouter router(acme(), snapshot);
    const auto vector = random_vector(random, image->set.dimension);
    RouteQuery query;
    query.embedding = vector;
    query.text = "text 7";
    query.explain = true;
    query.alternatives_limit = 100;
    (void)router.route(tenant.context(), query);
  }
  CHECK(accepted > rounds / 20);  // such as other bytes of a vector
  CHECK(accepted < rounds);
}

TEST_CASE("rows that a start did not read are looked at afterwards") {
  const DataDirectory directory;
  {
    Life first(directory);
    put_some(first, 200);
    first.rest();
  }
  {
    Life sound(directory);
    while (sound.editor.verify_start(tenant.context()).value()) {
    }
    CHECK(sound.store->degraded_reason().empty());
  }
  {
    auto database = Database::open(directory.database(), Database::Mode::open_existing).value();
    REQUIRE(
        database.execute("UPDATE utterances SET text = 'damaged' WHERE route_id = '250' "
                         "AND ordinal = 0"));
  }
  Life now(directory);
  CHECK(starts_from_image(now));
  for (;;) {
    const auto more = now.editor.verify_start(tenant.context());
    if (!more) break;
    REQUIRE(*more);  // it must not end without having seen it
  }
  CHECK(now.store->degraded_reason().find("checksum") != std::string::npos);
}

}  // namespace route_image_test
