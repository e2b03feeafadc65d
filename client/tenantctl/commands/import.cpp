// Command: routes import.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>

#include "client/tenantctl/commands/context.h"
#include "client/tenantctl/routes/batch_sender.h"
#include "client/tenantctl/routes/edit_batches.h"
#include "client/tenantctl/routes/route_lines.h"

namespace tenantd {
namespace {

struct ImportOptions {
  std::string tenant;
  std::string file;
  std::string mode = "put";
  std::string embeddings_file;
  std::string encoder;
  std::uint32_t dimension = 0;
};

struct Totals {
  std::uint64_t routes = 0;
  std::uint64_t utterances = 0;
};

// On a terminal a line that is rewritten; otherwise a line every few seconds.
class Progress {
 public:
  explicit Progress(bool silent) : silent_(silent), terminal_(::isatty(STDERR_FILENO) == 1) {}
  void show(const Totals& totals) {
    const auto now = std::chrono::steady_clock::now();
    const auto interval = std::chrono::milliseconds(terminal_ ? 100 : 5000);
    if (silent_ || now - last_ < interval) return;
    last_ = now;
    shown_ = true;
    (void)std::fprintf(stderr, "%s%llu routes, %llu utterances%s", terminal_ ? "\r" : "",
                       static_cast<unsigned long long>(totals.routes),
                       static_cast<unsigned long long>(totals.utterances), terminal_ ? "" : "\n");
  }
  ~Progress() {
    if (shown_ && terminal_) (void)std::fputs("\r\033[K", stderr);
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

 private:
  bool silent_;
  bool terminal_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

// Gives every utterance the next row of a matrix of 32-bit floats.
class EmbeddingRows {
 public:
  EmbeddingRows(const ImportOptions& options)
      : options_(options), in_(options.embeddings_file, std::ios::binary) {}

  Status fill(RouteMessage& route) {
    for (UtteranceMessage& utterance : route.utterances) {
      utterance.embedding.resize(options_.dimension);
      const auto bytes = static_cast<std::streamsize>(options_.dimension * sizeof(float));
      in_.read(reinterpret_cast<char*>(utterance.embedding.data()), bytes);
      if (in_.gcount() != bytes) {
        return misfit("ends before utterance " + std::to_string(rows_ + 1));
      }
      utterance.encoder = options_.encoder;
      ++rows_;
    }
    return {};
  }
  Status finish() {
    if (in_.peek() == std::ifstream::traits_type::eof()) return {};
    return misfit("has more than one row an utterance (" + std::to_string(rows_) + ")");
  }

 private:
  Status misfit(std::string message) const {
    Error error;
    error.code = ErrorCode::invalid_argument;
    error.file = options_.embeddings_file;
    error.message = std::move(message);
    error.hint = "rows are matched in order to utterances";
    return fail(std::move(error));
  }
  const ImportOptions& options_;
  std::ifstream in_;
  std::uint64_t rows_ = 0;
};

class Importer {
 public:
  Importer(AsyncClient client, std::uint32_t max_batch_size, bool silent)
      : sender_(std::move(client)),
        limits_(batch_limits(max_batch_size)),
        batcher_(limits_),
        progress_(silent) {}

  // Errors name the line, or the lines that were sent together and refused together.
  Status add(RouteMessage route, EditKind kind, const RouteLineReader& reader) {
    const std::uint64_t utterances = route.utterances.size();
    auto edits = split_route(std::move(route), kind, limits_);
    if (!edits) return at_lines(edits.error(), reader.file_name(), reader.line(), reader.line());
    file_name_ = reader.file_name();
    for (RouteEditMessage& edit : *edits) {
      if (!batcher_.fits(edit)) {
        if (Status sent = flush(); !sent) return sent;
      }
      if (batcher_.empty()) first_line_ = reader.line();
      last_line_ = reader.line();
      batcher_.add(std::move(edit));
    }
    totals_.routes += 1;
    totals_.utterances += utterances;
    return {};
  }
  Status flush() {
    if (batcher_.empty()) return {};
    const auto failed = sender_.send(batcher_.take(), {first_line_, last_line_});
    if (failed) return at_lines(*failed);
    progress_.show(totals_);
    return {};
  }
  Status finish() {
    if (Status sent = flush(); !sent) return sent;
    const auto failed = sender_.finish();
    return failed ? Status(at_lines(*failed)) : Status();
  }
  [[nodiscard]] const Totals& totals() const noexcept { return totals_; }

 private:
  tl::unexpected<Error> at_lines(const SendFailure& failure) const {
    return at_lines(failure.error, file_name_, failure.lines.first, failure.lines.last);
  }
  static tl::unexpected<Error> at_lines(Error error, const std::string& file, std::uint32_t first,
                                        std::uint32_t last) {
    error.file = file;
    error.line = first;
    if (first != last && error.hint.empty()) {
      error.hint = "lines " + std::to_string(first) + " to " + std::to_string(last) +
                   " were sent together, none was taken; lines before were, some behind may be";
    }
    return fail(std::move(error));
  }
  BatchSender sender_;
  BatchLimits limits_;
  EditBatcher batcher_;
  Progress progress_;
  Totals totals_;
  std::string file_name_;
  std::uint32_t first_line_ = 0;  // of what is in the batch
  std::uint32_t last_line_ = 0;
};

Status import_all(RouteLineReader& reader, Importer& importer, const ImportOptions& options) {
  const EditKind kind = options.mode == "add" ? EditKind::add : EditKind::put;
  std::optional<EmbeddingRows> rows;
  if (!options.embeddings_file.empty()) rows.emplace(options);
  for (;;) {
    auto route = reader.next();
    if (!route) return fail(route.error());
    if (!*route) break;
    if (rows) {
      if (Status filled = rows->fill(**route); !filled) return filled;
    }
    if (Status added = importer.add(std::move(**route), kind, reader); !added) return added;
  }
  if (rows) {
    if (Status finished = rows->finish(); !finished) return finished;
  }
  return importer.finish();
}

Result<int> import_routes(const Context& context, const ImportOptions& options) {
  std::ifstream opened;
  if (options.file != "-") {
    opened.open(options.file, std::ios::binary);
    if (!opened) {
      Error error;
      error.code = ErrorCode::not_found;
      error.file = options.file;
      error.message = "cannot be opened";
      return fail(std::move(error));
    }
  }
  RouteLineReader reader(options.file == "-" ? std::cin : opened,
                         options.file == "-" ? "(standard input)" : options.file);
  std::uint32_t max_batch_size = 0;
  {
    const auto client = context.connect(options.tenant);
    if (!client) return fail(client.error());
    max_batch_size = client->welcome().max_batch_size;
  }
  auto connect = context.connect_options();
  if (!connect) return fail(connect.error());
  AsyncOptions async;
  async.connect = std::move(*connect);
  auto client = AsyncClient::open(options.tenant, std::move(async));
  if (!client) return fail(client.error());
  Totals totals;
  {
    Importer importer(std::move(*client), max_batch_size, context.options.json);
    if (Status done = import_all(reader, importer, options); !done) return fail(done.error());
    totals = importer.totals();
  }
  Json json;
  json["routes"] = totals.routes;
  json["utterances"] = totals.utterances;
  return context.print(context.options.json
                           ? json_text(json)
                           : "imported " + std::to_string(totals.routes) + " routes with " +
                                 std::to_string(totals.utterances) + " utterances\n");
}

}  // namespace

void add_import_command(CLI::App& routes, Context& context) {
  auto options = std::make_shared<ImportOptions>();
  CLI::App* const command = routes.add_subcommand("import", "Import routes from JSON Lines");
  command->add_option("TENANT", options->tenant, "Tenant id")->required();
  command->add_option("FILE", options->file, "One route a line; - is standard input")->required();
  command
      ->add_option("--mode", options->mode, "put replaces routes (default), add refuses known ids")
      ->check(CLI::IsMember({"put", "add"}));
  CLI::Option* const embeddings =
      command->add_option("--embeddings", options->embeddings_file,
                          "Rows of little-endian 32-bit floats, one for each utterance, in order");
  CLI::Option* const dimension =
      command->add_option("--dimension", options->dimension, "Floats in a row of --embeddings")
          ->check(CLI::Range(1U, max_dimension));
  CLI::Option* const encoder =
      command->add_option("--encoder", options->encoder, "What made them (the tenant's)");
  embeddings->needs(dimension)->check(CLI::ExistingFile);
  dimension->needs(embeddings);
  encoder->needs(embeddings);
  command->callback([&context, options] {
    context.action = [&context, options] { return import_routes(context, *options); };
  });
}

}  // namespace tenantd
