// Utterances of a route set, asked as if they were queries that the set has never seen.
//
// Runs in: worker, editor thread. Borrows the set, the settings and the searcher.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "shared/contract/tenant_settings.h"
#include "worker/router/kernels/quantise.h"
#include "worker/router/route_set.h"
#include "worker/router/scorer.h"
#include "worker/router/searcher.h"

namespace tenantd {

class LeaveOneOut {
 public:
  struct Asked {
    std::uint32_t route = 0;     // that the utterance belongs to
    std::uint32_t in_route = 0;  // which one of it
    std::size_t siblings = 0;    // utterances of the route that have what this one has, itself too
    SignalScores without;        // with its own route, which does not hold it
    SignalScores with;           // with its own route as it is
  };

  LeaveOneOut(const RouteSet& set, Searcher& searcher) : set_(set), searcher_(searcher) {}

  // Reads each vector of the set once for all `utterances`, not more than
  // Searcher::queries_at_once(). `settings` are borrowed.
  void scan(const RouterSettings& settings, std::span<const std::uint32_t> utterances);
  // As Searcher::aggregate(), after scan(); `settings` are borrowed.
  void aggregate(const RouterSettings& settings);
  // Number `i` of the last scan(); selects it in the searcher, whose best() then holds for it.
  [[nodiscard]] Asked select(std::size_t i);

 private:
  struct Prepared {
    std::uint32_t route = 0;
    std::uint32_t in_route = 0;
    std::size_t siblings = 0;
    QuantisedQuery codes;
    TokenList words;
    std::vector<QueryWord> distinct;
  };
  [[nodiscard]] QuerySignals prepare(std::uint32_t utterance, Prepared& prepared);

  const RouteSet& set_;
  const RouterSettings* settings_ = nullptr;
  Searcher& searcher_;
  Scorer scorer_;
  std::vector<Prepared> prepared_;
  std::vector<QuerySignals> signals_;
};

// Calls `take` with up to Searcher::queries_at_once() of `count` utterances at a time, evenly
// spread over the set's.
void for_each_sample(const RouteSet& set, std::size_t count,
                     const std::function<void(std::span<const std::uint32_t>)>& take);

}  // namespace tenantd
