// Files in, file out: the part of the compiler that touches the disk.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "worker/encoder/compile/model_compiler.h"

namespace tenantd {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) (void)::close(fd_);
  }
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

struct Unmap {
  std::size_t size = 0;
  void operator()(void* address) const noexcept { (void)::munmap(address, size); }
};

// A whole file, mapped.
struct SourceFile {
  std::unique_ptr<void, Unmap> mapping;
  std::span<const std::byte> bytes;
};

Result<SourceFile> map_source(const std::string& directory, const char* name, std::size_t most) {
  const auto refuse = [name](ErrorCode code, const std::string& why) {
    return fail(code, std::string(name) + ": " + why);
  };
  const std::string path = directory + '/' + name;
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (fd.get() < 0) {
    const int saved_errno = errno;
    if (saved_errno == ENOENT) return refuse(ErrorCode::not_found, "no such file");
    if (saved_errno == EACCES) {
      return refuse(ErrorCode::permission_denied, "cannot be read by others (chmod o+r)");
    }
    return fail_errno(name, saved_errno);
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return fail_errno(name, errno);
  if (!S_ISREG(info.st_mode)) return refuse(ErrorCode::invalid_config, "is not a regular file");
  const auto size = static_cast<std::size_t>(info.st_size);
  if (size == 0) return refuse(ErrorCode::invalid_config, "is empty");
  if (size > most) return refuse(ErrorCode::invalid_config, "is too large");
  void* const address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (address == MAP_FAILED) return fail_errno(name, errno);
  SourceFile file;
  file.mapping = std::unique_ptr<void, Unmap>(address, Unmap{size});
  file.bytes = {static_cast<const std::byte*>(address), size};
  return file;
}

std::string_view as_text(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Status write_file(const std::string& path, std::span<const std::byte> bytes) {
  const Descriptor fd(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (fd.get() < 0) return fail_errno("open " + path, errno);
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return fail_errno("write " + path, errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

}  // namespace

Status compile_model_directory(const std::string& directory, const std::string& output) {
  const auto config = map_source(directory, "config.json", max_model_config_bytes);
  if (!config) return fail(config.error());
  const auto tokenizer = map_source(directory, "tokenizer.json", max_tokenizer_bytes);
  if (!tokenizer) return fail(tokenizer.error());
  const auto embeddings = map_source(directory, "model.safetensors", max_embeddings_bytes);
  if (!embeddings) return fail(embeddings.error());
  const auto model =
      compile_model({as_text(config->bytes), as_text(tokenizer->bytes), embeddings->bytes});
  if (!model) return fail(model.error());
  return write_file(output, *model);
}

}  // namespace tenantd
