#include "client/tenantctl/format/reports.h"

#include <array>
#include <cstdio>

#include "client/tenantctl/format/physical_text.h"
#include "client/tenantctl/format/printable.h"
#include "client/tenantctl/format/table.h"
#include "client/tenantctl/routes/rule_lines.h"
#include "shared/base/clock.h"
#include "shared/base/units.h"
#include "shared/protocol/json.h"

namespace tenantd {
namespace {

std::string joined(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (const std::string& part : parts) {
    if (!out.empty()) out += separator;
    out += part;
  }
  return out;
}

Color color_of_state(std::string_view state) {
  if (state == "running") return Color::good;
  if (state == "quarantined" || state == "refused") return Color::bad;
  if (state == "sleeping") return Color::none;
  return Color::warning;
}

std::string memory_of(const TenantInfo& tenant) {
  if (!tenant.has_memory) return "-";
  std::string out = format_size(tenant.memory_bytes);
  if (tenant.memory_max_bytes != 0) out += "/" + format_size(tenant.memory_max_bytes);
  return out;
}

std::string cpu_of(const TenantInfo& tenant) {
  if (tenant.cpu_quota_millicores == 0) return "-";
  std::string out = std::to_string(tenant.cpu_quota_millicores / 10);
  if (tenant.cpu_quota_millicores % 10 != 0) {
    out += "." + std::to_string(tenant.cpu_quota_millicores % 10);
  }
  return out + "%";
}

Cell confinement_of(const TenantInfo& tenant) {
  if (tenant.pid == 0) return "-";
  if (tenant.missing_confinement.empty()) return {"full", Color::good};
  return {"missing: " + joined(tenant.missing_confinement, ", "), Color::warning};
}

std::string reason_of(const TenantInfo& tenant) {
  std::vector<std::string> parts;
  if (!tenant.reason.empty()) parts.push_back(tenant.reason);
  if (tenant.retry_in_ms != 0) {
    parts.push_back("next start in " + format_duration(tenant.retry_in_ms));
  }
  if (!tenant.config_error.empty()) {
    parts.push_back(tenant.state == "refused" ? tenant.config_error
                                              : "new file ignored: " + tenant.config_error);
  }
  if (tenant.store_degraded) parts.push_back("store degraded: " + tenant.store_reason);
  return joined(parts, "; ");
}

std::string number_text(double value, const char* format) {
  std::array<char, 64> text{};
  (void)std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

std::string seconds_of(std::uint64_t us) {
  return number_text(static_cast<double>(us) / 1e6, "%.2f s");
}

std::string pressure_of(bool known, std::uint32_t hundredths) {
  if (!known) return "unavailable (needs cgroup v2)";
  return number_text(static_cast<double>(hundredths) / 100, "%.2f%% of the last 10 s");
}

std::string deaths_of(const TenantInfo& tenant) {
  std::string out = std::to_string(tenant.restarts);
  if (tenant.oom_deaths == 0) return out;
  out += ", out of memory " + std::to_string(tenant.oom_deaths);
  return tenant.oom_peak_bytes == 0 ? out : out + ", peak " + format_size(tenant.oom_peak_bytes);
}

std::string score(float value) { return number_text(static_cast<double>(value), "%.3f"); }

// "name   value" lines, aligned; empty values are left out.
class Facts {
 public:
  void add(std::string_view name, std::string_view value) {
    if (value.empty()) return;
    out_ += name;
    out_.append(name.size() < 16 ? 16 - name.size() : 1, ' ');
    out_ += printable(value);
    out_ += '\n';
  }
  void add_painted(std::string_view name, std::string_view value, Color color, bool colored) {
    out_ += name;
    out_.append(name.size() < 16 ? 16 - name.size() : 1, ' ');
    out_ += painted(printable(value), color, colored);
    out_ += '\n';
  }
  [[nodiscard]] const std::string& text() const noexcept { return out_; }

 private:
  std::string out_;
};

std::string_view reason_name(DecisionReason reason) {
  switch (reason) {
    case DecisionReason::matched:
      return "matched";
    case DecisionReason::below_threshold:
      return "the best confidence is below the threshold";
    case DecisionReason::no_routes:
      return "the tenant has no routes";
    case DecisionReason::no_signal:
      return "nothing resembles any route";
    case DecisionReason::ambiguous:
      return "the second route is nearer than the margin";
    case DecisionReason::excluded:
      return "the filter and the rules left no route";
  }
  return "unknown";
}

std::string threshold_of(const RouteMessage& route) {
  return route.has_threshold ? score(route.threshold) : "-";
}

}  // namespace

std::string json_text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json error_json(const Error& error) {
  Json json;
  json["code"] = error_code_name(error.code);
  json["message"] = error.message;
  json["tenant"] = error.tenant;
  json["field"] = error.field;
  json["file"] = error.file;
  json["line"] = error.line;
  json["hint"] = error.hint;
  json["retry_after_ms"] = error.retry_after_ms;
  return json;
}

std::string error_text(const Error& error) {
  return "tenantctl: " + printable(error.describe()) + "\n";
}

std::string format_duration(std::uint64_t ms) {
  const std::uint64_t seconds = ms / 1000;
  const auto two = [](std::uint64_t big, const char* big_unit, std::uint64_t small,
                      const char* small_unit) {
    return std::to_string(big) + big_unit + " " + std::to_string(small) + small_unit;
  };
  if (seconds >= 86'400) return two(seconds / 86'400, "d", seconds % 86'400 / 3600, "h");
  if (seconds >= 3600) return two(seconds / 3600, "h", seconds % 3600 / 60, "m");
  if (seconds >= 60) return two(seconds / 60, "m", seconds % 60, "s");
  return std::to_string(seconds) + "s";
}

std::string daemon_text(const AdminDaemon& daemon, bool colored) {
  std::string out =
      "tenantd " + printable(daemon.version) + ", pid " + std::to_string(daemon.pid) + ", up " +
      format_duration(daemon.uptime_ms) + ": " + std::to_string(daemon.running) + " of " +
      std::to_string(daemon.tenants) + (daemon.tenants == 1 ? " tenant" : " tenants") +
      " running; cgroups " + printable(daemon.cgroup_mode) +
      (daemon.cgroup_writer.empty() ? "" : " (" + printable(daemon.cgroup_writer) + ")") +
      (daemon.privileged ? "" : "; without privileges") + "\n";
  if (!daemon.missing_confinement.empty()) {
    out +=
        painted("PROTECTION IS WEAKENED: this host lacks " +
                    printable(joined(daemon.missing_confinement, ", ")) + "; workers run without",
                Color::bad, colored) +
        "\n";
  }
  if (!daemon.bonus_confinement.empty()) {
    out += "beyond what is required: " + printable(joined(daemon.bonus_confinement, ", ")) + "\n";
  }
  const std::string set_aside = set_aside_text(daemon);
  if (!set_aside.empty()) out += printable(set_aside) + "\n";
  if (daemon.pending_removals != 0) {
    out += painted(std::to_string(daemon.pending_removals) +
                       " removals wait for confirmation: tenantctl reload --confirm-removal",
                   Color::warning, colored) +
           "\n";
  }
  out += verifications_line(daemon, colored);
  if (!daemon.warning.empty()) {
    out += painted("warning: " + printable(daemon.warning), Color::warning, colored) + "\n";
  }
  return out;
}

std::string tenants_text(const std::vector<TenantInfo>& tenants, bool colored) {
  if (tenants.empty()) return "no tenants\n";
  Table table({"TENANT", "STATE", "WORKER", "PID", "MEMORY", "CPU", "ROUTES", "REQUESTS",
               "CONFINEMENT", "REASON"});
  for (const TenantInfo& tenant : tenants) {
    // What a shared worker counts is not this tenant's.
    const bool known = tenant.pid != 0 && tenant.worker_id.empty();
    table.add({tenant.id, Cell(tenant.state, color_of_state(tenant.state)),
               tenant.worker_id.empty() ? "own" : tenant.worker_id,
               tenant.pid != 0 ? std::to_string(tenant.pid) : "-", memory_of(tenant),
               cpu_of(tenant), known ? std::to_string(tenant.routes) : "-",
               known ? std::to_string(tenant.requests) : "-", confinement_of(tenant),
               reason_of(tenant)});
  }
  return table.text(colored);
}

namespace {

// Of a process that is the tenant's alone.
void add_own_worker(const TenantInfo& tenant, Facts& facts) {
  facts.add("memory",
            memory_of(tenant) +
                (tenant.has_memory ? ", peak " + format_size(tenant.memory_peak_bytes) : ""));
  if (tenant.pid != 0) {
    facts.add("memory pressure",
              pressure_of(tenant.has_memory_pressure, tenant.memory_pressure) +
                  (tenant.memory_high_events == 0
                       ? ""
                       : ", slowed " + std::to_string(tenant.memory_high_events) + " times"));
  }
  facts.add("cpu", "quota " + cpu_of(tenant) + ", used " + seconds_of(tenant.cpu_usage_us) +
                       ", throttled " + seconds_of(tenant.throttled_us) + " in " +
                       std::to_string(tenant.throttled_periods) + " periods");
  if (tenant.pid != 0) {
    facts.add("cpu pressure", pressure_of(tenant.has_cpu_pressure, tenant.cpu_pressure));
  }
  facts.add("dedicated CPUs", dedicated_cpus_text(tenant));
  facts.add("NUMA node", tenant.numa_nodes);
  facts.add("guaranteed", guaranteed_text(tenant));
  if (tenant.pids_max != 0) {
    facts.add("pids", std::to_string(tenant.pids_now) + "/" + std::to_string(tenant.pids_max));
  }
}

void add_requests(const TenantInfo& tenant, Facts& facts) {
  facts.add("routes", std::to_string(tenant.routes) + " with " + std::to_string(tenant.utterances) +
                          " utterances");
  facts.add("requests",
            std::to_string(tenant.requests) + ", errors " + std::to_string(tenant.errors));
  facts.add("attachments", std::to_string(tenant.attachments) + ", peer faults " +
                               std::to_string(tenant.peer_faults));
}

}  // namespace

std::string tenant_detail_text(const TenantInfo& tenant, bool colored) {
  Facts facts;
  facts.add("tenant", tenant.id);
  facts.add("name", tenant.name);
  facts.add("plan", tenant.plan + ", isolation " + tenant.isolation_level);
  facts.add_painted("state", tenant.state, color_of_state(tenant.state), colored);
  facts.add("reason", reason_of(tenant));
  if (tenant.pid != 0) {
    facts.add("worker", (tenant.worker_id.empty() ? "" : "shared, " + tenant.worker_id + ", ") +
                            "pid " + std::to_string(tenant.pid) + ", generation " +
                            std::to_string(tenant.generation) + ", up " +
                            format_duration(tenant.uptime_ms));
  }
  facts.add("user", "uid " + std::to_string(tenant.uid) +
                        (tenant.shared_uid ? ", shared with all tenants (no privileges)" : ""));
  facts.add("deaths", deaths_of(tenant));
  if (tenant.worker_id.empty()) add_own_worker(tenant, facts);
  const Cell confinement = confinement_of(tenant);
  facts.add_painted("confinement", confinement.text, confinement.color, colored);
  facts.add("layers", joined(tenant.confinement, ", "));
  facts.add("not enforced", joined(tenant.not_enforced, ", "));
  if (tenant.worker_id.empty() && tenant.pid != 0) add_requests(tenant, facts);
  return facts.text();
}

std::string posture_text(const AdminPosture& posture, bool colored) {
  std::string out = printable(posture.tenant) + ": " +
                    (posture.as_expected ? painted("as expected", Color::good, colored)
                                         : painted("NOT as expected", Color::bad, colored)) +
                    "\n";
  for (const std::string& deviation : posture.deviations) {
    out += painted("  ! " + printable(deviation), Color::bad, colored) + "\n";
  }
  for (const std::string& fact : posture.facts) out += "  " + printable(fact) + "\n";
  return out;
}

std::string log_entry_text(const LogEntry& entry) {
  std::string out;
  if (entry.suppressed_before != 0) {
    out += "(" + std::to_string(entry.suppressed_before) + " lines dropped: too many a second)\n";
  }
  return out + format_utc(entry.time_ms) + " [" + std::to_string(entry.generation) + "] " +
         printable(entry.text) + "\n";
}

std::string events_text(const std::vector<EventInfo>& events) {
  if (events.empty()) return "no events\n";
  Table table({"TIME", "EVENT", "TENANT", "PID", "DETAIL"});
  for (const EventInfo& event : events) {
    table.add({format_utc(event.time_ms), event.event, event.tenant.empty() ? "-" : event.tenant,
               event.pid == 0 ? "-" : std::to_string(event.pid), event.detail});
  }
  return table.text(false);
}

std::string route_reply_text(const RouteReply& reply, double latency_us, bool colored) {
  Facts facts;
  facts.add_painted("route", reply.best.route + (reply.is_fallback ? " (fallback)" : ""),
                    reply.is_fallback ? Color::warning : Color::good, colored);
  if (reply.is_fallback) facts.add("reason", reason_name(reply.reason));
  if (reply.source == AnswerSource::cached) facts.add("source", "remembered");
  if (reply.source == AnswerSource::similar) {
    facts.add("source", "remembered from a similar query (" + score(reply.source_similarity) + ")");
  }
  facts.add("latency", number_text(latency_us, "%.0f µs"));
  if (!reply.utterance.empty()) {
    facts.add("nearest", "\"" + reply.utterance + "\" (" + score(reply.utterance_similarity) + ")");
  }
  std::vector<std::string> words;
  for (const MatchedWord& word : reply.words) words.push_back(word.word + " " + score(word.weight));
  facts.add("words", joined(words, ", "));
  for (const MatchedRuleMessage& matched : reply.rules) {
    facts.add("rule", rule_text(matched.rule) + " of " + matched.route);
  }
  std::vector<std::string> also;
  for (const ScoredRoute& route : reply.also) also.push_back(route.route);
  facts.add("also", joined(also, ", "));
  Table table({"ROUTE", "CONFIDENCE", "DENSE", "LEXICAL", "FUSED", "RULES"});
  const auto row = [&table](const ScoredRoute& route) {
    table.add({route.route, score(route.confidence), score(route.dense_score),
               score(route.lexical_score), score(route.fused_score), score(route.rule_score)});
  };
  row(reply.best);
  for (const ScoredRoute& route : reply.also) row(route);
  for (const ScoredRoute& route : reply.alternatives) row(route);
  return facts.text() + "\n" + table.text(colored);
}

std::string memory_text(std::uint64_t bytes) {
  return number_text(static_cast<double>(bytes) / 1024, "%.1f KiB");
}

std::string routes_text(const std::vector<RouteListing>& routes) {
  if (routes.empty()) return "no routes\n";
  Table table({"ROUTE", "UTTERANCES", "MEMORY", "THRESHOLD", "TAGS", "DESCRIPTION"});
  for (const RouteListing& listing : routes) {
    table.add({listing.route.id, std::to_string(listing.utterance_count),
               memory_text(listing.memory_bytes), threshold_of(listing.route),
               joined(listing.route.tags, ","),
               shortened(printable(listing.route.description), 60)});
  }
  return table.text(false);
}

std::string route_detail_text(const RouteListing& listing) {
  const RouteMessage& route = listing.route;
  Facts facts;
  facts.add("route", route.id);
  facts.add("description", route.description);
  facts.add("threshold", route.has_threshold ? score(route.threshold) : "the tenant's");
  if (route.has_margin) facts.add("margin", score(route.margin));
  facts.add("tags", joined(route.tags, ", "));
  if (route.priority != 0) facts.add("priority", std::to_string(route.priority));
  facts.add("aggregation", aggregation_name_of(route.aggregation));
  for (const RuleMessage& rule : route.rules) facts.add("rule", rule_text(rule));
  facts.add("metadata", route.metadata);
  facts.add("utterances", std::to_string(listing.utterance_count));
  facts.add("memory", memory_text(listing.memory_bytes));
  std::string out = facts.text();
  for (const UtteranceMessage& utterance : route.utterances) {
    out += "  " +
           (utterance.text.empty() ? std::string("(embedding only)") : printable(utterance.text)) +
           "\n";
  }
  return out;
}

}  // namespace tenantd
