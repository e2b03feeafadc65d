// Names that reading and expecting a posture share.
//
// Runs in: the supervisor.
#pragma once

#include <array>

#include "shared/contract/process_contract.h"

namespace tenantd::posture_facts {

struct NamespaceFact {
  const char* name;  // in /proc/<pid>/ns
  Layer layer;
};
inline constexpr std::array namespaces = {NamespaceFact{"cgroup", Layer::cgroup_namespace},
                                          NamespaceFact{"ipc", Layer::ipc_namespace},
                                          NamespaceFact{"mnt", Layer::mount_namespace},
                                          NamespaceFact{"net", Layer::network_namespace},
                                          NamespaceFact{"pid", Layer::pid_namespace},
                                          NamespaceFact{"user", Layer::user_namespace},
                                          NamespaceFact{"uts", Layer::uts_namespace}};

// Of cgroups(7): the controller whose hierarchy limits, in v1 and in v2.
struct ControllerFact {
  const char* fact;
  const char* v1;
  Layer layer;
};
inline constexpr std::array controllers = {
    ControllerFact{"cgroup_cpu", "cpu", Layer::cgroup_cpu},
    ControllerFact{"cgroup_memory", "memory", Layer::cgroup_memory},
    ControllerFact{"cgroup_pids", "pids", Layer::cgroup_pids},
    ControllerFact{"cgroup_io", "blkio", Layer::cgroup_io}};

}  // namespace tenantd::posture_facts
