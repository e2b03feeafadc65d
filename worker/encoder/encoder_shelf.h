// The encoders that this worker can use, by the id that vectors are stored with.
//
// Runs in: worker. "hash-v1" is built in; "name@digest" is a compiled model in the directory that
// the supervisor has bound into the root. Any other id names an encoder of somebody else's: its
// vectors come with requests.
#pragma once

#include <string>
#include <string_view>

#include "worker/encoder/encoder.h"

namespace tenantd {

class EncoderShelf {
 public:
  // Whose models the directory holds: those of one encoder, or of each below its name.
  enum class Layout : std::uint8_t { one, by_name };
  // Empty: nothing but what is built in.
  explicit EncoderShelf(std::string directory = {}, Layout layout = Layout::one)
      : directory_(std::move(directory)), layout_(layout) {}

  // Null: not here. Blocks for as long as mapping a file takes. Errors: invalid_config (the model
  // is broken), wrong_dimension (it makes vectors of another length), internal.
  [[nodiscard]] Result<EncoderPtr> open(std::string_view id, std::uint32_t dimension) const;

 private:
  std::string directory_;
  Layout layout_;
};

}  // namespace tenantd
