#include "client/tenantctl/routes/edit_batches.h"

#include <algorithm>
#include <utility>

#include "shared/protocol/frame.h"

namespace tenantd {
namespace {

constexpr std::size_t count_bytes = 4;
constexpr std::size_t padding_bytes = 3;  // before the floats, at most
constexpr std::size_t max_utterances = 4096;

std::size_t head_bytes(const RouteMessage& route) noexcept {
  std::size_t bytes = 1 + 5 * count_bytes + 1 + sizeof(float) + route.id.size() +
                      route.description.size() + route.metadata.size();
  for (const std::string& tag : route.tags) bytes += count_bytes + tag.size();
  bytes += sizeof route.priority + sizeof route.aggregation + count_bytes + 1 + sizeof(float);
  for (const RuleMessage& rule : route.rules) bytes += 2 + count_bytes + rule.text.size();
  return bytes;
}

tl::unexpected<Error> too_long(std::string message) {
  return fail(ErrorCode::invalid_argument, std::move(message));
}

}  // namespace

BatchLimits batch_limits(std::uint32_t max_batch_size) noexcept {
  return {max_frame_bytes - count_bytes, std::clamp<std::size_t>(max_batch_size, 1, 1024)};
}

std::size_t utterance_bytes(const UtteranceMessage& utterance) noexcept {
  return 3 * count_bytes + padding_bytes + utterance.text.size() +
         utterance.embedding.size() * sizeof(float) + utterance.encoder.size();
}

std::size_t edit_bytes(const RouteEditMessage& edit) noexcept {
  std::size_t bytes = head_bytes(edit.route);
  for (const UtteranceMessage& utterance : edit.route.utterances)
    bytes += utterance_bytes(utterance);
  return bytes;
}

Result<std::vector<RouteEditMessage>> split_route(RouteMessage route, EditKind kind,
                                                  const BatchLimits& limits) {
  std::vector<UtteranceMessage> rest = std::exchange(route.utterances, {});
  std::vector<RouteEditMessage> edits;
  RouteEditMessage edit{kind, std::move(route)};
  std::size_t bytes = edit_bytes(edit);
  if (bytes > limits.max_bytes) return too_long("the route does not fit one message");
  for (std::size_t i = 0; i < rest.size(); ++i) {
    const std::size_t more = utterance_bytes(rest[i]);
    if (bytes + more > limits.max_bytes || edit.route.utterances.size() == max_utterances) {
      if (edit.route.utterances.empty()) {
        return too_long("utterance " + std::to_string(i + 1) + " does not fit one message");
      }
      RouteEditMessage next{EditKind::add_utterances, {}};
      next.route.id = edit.route.id;
      edits.push_back(std::exchange(edit, std::move(next)));
      bytes = edit_bytes(edit);
      if (bytes + more > limits.max_bytes) {
        return too_long("utterance " + std::to_string(i + 1) + " does not fit one message");
      }
    }
    bytes += more;
    edit.route.utterances.push_back(std::move(rest[i]));
  }
  edits.push_back(std::move(edit));
  return edits;
}

bool EditBatcher::fits(const RouteEditMessage& edit) const noexcept {
  return batch_.edits.size() < limits_.max_edits && bytes_ + edit_bytes(edit) <= limits_.max_bytes;
}

void EditBatcher::add(RouteEditMessage edit) {
  bytes_ += edit_bytes(edit);
  batch_.edits.push_back(std::move(edit));
}

RoutesEdit EditBatcher::take() {
  bytes_ = 0;
  return std::exchange(batch_, {});
}

}  // namespace tenantd
