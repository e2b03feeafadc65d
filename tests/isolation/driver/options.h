// Where the driver finds what it needs: command line of a folder of built files, or the build's
// environment.
#pragma once

#include <string>

namespace tenantd {

struct IsolationOptions {
  std::string probes;  // a directory with probe_<rule>
  std::string jail;    // the one that is shipped
  std::string mutant_jail;
  std::string golden;  // a directory; empty: nothing is compared
  std::string docs;    // docs/isolation-matrix.md; empty: not compared
  bool accept = false;
  bool quick = false;  // no layer alone: for emulated machines
};

[[nodiscard]] const IsolationOptions& isolation_options();
void set_isolation_options(const IsolationOptions& options);

}  // namespace tenantd
