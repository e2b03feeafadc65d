// An index on disk: what a restart needs so as not to build it again.
//
// Runs in: worker, editor thread, and before the loop runs. The file may be cut short, damaged, or
// of other routes: every number in it is checked before it is used, and whoever cannot read it
// builds the index again. It holds no vector and nothing that the database lacks.
#pragma once

#include <string>

#include "shared/base/error.h"
#include "worker/router/index/index_builder.h"

namespace tenantd {

// Blocking, durable. Errors: those of SnapshotWriter.
[[nodiscard]] Status write_index_file(const std::string& path, const IndexImage& image);
// Errors: those of SnapshotFile::open(); not_found also for one that is damaged.
[[nodiscard]] Result<IndexImage> read_index_file(const std::string& path);

}  // namespace tenantd
