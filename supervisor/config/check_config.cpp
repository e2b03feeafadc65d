#include "supervisor/config/check_config.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "supervisor/config/encoder_reader.h"
#include "supervisor/config/secure_file.h"
#include "supervisor/config/tenant_config.h"
#include "supervisor/config/tenant_file_name.h"

namespace tenantd {
namespace {

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

void add_invalid(ConfigReport& report, const std::string& path, const std::vector<Error>& errors) {
  ++report.invalid;
  report.text += "invalid  " + path + '\n';
  for (const Error& error : errors) report.text += "  " + error.describe() + '\n';
}

void check_tenant_file(int directory_fd, const std::string& directory, const std::string& name,
                       const DaemonConfig& daemon, const AccountResolver& accounts,
                       ConfigReport& report) {
  const std::string path = directory + '/' + name;
  const FileNameKind kind = classify_file_name(name);
  if (kind == FileNameKind::ignored) return;
  const Result<TenantId> id = tenant_id_of_file(name);
  if (kind == FileNameKind::other || !id) {
    report.text += "ignored  " + printable(path) + "  not a tenant file: ";
    report.text += (id ? std::string() : id.error().message) + '\n';
    return;
  }
  const Checked<TenantConfig> config =
      load_tenant_config(directory_fd, directory, *id, daemon, accounts);
  if (!config) {
    add_invalid(report, path, config.error());
    return;
  }
  ++report.valid;
  report.text += "valid    " + path;
  if (!config->not_enforced.empty()) {
    report.text += "  (not enforced: " + joined(config->not_enforced) + ')';
  }
  report.text += '\n';
}

void check_tenants(const DaemonConfig& daemon, const AccountResolver& accounts,
                   ConfigReport& report) {
  const std::string& directory = daemon.tenants_dir;
  const Result<UniqueFd> opened = open_secure_directory(directory, ::geteuid());
  if (!opened) {
    add_invalid(report, directory, {opened.error()});
    return;
  }
  const Result<std::vector<std::string>> names = list_directory(opened->get());
  if (!names) {
    add_invalid(report, directory, {names.error()});
    return;
  }
  for (const std::string& name : *names) {
    check_tenant_file(opened->get(), directory, name, daemon, accounts, report);
  }
}

}  // namespace

ConfigReport check_config(const std::string& daemon_path, const DaemonOverrides& overrides,
                          const AccountResolver& accounts) {
  ConfigReport report;
  const Checked<DaemonConfig> daemon = load_daemon_config(daemon_path, overrides);
  if (daemon) {
    ++report.valid;
    report.text += "valid    " + daemon_path + '\n';
    for (const EncoderConfig& encoder : daemon->encoders) {
      const auto stamp = stamp_model_directory(encoder.path, ::geteuid());
      if (!stamp) add_invalid(report, encoder.path, {stamp.error()});
    }
    check_tenants(*daemon, accounts, report);
  } else {
    add_invalid(report, daemon_path, daemon.error());
  }
  report.text +=
      std::to_string(report.valid) + " valid, " + std::to_string(report.invalid) + " invalid\n";
  return report;
}

Result<std::vector<std::string>> list_directory(int directory_fd) {
  // A description of its own, so that the caller's position does not matter.
  UniqueFd own(::openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!own) return fail_errno("cannot open the directory", errno);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(own.get()), ::closedir);
  if (!stream) return fail_errno("cannot list the directory", errno);
  (void)own.release();  // closedir closes it
  std::vector<std::string> names;
  while (true) {
    errno = 0;
    const dirent* const entry = ::readdir(stream.get());
    if (entry == nullptr) break;
    names.emplace_back(entry->d_name);
  }
  if (errno != 0) return fail_errno("cannot list the directory", errno);
  std::erase_if(names, [](const std::string& name) { return name == "." || name == ".."; });
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace tenantd
