#include "supervisor/network/nftables.h"

#include <nftables/libnftables.h>

#include <memory>

namespace tenantd {

Status load_ruleset(const std::string& text) {
  const std::unique_ptr<nft_ctx, void (*)(nft_ctx*)> context(nft_ctx_new(NFT_CTX_DEFAULT),
                                                             nft_ctx_free);
  if (!context || nft_ctx_buffer_error(context.get()) != 0) {
    return fail(ErrorCode::internal, "packet filter: out of memory");
  }
  if (nft_run_cmd_from_buffer(context.get(), text.c_str()) == 0) return {};
  const char* const words = nft_ctx_get_error_buffer(context.get());
  std::string reason = words == nullptr ? "" : words;
  reason.resize(std::min(reason.find('\n'), reason.size()));
  return fail(ErrorCode::internal, "packet filter: " + reason);
}

}  // namespace tenantd
