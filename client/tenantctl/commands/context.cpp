#include "client/tenantctl/commands/context.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>

#include "shared/protocol/hello.h"

namespace tenantd {
namespace {

// A token file holds the raw bytes. One written as a line of text loses its newline.
std::string without_line_end(std::string token) {
  const auto is_text = [](char c) { return c > ' ' && c < '\x7f'; };
  if (token.ends_with('\n') && std::all_of(token.begin(), token.end() - 1, is_text)) {
    token.pop_back();
  }
  return token;
}

}  // namespace

Result<std::string> read_input(const std::string& file, std::size_t max_bytes) {
  std::ifstream opened;
  if (file != "-") {
    opened.open(file, std::ios::binary);
    if (!opened) {
      Error error;
      error.code = ErrorCode::not_found;
      error.file = file;
      error.message = "cannot be opened";
      return fail(std::move(error));
    }
  }
  std::istream& in = file == "-" ? std::cin : opened;
  std::string text(max_bytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() <= max_bytes) return text;
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.file = file;
  error.message = "is longer than " + std::to_string(max_bytes) + " bytes";
  return fail(std::move(error));
}

Result<ConnectOptions> Context::connect_options() const {
  ConnectOptions connect;
  connect.socket_path = options.socket_path;
  connect.timeout_ms = options.timeout_ms;
  connect.transport = options.transport == "stream" ? Transport::stream : Transport::ring;
  if (!options.token_file.empty()) {
    auto token = read_input(options.token_file, Hello::token_max_bytes + 1);
    if (!token) return fail(token.error());
    connect.token = without_line_end(std::move(*token));
  }
  return connect;
}

Result<Client> Context::connect(const std::string& tenant) const {
  auto connect = connect_options();
  if (!connect) return fail(connect.error());
  return Client::open(tenant, std::move(*connect));
}

Result<AdminClient> Context::connect_admin() const {
  auto connect = connect_options();
  if (!connect) return fail(connect.error());
  return AdminClient::open(std::move(*connect));
}

bool Context::colored() const {
  return !options.no_color && !options.json && std::getenv("NO_COLOR") == nullptr &&
         ::isatty(STDOUT_FILENO) == 1;
}

Result<int> Context::print(std::string_view text) const {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (written && std::fflush(stdout) == 0) return 0;
  return fail(ErrorCode::internal, "the output cannot be written");
}

void show_progress(const char* what, std::size_t done, std::size_t all) {
  if (::isatty(STDERR_FILENO) == 0) return;
  std::fprintf(stderr, "\r%s %zu of %zu", what, done, all);
  if (done == all) std::fprintf(stderr, "\r\033[K");
}

Result<std::vector<LabelledQuery>> read_labelled_file(const std::string& file) {
  if (file == "-") return read_labelled_queries(std::cin, "(standard input)");
  std::ifstream in(file, std::ios::binary);
  if (in) return read_labelled_queries(in, file);
  Error error;
  error.code = ErrorCode::not_found;
  error.file = file;
  error.message = "cannot be read";
  return fail(std::move(error));
}

}  // namespace tenantd
