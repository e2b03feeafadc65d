// Command: routes export.
#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>

#include "client/tenantctl/commands/context.h"
#include "client/tenantctl/routes/route_lines.h"

namespace tenantd {
namespace {

struct ExportOptions {
  std::string tenant;
  std::string file;
  bool embeddings = false;
};

Error write_error(const std::string& file) {
  Error error;
  error.file = file;
  error.message = "cannot be written";
  return error;
}

// Standard output, or a file that takes its name when it is whole.
class RouteOutput {
 public:
  explicit RouteOutput(std::string file) : file_(std::move(file)), fresh_(file_ + ".tmp") {
    if (to_file()) out_.open(fresh_, std::ios::binary | std::ios::trunc);
  }
  ~RouteOutput() {
    if (to_file() && !finished_) (void)std::remove(fresh_.c_str());
  }
  RouteOutput(const RouteOutput&) = delete;
  RouteOutput& operator=(const RouteOutput&) = delete;

  Status write(const std::string& line) {
    if (to_file()) {
      out_ << line << '\n';
      if (!out_) return fail(write_error(file_));
    } else if (std::fwrite(line.data(), 1, line.size(), stdout) != line.size() ||
               std::fputc('\n', stdout) == EOF) {
      return fail(write_error("(standard output)"));
    }
    return {};
  }
  Status finish() {
    if (!to_file()) {
      return std::fflush(stdout) == 0 ? Status() : fail(write_error("(standard output)"));
    }
    out_.close();
    if (!out_ || std::rename(fresh_.c_str(), file_.c_str()) != 0) return fail(write_error(file_));
    finished_ = true;
    return {};
  }

 private:
  [[nodiscard]] bool to_file() const noexcept { return !file_.empty() && file_ != "-"; }
  std::string file_;
  std::string fresh_;
  std::ofstream out_;
  bool finished_ = false;
};

// Puts a route's pieces together and writes it when the next one begins.
class RouteWriter {
 public:
  RouteWriter(RouteOutput& output, bool embeddings) : output_(output), embeddings_(embeddings) {}

  Status take(RouteMessage piece) {
    if (current_ && current_->id == piece.id) {
      for (auto& utterance : piece.utterances) {
        current_->utterances.push_back(std::move(utterance));
      }
      return {};
    }
    Status flushed = flush();
    current_ = std::move(piece);
    return flushed;
  }
  Status flush() {
    if (!current_) return {};
    for (const UtteranceMessage& utterance : current_->utterances) {
      if (!embeddings_ && utterance.text.empty()) ++left_out_;
    }
    Status written = output_.write(format_route_line(*current_, embeddings_));
    current_.reset();
    return written;
  }
  [[nodiscard]] std::uint64_t left_out() const noexcept { return left_out_; }

 private:
  RouteOutput& output_;
  bool embeddings_;
  std::optional<RouteMessage> current_;
  std::uint64_t left_out_ = 0;  // utterances that are only an embedding
};

Status export_pages(Client& client, RouteWriter& writer, bool embeddings) {
  RoutesPageRequest request;
  request.with_utterances = true;
  request.with_embeddings = embeddings;
  for (;;) {
    auto page = client.routes_page(request);
    if (!page) return fail(page.error());
    for (RouteListing& listing : page->routes) {
      if (Status taken = writer.take(std::move(listing.route)); !taken) return taken;
    }
    if (!page->more) return writer.flush();
    if (page->next_route == request.after_route &&
        page->next_utterance <= request.after_utterance) {
      return fail(ErrorCode::protocol_error, "the worker's pages do not go on");
    }
    request.after_route = page->next_route;
    request.after_utterance = page->next_utterance;
  }
}

Result<int> export_routes(const Context& context, const ExportOptions& options) {
  auto client = context.connect(options.tenant);
  if (!client) return fail(client.error());
  RouteOutput output(options.file);
  RouteWriter writer(output, options.embeddings);
  for (Status status : {export_pages(*client, writer, options.embeddings), output.finish()}) {
    if (!status) return fail(status.error());
  }
  if (writer.left_out() != 0) {
    (void)std::fprintf(stderr,
                       "tenantctl: %llu utterances are only an embedding and were left out "
                       "(--embeddings exports them)\n",
                       static_cast<unsigned long long>(writer.left_out()));
  }
  return 0;
}

}  // namespace

void add_export_command(CLI::App& routes, Context& context) {
  auto options = std::make_shared<ExportOptions>();
  CLI::App* const command = routes.add_subcommand("export", "Export routes as JSON Lines");
  command->add_option("TENANT", options->tenant, "Tenant id")->required();
  command->add_option("FILE", options->file, "Standard output without, or with -");
  command->add_flag("--embeddings", options->embeddings, "With embeddings and their encoder");
  command->callback([&context, options] {
    context.action = [&context, options] { return export_routes(context, *options); };
  });
}

}  // namespace tenantd
