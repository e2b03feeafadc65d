#include "worker/handlers/page_handler.h"

#include <algorithm>
#include <string>
#include <utility>

#include "worker/handlers/translate.h"
#include "worker/router/tenant_router.h"

namespace tenantd {
namespace {

// Of a page's encoded payload. A route's head or one utterance is at most some 100 KiB by the
// router's own bounds, and at least one always goes in.
constexpr std::size_t page_budget_bytes = 32U << 10U;

std::size_t encoded_bytes(const UtteranceMessage& utterance) {
  return 16 + utterance.text.size() + utterance.encoder.size() + 4 * utterance.embedding.size();
}

RouteMessage head_of(const RouteBlock& block) {
  RouteMessage message;
  message.id = block.id;
  message.description = block.description;
  message.metadata = block.metadata;
  message.has_threshold = block.threshold.has_value();
  message.threshold = block.threshold.value_or(0.0F);
  message.has_margin = block.margin.has_value();
  message.margin = block.margin.value_or(0.0F);
  message.tags = block.tags;
  message.priority = block.priority;
  if (block.aggregation) {
    message.aggregation = static_cast<std::uint8_t>(static_cast<int>(*block.aggregation) + 1);
  }
  for (const Rule& rule : block.rules) message.rules.push_back(to_message(rule));
  return message;
}

std::size_t encoded_bytes(const RouteMessage& head) {
  std::size_t bytes = 57 + head.id.size() + head.description.size() + head.metadata.size();
  for (const std::string& tag : head.tags) bytes += 4 + tag.size();
  for (const RuleMessage& rule : head.rules) bytes += 6 + rule.text.size();
  return bytes;
}

UtteranceMessage utterance_of(const UtteranceChunk& chunk, std::size_t row, bool with_embedding) {
  UtteranceMessage message;
  message.text = chunk.texts[row];
  if (chunk.encoder.empty()) return message;
  message.encoder = chunk.encoder;
  if (with_embedding) {
    const auto vector = chunk.vectors.row(row);
    message.embedding.assign(vector.begin(), vector.end());
  }
  return message;
}

class PageBuilder {
 public:
  PageBuilder(const RoutesPageRequest& request, std::uint64_t version) : request_(request) {
    page_.snapshot_version = version;
  }

  // Adds `block` from its `first` utterance on. False: the page is full.
  [[nodiscard]] bool add(const RouteBlock& block, std::uint32_t first) {
    RouteListing listing;
    listing.route = head_of(block);
    listing.utterance_count = static_cast<std::uint32_t>(block.utterance_count);
    listing.memory_bytes = block.memory_bytes();
    const std::size_t head_bytes = encoded_bytes(listing.route);
    if (bytes_ > 0 && bytes_ + head_bytes > page_budget_bytes) return stop_before(first);
    bytes_ += head_bytes;
    page_.routes.push_back(std::move(listing));
    const bool complete = !request_.with_utterances || add_utterances(block, first);
    if (complete) page_.next_route = block.id;
    return complete;
  }
  [[nodiscard]] RoutesPage finish() && {
    if (!page_.more) page_.next_route.clear();
    return std::move(page_);
  }

 private:
  bool stop_before(std::uint32_t) {
    page_.more = true;  // next_route is the last whole route's, next_utterance 0
    return false;
  }
  bool add_utterances(const RouteBlock& block, std::uint32_t first) {
    auto& utterances = page_.routes.back().route.utterances;
    std::uint32_t index = 0;
    for (const auto& chunk : block.chunks) {
      const auto chunk_size = static_cast<std::uint32_t>(chunk->size());
      if (first >= index + chunk_size) {
        index += chunk_size;
        continue;
      }
      for (std::uint32_t row = first > index ? first - index : 0; row < chunk_size; ++row) {
        UtteranceMessage next = utterance_of(*chunk, row, request_.with_embeddings);
        const std::size_t bytes = encoded_bytes(next);
        if (!utterances.empty() && bytes_ + bytes > page_budget_bytes) {
          page_.more = true;
          page_.next_route = block.id;
          page_.next_utterance = index + row;
          return false;
        }
        bytes_ += bytes;
        utterances.push_back(std::move(next));
      }
      index += chunk_size;
    }
    return true;
  }

  const RoutesPageRequest& request_;
  RoutesPage page_;
  std::size_t bytes_ = 0;
};

Result<RoutesPage> page_of_one(const RouteSet& set, const RoutesPageRequest& request,
                               PageBuilder builder) {
  if (!request.after_route.empty() && request.after_route != request.only_route) {
    return fail_field("after_route", "must be only_route");
  }
  const auto found = set.find(request.only_route);
  if (!found) return fail(ErrorCode::not_found, "no route \"" + request.only_route + "\"");
  (void)builder.add(*set.routes[*found], request.after_utterance);
  return std::move(builder).finish();
}

}  // namespace

Result<RoutesPage> handle_page(const HandlerServices& services, const ExecutionContext& context,
                               const RoutesPageRequest& request) {
  if (services.router == nullptr) return fail(store_degraded_error(services.store));
  if (request.after_utterance > 0 && request.after_route.empty()) {
    return fail_field("after_utterance", "needs after_route");
  }
  const auto snapshot = services.router->snapshot(context);
  if (!snapshot) return tl::unexpected(snapshot.error());
  const RouteSet& set = *(*snapshot)->set;
  PageBuilder builder(request, (*snapshot)->version);
  if (!request.only_route.empty()) return page_of_one(set, request, std::move(builder));
  // With after_utterance the cursor's own route goes on; without, the first one behind it.
  const auto first =
      std::lower_bound(set.routes.begin(), set.routes.end(), request.after_route,
                       [](const auto& block, const std::string& id) { return block->id < id; });
  for (auto at = first; at != set.routes.end(); ++at) {
    const RouteBlock& block = **at;
    const bool is_cursor = block.id == request.after_route;
    if (is_cursor && request.after_utterance == 0) continue;
    if (!builder.add(block, is_cursor ? request.after_utterance : 0)) break;
  }
  return std::move(builder).finish();
}

}  // namespace tenantd
