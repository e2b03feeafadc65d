#include "supervisor/process/encoder_store.h"

#include <fcntl.h>
#include <poll.h>
#include <sodium.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>

#include "shared/base/clock.h"
#include "shared/contract/link.h"
#include "shared/contract/model_file.h"
#include "supervisor/config/encoder_reader.h"
#include "supervisor/launch/owned_directory.h"

namespace tenantd {
namespace {

// The version before stays: workers that encode again answer from its vectors until they are done.
constexpr std::size_t kept_versions = 2;
constexpr std::uint64_t compile_timeout_ms = 120'000;
constexpr std::size_t digest_digits = 16;

std::string model_path(const std::string& directory, const std::string& digest) {
  return directory + '/' + digest + std::string(model_file_suffix);
}

// A directory of the supervisor's own that tenants' uids may read.
Status make_shared_directory(const std::string& path) {
  if (Status made = make_parent(path, 0755); !made) return made;
  if (::chmod(path.c_str(), 0755) != 0) return fail_errno("chmod " + path, errno);
  return {};
}

// What a program that ended left in its pipe: the last line, made printable.
std::string last_words(int pipe) {
  std::string text(4096, '\0');
  const ssize_t got = ::read(pipe, text.data(), text.size());
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return printable(text.substr(text.rfind('\n') + 1), 200);
}

// The jail's reason if it could not confine the program.
std::string jail_words(int link) {
  std::array<std::byte, sizeof(ConfinementReport)> packet;
  const ssize_t got = ::recv(link, packet.data(), packet.size(), MSG_DONTWAIT);
  ConfinementReport report;
  if (got < 0 ||
      !parse_link_message(std::span(packet).first(static_cast<std::size_t>(got)), report) ||
      !report.reason.valid()) {
    return {};
  }
  return std::string(report.reason.view());
}

// Waits for the end of our child. Errors: deadline_exceeded (it was killed), internal.
Result<int> wait_for_end(const LaunchedProcess& process) {
  const std::uint64_t deadline_ns = monotonic_ns() + compile_timeout_ms * 1'000'000;
  bool late = false;
  for (;;) {
    const std::uint64_t now_ns = monotonic_ns();
    late = now_ns >= deadline_ns;
    if (late) break;
    pollfd end{process.pidfd.get(), POLLIN, 0};
    const int ready = ::poll(&end, 1, static_cast<int>((deadline_ns - now_ns) / 1'000'000 + 1));
    if (ready > 0) break;
    if (ready < 0 && errno != EINTR) break;
  }
  if (late) (void)::kill(process.pid, SIGKILL);  // our child, not reaped: the pid is its own
  int status = 0;
  pid_t reaped = -1;
  do {
    reaped = ::waitpid(process.pid, &status, 0);
  } while (reaped < 0 && errno == EINTR);
  if (reaped < 0) return fail_errno("waitpid", errno);
  if (late) return fail(ErrorCode::deadline_exceeded, "compiling took too long");
  return status;
}

Status write_all(int fd, const char* data, std::size_t size, const std::string& path) {
  while (size > 0) {
    const ssize_t written = ::write(fd, data, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return fail_errno("write " + path, errno);
    data += written;
    size -= static_cast<std::size_t>(written);
  }
  return {};
}

// Copies and digests in one pass.
Result<std::string> copy_digested(int from, int to, const std::string& path) {
  crypto_hash_sha256_state state;
  (void)crypto_hash_sha256_init(&state);
  std::vector<char> buffer(1U << 20U);
  for (;;) {
    const ssize_t got = ::read(from, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read the compiled model", errno);
    if (got == 0) break;
    const auto size = static_cast<std::size_t>(got);
    (void)crypto_hash_sha256_update(&state, reinterpret_cast<const unsigned char*>(buffer.data()),
                                    size);
    if (Status written = write_all(to, buffer.data(), size, path); !written) {
      return fail(written.error());
    }
  }
  std::array<unsigned char, crypto_hash_sha256_BYTES> digest;
  (void)crypto_hash_sha256_final(&state, digest.data());
  std::string digits(2 * digest.size() + 1, '\0');
  (void)sodium_bin2hex(digits.data(), digits.size(), digest.data(), digest.size());
  digits.resize(digest_digits);
  return digits;
}

// The header alone; workers check the rest as they use it.
Result<std::uint32_t> read_dimension(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return fail_errno("open " + path, errno);
  ModelHeader header;
  const ssize_t got = ::pread(fd.get(), static_cast<void*>(&header), sizeof header, 0);
  struct stat info {};
  const bool sound = got == static_cast<ssize_t>(sizeof header) && ::fstat(fd.get(), &info) == 0 &&
                     header.magic == ModelHeader::magic_value &&
                     header.version == ModelHeader::version_value &&
                     header.file_bytes == static_cast<std::uint64_t>(info.st_size) &&
                     header.dimension >= 1 && header.dimension <= ModelHeader::max_dimension;
  if (!sound) return fail(ErrorCode::invalid_config, path + " is no compiled model of this build");
  return header.dimension;
}

bool is_digest(const std::string& text) noexcept {
  return text.size() == digest_digits &&
         text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

}  // namespace

std::string encoder_directory_path(const std::string& state_dir, std::string_view name) {
  return state_dir + "/encoders/" + std::string(name);
}

EncoderStore::EncoderStore(Launcher& launcher, UidAllocator uids, const InstallationPaths& paths,
                           LayerSet tolerated, Note note)
    : launcher_(launcher),
      uids_(uids),
      paths_(paths),
      tolerated_(tolerated),
      note_(std::move(note)) {}

std::vector<PreparedEncoder> EncoderStore::prepare(const std::vector<EncoderConfig>& encoders) {
  std::vector<PreparedEncoder> prepared;
  for (const EncoderConfig& encoder : encoders) {
    auto one = prepare_one(encoder);
    if (!one) {
      const std::string problem = one.error().describe();
      note_(true, "encoder " + encoder.name + " cannot be used: " + problem);
      one = PreparedEncoder{encoder.name, {}, 0, problem};
    }
    prepared.push_back(std::move(*one));
  }
  return prepared;
}

Result<PreparedEncoder> EncoderStore::prepare_one(const EncoderConfig& encoder) {
  const auto sources = stamp_model_directory(encoder.path, ::geteuid());
  if (!sources) return fail(sources.error());
  std::string stamp = std::to_string(ModelHeader::version_value);
  stamp += ' ' + *sources;
  const std::string directory = encoder_directory_path(paths_.state_dir, encoder.name);
  for (const std::string& path : {paths_.state_dir + "/encoders", directory}) {
    if (Status made = make_shared_directory(path); !made) return fail(made.error());
  }
  Versions versions = read_versions(directory);
  const bool unchanged = versions.stamp == stamp && !versions.digests.empty() &&
                         read_dimension(model_path(directory, versions.digests.front()));
  if (!unchanged) {
    if (Status compiled = compile(encoder.path); !compiled) return fail(compiled.error());
    const auto digest = take_over(directory);
    if (!digest) return fail(digest.error());
    std::erase(versions.digests, *digest);
    versions.digests.insert(versions.digests.begin(), *digest);
    versions.stamp = stamp;
    while (versions.digests.size() > kept_versions) {
      (void)::unlink(model_path(directory, versions.digests.back()).c_str());
      versions.digests.pop_back();
    }
    if (Status written = write_versions(directory, versions); !written) {
      return fail(written.error());
    }
  }
  const std::string& digest = versions.digests.front();
  const auto dimension = read_dimension(model_path(directory, digest));
  if (!dimension) return fail(dimension.error());
  const std::string id = encoder.name + '@' + digest;
  note_(false, "encoder " + id + ": " + std::to_string(*dimension) + " floats" +
                   (unchanged ? "" : ", compiled"));
  return PreparedEncoder{encoder.name, id, *dimension, {}};
}

Status EncoderStore::compile(const std::string& source) {
  const auto uid = prepare_compiler_directory(paths_.state_dir, uids_);
  if (!uid) return fail(uid.error());
  LaunchRequest request;
  request.spec.kind = ProgramKind::encoder_compiler;
  set_data_files(request.spec, compiler_data_files);
  (void)request.spec.hostname.assign("encoder");
  request.program_path = paths_.encoder_program();
  request.jail_path = paths_.jail_program;
  request.data_directory = paths_.state_dir + "/encoder-compiler";
  request.encoder_directory = source;
  request.uid = *uid;
  request.gid = *uid;
  request.tolerated = tolerated_;
  request.cgroup = CgroupName{std::nullopt, 1};
  request.use_cgroup = false;  // it ends before anybody is served, and reads what root put there
  const auto process = launcher_.launch(request);
  if (!process) return fail(process.error());
  const auto status = wait_for_end(*process);
  if (!status) return fail(status.error());
  if (WIFEXITED(*status) && WEXITSTATUS(*status) == static_cast<int>(ExitCode::clean)) return {};
  std::string reason = last_words(process->log.get());
  if (reason.empty()) reason = jail_words(process->link.get());
  if (reason.empty()) {
    reason = WIFSIGNALED(*status)
                 ? "the compiler died of signal " + std::to_string(WTERMSIG(*status))
                 : "the compiler ended with status " + std::to_string(WEXITSTATUS(*status));
  }
  return fail(ErrorCode::invalid_config, source + ": " + reason);
}

Result<std::string> EncoderStore::take_over(const std::string& directory) {
  const std::string made =
      paths_.state_dir + "/encoder-compiler/" + std::string(compiler_data_files[0]);
  const UniqueFd from(::open(made.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat info {};
  if (!from || ::fstat(from.get(), &info) != 0) return fail_errno("open " + made, errno);
  if (!S_ISREG(info.st_mode)) return fail(ErrorCode::internal, made + " is not a regular file");
  const std::string fresh = directory + "/new";
  (void)::unlink(fresh.c_str());
  const UniqueFd to(
      ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!to) return fail_errno("open " + fresh, errno);
  auto digest = copy_digested(from.get(), to.get(), fresh);
  (void)::unlink(made.c_str());
  if (!digest) return digest;
  if (::fchmod(to.get(), 0444) != 0 || ::fsync(to.get()) != 0) {
    return fail_errno("finish " + fresh, errno);
  }
  if (const auto sound = read_dimension(fresh); !sound) return fail(sound.error());
  if (::rename(fresh.c_str(), model_path(directory, *digest).c_str()) != 0) {
    return fail_errno("rename " + fresh, errno);
  }
  return digest;
}

// Anything unexpected reads as nothing: the model is compiled again then.
EncoderStore::Versions EncoderStore::read_versions(const std::string& directory) {
  std::ifstream file(directory + "/versions");
  Versions versions;
  std::getline(file, versions.stamp);
  for (std::string line; std::getline(file, line);) {
    if (is_digest(line)) versions.digests.push_back(line);
  }
  return versions;
}

Status EncoderStore::write_versions(const std::string& directory, const Versions& versions) {
  std::string text = versions.stamp + '\n';
  for (const std::string& digest : versions.digests) text += digest + '\n';
  const std::string fresh = directory + "/versions.new";
  const UniqueFd fd(
      ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!fd) return fail_errno("open " + fresh, errno);
  if (Status written = write_all(fd.get(), text.data(), text.size(), fresh); !written) {
    return written;
  }
  if (::rename(fresh.c_str(), (directory + "/versions").c_str()) != 0) {
    return fail_errno("rename " + fresh, errno);
  }
  return {};
}

}  // namespace tenantd
