// Command: routes fit. Asks the worker what it would answer with other settings, chooses among them
// (analyse/fit.h), prints before and after, and changes something on request only.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>

#include "client/tenantctl/analyse/fit_report.h"
#include "client/tenantctl/commands/context.h"
#include "client/tenantctl/routes/edit_batches.h"
#include "shared/os/process.h"

namespace tenantd {
namespace {

constexpr std::uint64_t trial_timeout_ms = 120'000;  // 100,000 utterances take a worker seconds
constexpr std::uint32_t most_utterances = 512;
// Of the tenant's own utterances each is a stranger to all routes but one; users ask fewer strange
// questions than that.
constexpr double stranger_weight = 0.25;
constexpr std::size_t max_config_bytes = 1U << 20U;

struct FitCommand {
  std::string tenant;
  std::string data;
  std::string config;
  std::optional<double> recall;
  std::size_t folds = 5;
  std::uint64_t seed = 1;
  bool apply = false;
};

using Route = std::map<std::string, std::uint32_t>;

// The numbers of Aggregation, see RoutesTrial.
enum Way : std::uint8_t { max = 0, top_k_mean = 2, centroid = 3, prototype_mix = 4 };

// The tenant's own way first, then others in one respect each: what they gain adds up seldom, and
// fewer candidates win less by chance.
std::vector<TrialSettings> candidates_of(const TrialSettings& own) {
  std::vector<TrialSettings> candidates{own};
  const auto add = [&candidates](const TrialSettings& settings) {
    if (std::ranges::find(candidates, settings) == candidates.end()) candidates.push_back(settings);
  };
  if (own.dense_weight > 0 && own.lexical_weight > 0) {
    const float whole = own.dense_weight + own.lexical_weight;
    for (const float share : {1.0F, 0.85F, 0.7F, 0.55F, 0.4F, 0.25F}) {
      TrialSettings other = own;
      other.dense_weight = whole * share;
      other.lexical_weight = whole * (1.0F - share);
      add(other);
    }
  }
  if (own.dense_weight <= 0) return candidates;
  for (const Way way : {max, top_k_mean, centroid, prototype_mix}) {
    TrialSettings other = own;
    other.aggregation = way;
    add(other);
  }
  return candidates;
}

class Questions {
 public:
  Questions(Client& client, const Route& routes, const std::vector<LabelledQuery>& data)
      : client_(client), routes_(routes), data_(data) {}

  // Answers of the next candidate, for all questions.
  [[nodiscard]] Status ask(bool as_they_are, const TrialSettings& settings) {
    RoutesTrial trial;
    trial.as_they_are = as_they_are;
    trial.settings = settings;
    const std::size_t page = std::max<std::size_t>(client_.welcome().max_batch_size, 1);
    std::size_t next = 0;
    std::size_t question = 0;
    do {
      trial.queries.clear();
      for (; next < data_.size() && trial.queries.size() < page; ++next) {
        trial.queries.push_back({data_[next].text, data_[next].embedding});
      }
      trial.utterances = data_.empty() ? most_utterances : 0;
      auto tried = client_.try_routes(trial, trial_timeout_ms);
      if (!tried) return fail(tried.error());
      if (candidate_ > 0 && tried->snapshot_version != last_.snapshot_version) {
        return fail(ErrorCode::unavailable, "the routes were edited meanwhile", "try again");
      }
      last_ = std::move(*tried);
      if (Status taken = take(question); !taken) return taken;
    } while (next < data_.size());
    ++candidate_;
    return {};
  }
  [[nodiscard]] const RoutesTried& last() const noexcept { return last_; }
  [[nodiscard]] const std::vector<FitQuestion>& all() const noexcept { return questions_; }

