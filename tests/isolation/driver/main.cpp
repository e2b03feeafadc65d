// The driver of the escape probes: what each layer of the confinement stops, and what a mutation of
// it lets through.
//
// Runs as root for everything, as any user for what user namespaces allow. Needs no build tree:
// --probes DIR --jail PATH --mutant-jail PATH --golden DIR, or TENANTD_PROBES, TENANTD_JAIL,
// TENANTD_MUTANT_JAIL, TENANTD_ISOLATION_GOLDEN. --quick or TENANTD_ISOLATION_QUICK tries no layer
// alone. Other options are doctest's.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string_view>

#include "tests/isolation/driver/options.h"
#include "tests/isolation/driver/victims.h"

namespace tenantd {
namespace {

struct Source {
  const char* option;
  const char* variable;
  std::string IsolationOptions::*member;
};
constexpr Source sources[] = {
    {"--probes", "TENANTD_PROBES", &IsolationOptions::probes},
    {"--jail", "TENANTD_JAIL", &IsolationOptions::jail},
    {"--mutant-jail", "TENANTD_MUTANT_JAIL", &IsolationOptions::mutant_jail},
    {"--golden", "TENANTD_ISOLATION_GOLDEN", &IsolationOptions::golden},
    {"--docs", "TENANTD_ISOLATION_DOCS", &IsolationOptions::docs}};

IsolationOptions& mutable_options() {
  static IsolationOptions options;
  return options;
}

}  // namespace

const IsolationOptions& isolation_options() { return mutable_options(); }
void set_isolation_options(const IsolationOptions& options) { mutable_options() = options; }

}  // namespace tenantd

int main(int count, char** arguments) {
  using namespace tenantd;
  IsolationOptions& options = mutable_options();
  options.accept = std::getenv("TENANTD_ACCEPT_GOLDEN") != nullptr;
  options.quick = std::getenv("TENANTD_ISOLATION_QUICK") != nullptr;
  for (const Source& source : sources) {
    if (const char* value = std::getenv(source.variable)) options.*source.member = value;
    for (int i = 1; i + 1 < count; ++i) {
      if (std::string_view(arguments[i]) == source.option) {
        options.*source.member = arguments[i + 1];
      }
    }
  }
  for (int i = 1; i < count; ++i) {
    if (std::string_view(arguments[i]) == "--accept") options.accept = true;
    if (std::string_view(arguments[i]) == "--quick") options.quick = true;
  }
  if (options.probes.empty() || options.jail.empty() || options.mutant_jail.empty()) {
    std::cerr << "usage: isolation_matrix --probes DIR --jail PATH --mutant-jail PATH "
                 "[--golden DIR] [--docs FILE] [--accept] [--quick]\n";
    return 2;
  }
  if (!enter_own_namespaces() && ::geteuid() == 0) {
    std::cout << "skipped: root without the capabilities for namespaces of its own\n";
    return 0;
  }
  doctest::Context context(count, arguments);
  return context.run();
}
