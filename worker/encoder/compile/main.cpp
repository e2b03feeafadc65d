// tenantd-encoder: compiles the Model2Vec directory at /encoders into /data/model, and ends.
//
// Started by the supervisor through tenantd-jail, confined like a worker: the only program that
// parses a model's files. The reason of a failure is its last line on standard error. usage:
// tenantd-encoder [DIRECTORY OUTPUT]; the arguments are for development outside a sandbox.
#include <cstdio>
#include <string>

#include "shared/contract/process_contract.h"
#include "worker/encoder/compile/model_compiler.h"

int main(int argc, char** argv) {
  using namespace tenantd;
  if (argc != 1 && argc != 3) {
    std::fputs("usage: tenantd-encoder [DIRECTORY OUTPUT]\n", stderr);
    return 2;
  }
  const std::string directory = argc == 3 ? argv[1] : std::string(encoders_path);
  const std::string output =
      argc == 3 ? argv[2] : std::string(data_path) + '/' + std::string(compiler_data_files[0]);
  const Status compiled = compile_model_directory(directory, output);
  if (compiled) return static_cast<int>(ExitCode::clean);
  std::fprintf(stderr, "%s\n", compiled.error().describe().c_str());
  return static_cast<int>(ExitCode::failed);
}