 private:
  [[nodiscard]] FitAnswer answer_of(const TrialAnswer& answer) const {
    const auto found = routes_.find(answer.route);
    return {found == routes_.end() ? no_route : found->second, answer.confidence};
  }
  void add(std::size_t& question, std::uint32_t expected, double weight, std::size_t group,
           const TrialAnswer& answer) {
    if (candidate_ == 0) {
      questions_.push_back({expected, weight, static_cast<std::uint32_t>(group), {}});
    }
    if (question < questions_.size()) questions_[question].answers.push_back(answer_of(answer));
    ++question;
  }
  [[nodiscard]] Result<std::uint32_t> expected_of(const LabelledQuery& query) const {
    if (query.route.empty() || query.route == last_.fallback) return no_route;
    const auto found = routes_.find(query.route);
    if (found != routes_.end()) return found->second;
    return fail(ErrorCode::invalid_argument, "no route \"" + query.route + "\"",
                "what is out of scope has no route, or that of the fallback");
  }
  [[nodiscard]] Status take(std::size_t& question) {
    for (std::size_t i = 0; i < last_.utterances.size(); ++i) {
      const TrialUtterance& utterance = last_.utterances[i];
      const auto own = routes_.find(utterance.route);
      if (own == routes_.end()) continue;
      if (utterance.has_answer) add(question, own->second, 1, i, utterance.answer);
      if (utterance.has_stranger) add(question, no_route, stranger_weight, i, utterance.stranger);
    }
    for (const TrialAnswer& answer : last_.queries) {
      const auto expected = expected_of(data_[question]);
      if (!expected) return fail(expected.error());
      add(question, *expected, 1, question, answer);
    }
    return {};
  }

