#include "worker/example/classifier.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace tenantd::example {
namespace {

struct Topic {
  std::string_view name;
  std::array<std::string_view, 5> words;
};

constexpr std::array<Topic, 3> topics = {{
    {"billing", {"invoice", "refund", "charged", "payment", "price"}},
    {"shipping", {"parcel", "delivery", "package", "track", "late"}},
    {"account", {"password", "login", "email", "account", "profile"}},
}};

bool is_letter(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
char lowered(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool same_word(std::string_view text, std::string_view word) noexcept {
  return std::equal(text.begin(), text.end(), word.begin(), word.end(),
                    [](char a, char b) { return lowered(a) == b; });
}

bool contains(std::string_view text, std::string_view word) noexcept {
  for (auto at = text.begin(); at != text.end();) {
    const auto begin = std::find_if(at, text.end(), is_letter);
    at = std::find_if_not(begin, text.end(), is_letter);
    if (begin != at && same_word({begin, at}, word)) return true;
  }
  return false;
}

ScoredRoute score(const Topic& topic, std::string_view text) {
  const auto found = std::count_if(topic.words.begin(), topic.words.end(),
                                   [text](std::string_view word) { return contains(text, word); });
  ScoredRoute scored;
  scored.route = topic.name;
  scored.confidence = 1.0F - std::exp2(-static_cast<float>(found));
  scored.lexical_score = scored.confidence;
  scored.fused_score = scored.confidence;
  return scored;
}

}  // namespace

RouteReply classify(const RouteRequest& request, const RouterSettings& settings) {
  std::vector<ScoredRoute> scored;
  for (const Topic& topic : topics) {
    ScoredRoute one = score(topic, request.text);
    if (one.confidence > 0) scored.push_back(std::move(one));
  }
  std::stable_sort(scored.begin(), scored.end(), [](const ScoredRoute& a, const ScoredRoute& b) {
    return a.confidence > b.confidence;
  });
  RouteReply reply;
  reply.snapshot_version = 1;
  reply.is_fallback = scored.empty() || scored.front().confidence < settings.threshold;
  if (reply.is_fallback) {
    reply.reason = scored.empty() ? DecisionReason::no_signal : DecisionReason::below_threshold;
    reply.best.route = settings.fallback_route.view();
  } else {
    reply.best = scored.front();
    scored.erase(scored.begin());
  }
  scored.resize(std::min<std::size_t>(scored.size(), request.alternatives));
  reply.alternatives = std::move(scored);
  return reply;
}

}  // namespace tenantd::example
