#include "supervisor/verify/posture_probes.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace tenantd;

namespace {

const ProbeRow& row_named(std::string_view name) {
  const auto rows = probe_rows();
  const auto found =
      std::find_if(rows.begin(), rows.end(), [name](const auto& row) { return row.name == name; });
  REQUIRE(found != rows.end());
  return *found;
}

LayerSet only(Layer layer) {
  LayerSet layers;
  layers.add(layer);
  return layers;
}

}  // namespace

TEST_CASE("each fact belongs to the row that is about it") {
  const auto owner = [](std::string_view fact) { return row_of_fact(fact)->name; };
  CHECK(owner("ns_net: expected own, is host") == "network.namespace");
  CHECK(owner("uid_map: expected 0 1 1, is absent") == "process.user_namespace");
  CHECK(owner("seccomp_filters") == "process.system_call_filter");
  CHECK(owner("cgroup memory.max") == "resource.memory_group");
  CHECK(owner("cgroup_cpu") == "resource.cpu_group");
  CHECK(owner("mount /data") == "database.mounts");
  CHECK(owner("limit_nofile") == "resource.limits");
  CHECK(owner("gid") == "process.own_uid");
  CHECK(owner("something new") == "process.surroundings");
}

TEST_CASE("a deviation fails exactly its row") {
  Posture posture;
  posture.facts = {{"ns_net", "host"}, {"ns_pid", "own pid:[1]"}, {"umask", "0022"}};
  const ExpectedPosture expected = {{"ns_net", "own"}, {"ns_pid", "own"}, {"umask", "0077"}};
  const auto deviations = posture_deviations(posture, expected);
  REQUIRE(deviations.size() == 2);
  const auto outcome = [&](std::string_view name) {
    return probe_posture(row_named(name), posture, expected, deviations).outcome;
  };
  CHECK(outcome("network.namespace") == ProbeOutcome::failed);
  CHECK(outcome("process.surroundings") == ProbeOutcome::failed);
  CHECK(outcome("process.pid_namespace") == ProbeOutcome::passed);
  CHECK(outcome("resource.limits") == ProbeOutcome::not_applicable);
}

TEST_CASE("what only the program can do is not promised of a tenant's own, the rest is") {
  Posture posture;
  posture.facts = {
      {"dumpable", "yes"}, {"seccomp", "2"}, {"seccomp_filters", "1"}, {"umask", "0077"}};
  const ExpectedPosture expected = {
      {"dumpable", "no"}, {"seccomp", "2"}, {"seccomp_filters", "2"}, {"umask", "0077"}};
  const auto found = [&](std::string_view name) {
    auto deviations = posture_deviations(posture, expected);
    const auto duties = take_duties_of_program(deviations);
    const ProbeRow& row = row_named(name);
    return without_duties(row, probe_posture(row, posture, expected, deviations), duties);
  };
  const Finding filters = found("process.system_call_filter");
  CHECK(filters.outcome == ProbeOutcome::not_promised);
  CHECK(filters.evidence == "not promised (own program): seccomp_filters: expected 2, is 1");
  CHECK(found("process.surroundings").outcome == ProbeOutcome::not_promised);
  // What the launcher does is promised of every program, whatever that does itself.
  posture.facts["umask"] = "0022";
  CHECK(found("process.surroundings").outcome == ProbeOutcome::failed);
  posture.facts["seccomp_filters"] = "0";
  CHECK(found("process.system_call_filter").outcome == ProbeOutcome::failed);
  posture.facts["seccomp_filters"] = "2";
  CHECK(found("process.system_call_filter").outcome == ProbeOutcome::passed);
  posture.facts["seccomp"] = "0";
  CHECK(found("process.system_call_filter").outcome == ProbeOutcome::failed);
  posture.facts.erase("seccomp_filters");
  CHECK(found("process.system_call_filter").outcome == ProbeOutcome::failed);
}

TEST_CASE("what cannot be read has not passed") {
  Posture posture;
  posture.facts = {{"ns_pid", std::string(unreadable_fact)}};
  const Finding finding =
      probe_posture(row_named("process.pid_namespace"), posture, {{"ns_pid", "own"}}, {});
  CHECK(finding.outcome == ProbeOutcome::not_applicable);
  CHECK(finding.evidence == unreadable_fact);
}

TEST_CASE("a missing layer is a failure unless root tolerates it or the file asks for none") {
  const ProbeRow& row = row_named("network.namespace");
  PromiseBounds bounds;
  bounds.applied = LayerSet::all();
  CHECK(promise_of(row, bounds).outcome == ProbeOutcome::passed);
  bounds.applied.remove(Layer::network_namespace);
  CHECK(promise_of(row, bounds).outcome == ProbeOutcome::failed);
  bounds.tolerated = only(Layer::network_namespace);
  const Finding tolerated = promise_of(row, bounds);
  CHECK(tolerated.outcome == ProbeOutcome::not_promised);
  CHECK(tolerated.evidence == "not promised here: network_namespace is tolerated as missing");
  bounds.tolerated = {};
  bounds.unwanted = only(Layer::network_namespace);
  CHECK(promise_of(row, bounds).outcome == ProbeOutcome::not_promised);
}