  Client& client_;
  const Route& routes_;
  const std::vector<LabelledQuery>& data_;
  std::size_t candidate_ = 0;
  RoutesTried last_;
  std::vector<FitQuestion> questions_;
};

struct Fitted {
  FitReport report;
  std::uint64_t snapshot_version = 0;
};

Result<Fitted> fit(Client& client, const FitCommand& command) {
  const auto data =
      command.data.empty() ? std::vector<LabelledQuery>{} : read_labelled_file(command.data);
  if (!data) return fail(data.error());
  const auto page = fetch_routes(client, {});
  if (!page) return fail(page.error());
  Fitted fitted;
  FitReport& report = fitted.report;
  Route routes;
  for (const RouteListing& listing : page->routes) {
    const RouteMessage& route = listing.route;
    routes.emplace(route.id, static_cast<std::uint32_t>(report.routes.size()));
    report.routes.push_back(route.id);
    report.before.route_thresholds.push_back(route.has_threshold ? std::optional(route.threshold)
                                                                 : std::nullopt);
  }
  report.options = {command.recall, command.folds, command.seed};
  report.on_data = !data->empty();
  Questions questions(client, routes, *data);
  if (Status asked = questions.ask(true, {}); !asked) return fail(asked.error());
  fitted.snapshot_version = questions.last().snapshot_version;
  report.before.threshold = questions.last().threshold;
  report.expected_error = static_cast<double>(questions.last().expected_error);
  report.candidates = candidates_of(questions.last().settings);
  for (std::size_t i = 1; i < report.candidates.size(); ++i) {
    show_progress("ways of scoring", i, report.candidates.size());
    if (Status asked = questions.ask(false, report.candidates[i]); !asked) {
      return fail(asked.error());
    }
  }
  show_progress("ways of scoring", report.candidates.size(), report.candidates.size());
  report.result = fit_plan(questions.all(), report.before, report.options);
  return fitted;
}

// One message: all thresholds or none.
Status apply_thresholds(Client& client, const Fitted& fitted) {
  const BatchLimits limits = batch_limits(client.welcome().max_batch_size);
  EditBatcher batcher(limits);
  for (const RouteThreshold& change : changed_routes(fitted.report)) {
    RoutesPageRequest request;
    request.only_route = fitted.report.routes[change.route];
    request.with_utterances = true;
    request.with_embeddings = true;
    auto page = fetch_routes(client, std::move(request));
    if (!page) return fail(page.error());
    if (page->snapshot_version != fitted.snapshot_version || page->routes.size() != 1) {
      return fail(ErrorCode::unavailable, "the routes were edited meanwhile", "try again");
    }
    RouteMessage route = std::move(page->routes.front().route);
    route.has_threshold = change.after.has_value();
    route.threshold = change.after.value_or(0.0F);
    const std::string id = route.id;
    auto edits = split_route(std::move(route), EditKind::put, limits);
    if (!edits) return fail(edits.error());
    if (edits->size() != 1 || !batcher.fits(edits->front())) {
      return fail(ErrorCode::unsupported,
                  "the routes do not fit one message, from \"" + id + "\" on: nothing was changed",
                  "set their thresholds with routes export and routes import");
    }
    batcher.add(std::move(edits->front()));
  }
  if (batcher.empty()) return {};
  const auto edited = client.edit_routes(batcher.take());
  return edited ? Status{} : Status(fail(edited.error()));
}

struct ConfigChange {
  std::string file;
  std::string text;
  struct stat before {};
};

Result<ConfigChange> prepare_config(const std::string& file, const std::vector<TomlKey>& keys) {
  ConfigChange change;
  change.file = file;
  if (::lstat(file.c_str(), &change.before) != 0) return fail_errno("stat " + file, errno);
  if (!S_ISREG(change.before.st_mode)) {
    return fail(ErrorCode::unsupported, file + " is no regular file", "name the file itself");
  }
  const auto text = read_input(file, max_config_bytes);
  if (!text) return fail(text.error());
  auto changed = set_toml_keys(*text, "router", keys);
  if (!changed) {
    Error error = changed.error();
    error.file = file;
    return fail(std::move(error));
  }
  change.text = std::move(*changed);
  return change;
}

Status write_config(const ConfigChange& change) {
  const struct stat& before = change.before;
  if (Status written =
          write_file_atomically(change.file, change.text, before.st_mode & 07777U, true);
      !written) {
    return written;
  }
  if (::geteuid() == 0 && ::chown(change.file.c_str(), before.st_uid, before.st_gid) != 0) {
    return fail_errno("chown " + change.file, errno);
  }
  return {};
}

// What can fail for what it says comes first; then routes' thresholds, then the file.
Result<std::string> apply(Client& client, const Fitted& fitted, const FitCommand& command) {
  const FitReport& report = fitted.report;
  const auto keys = changed_keys(report);
  if (report.result.plan.candidate != report.before.candidate && command.config.empty()) {
    return fail(ErrorCode::unsupported,
                "thresholds that were fitted for other weights are not applied without them",
                "give the tenant's file with --config, or write the lines and fit again");
  }
  ConfigChange change;
  if (!keys.empty() && !command.config.empty()) {
    auto prepared = prepare_config(command.config, keys);
    if (!prepared) return fail(prepared.error());
    change = std::move(*prepared);
  }
  if (!changed_routes(report).empty()) {
    if (Status applied = apply_thresholds(client, fitted); !applied) return fail(applied.error());
  }
  if (keys.empty()) return std::string("applied\n");
  if (change.file.empty()) {
    return std::string("routes' thresholds applied; the lines for the tenant's file are not\n");
  }
  if (Status written = write_config(change); !written) return fail(written.error());
  return "applied, " + change.file + " written\n";
}

Result<int> fit_routes(const Context& context, const FitCommand& command) {
  auto client = context.connect(command.tenant);
  if (!client) return fail(client.error());
  const auto fitted = fit(*client, command);
  if (!fitted) return fail(fitted.error());
  const FitReport& report = fitted->report;
  if (!context.options.json) {
    if (const auto printed = context.print(fit_text(report)); !printed) return printed;
  }
  std::string done;
  if (command.apply && report.result.is_better) {
    auto applied = apply(*client, *fitted, command);
    if (!applied) return fail(applied.error());
    done = std::move(*applied);
  } else if (report.result.is_better) {
    done = "nothing was changed: --apply does it\n";
  }
  if (!context.options.json) return context.print("\n" + done);
  Json json = fit_json(report);
  json["applied"] = command.apply && report.result.is_better;
  return context.print(json_text(json));
}

}  // namespace

void add_fit_command(CLI::App& routes, Context& context) {
  auto command = std::make_shared<FitCommand>();
  CLI::App* const fit =
      routes.add_subcommand("fit", "Propose thresholds and signal weights; change nothing yet");
  fit->add_option("TENANT", command->tenant, "Tenant id")->required();
  auto* const accuracy = fit->add_option("--objective", "accuracy: most right decisions (default)")
                             ->check(CLI::IsMember({"accuracy"}));
  fit->add_option("--out-of-scope-recall", command->recall,
                  "Instead: most right in scope while this share out of scope is refused")
      ->check(CLI::Range(0.0, 1.0))
      ->excludes(accuracy);
  fit->add_option("--data", command->data,
                  "Judge on labelled sentences, as routes evaluate reads them")
      ->type_name("FILE");
  fit->add_option("--folds", command->folds, "Of the cross-validation (5)")
      ->check(CLI::Range(2, 20));
  fit->add_option("--seed", command->seed, "Of the order of questions (1)");
  auto* const apply = fit->add_flag("--apply", command->apply, "Apply what is proposed");
  fit->add_option("--config", command->config, "With --apply: the tenant's file, to be changed too")
      ->type_name("FILE")
      ->needs(apply);
  fit->callback([&context, command] {
    context.action = [&context, command] { return fit_routes(context, *command); };
  });
}

}  // namespace tenantd
