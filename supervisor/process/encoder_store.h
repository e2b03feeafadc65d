// The models of tenantd.toml, compiled and kept where workers map them.
//
// Runs in: the supervisor, at its start, before it serves anybody: blocks for as long as compiling
// takes (some 50 ms for 30,000 pieces), and not at all for a model that has not changed. The
// supervisor parses nothing of a model: tenantd-encoder does, confined like a worker; what it
// leaves is copied, digested and looked at no further than its fixed header.
//
// <state_dir>/encoders/<name>/<digest>.model   read-only, of the supervisor's own
// <state_dir>/encoders/<name>/versions         what it was made from; the digests kept, newest
// first
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "supervisor/config/daemon_config.h"
#include "supervisor/launch/data_directory.h"
#include "supervisor/process/workforce.h"

namespace tenantd {

// The directory that a worker of a tenant with this encoder gets to see: all versions of it.
[[nodiscard]] std::string encoder_directory_path(const std::string& state_dir,
                                                 std::string_view name);

class EncoderStore {
 public:
  // Tells what it did, for the log.
  using Note = std::function<void(bool problem, const std::string& message)>;

  EncoderStore(Launcher& launcher, UidAllocator uids, const InstallationPaths& paths,
               LayerSet tolerated, Note note);

  // One entry an encoder, with its problem if it cannot be used.
  [[nodiscard]] std::vector<PreparedEncoder> prepare(const std::vector<EncoderConfig>& encoders);

 private:
  struct Versions {
    std::string stamp;
    std::vector<std::string> digests;  // newest first
  };
  [[nodiscard]] Result<PreparedEncoder> prepare_one(const EncoderConfig& encoder);
  [[nodiscard]] Status compile(const std::string& source);
  // Of the file in place, by its digest.
  [[nodiscard]] Result<std::string> take_over(const std::string& directory);
  [[nodiscard]] static Versions read_versions(const std::string& directory);
  [[nodiscard]] static Status write_versions(const std::string& directory,
                                             const Versions& versions);

  Launcher& launcher_;
  UidAllocator uids_;
  const InstallationPaths& paths_;
  LayerSet tolerated_;
  Note note_;
};

}  // namespace tenantd
