#include "supervisor/pool/own_shards.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include "shared/os/fd.h"
#include "shared/os/process.h"

namespace tenantd {
namespace {

constexpr std::string_view first_line = "tenantd own shard 1";

std::string name_of(const TenantId& tenant, std::uint32_t shard) {
  return shard_directory_name(shard).append(".").append(tenant.view());
}

template <class Number>
bool parse_number(std::string_view text, Number& out) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), out);
  return !text.empty() && parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size();
}

struct Name {
  std::uint32_t shard;
  TenantId tenant;
};

std::optional<Name> parse_name(std::string_view name) {
  std::uint32_t shard = 0;
  if (name.size() < 5 || name[3] != '.' || !parse_number(name.substr(0, 3), shard) || shard == 0 ||
      shard >= max_shards) {
    return std::nullopt;
  }
  const auto tenant = TenantId::parse(name.substr(4));
  return tenant ? std::optional(Name{shard, *tenant}) : std::nullopt;
}

std::string encode(const OwnShard& one) {
  std::string accusation = one.accusation;
  std::replace(accusation.begin(), accusation.end(), '\n', ' ');
  std::string text(first_line);
  text.append("\nmoved ").append(one.moved ? "1" : "0");
  text.append("\ndeaths ").append(std::to_string(one.deaths));
  text.append("\naccused_ms ").append(std::to_string(one.accused_wall_ms));
  return text.append("\naccusation ").append(accusation).append("\nend\n");
}

std::optional<OwnShard> decode(std::string_view text) {
  const auto take = [&text](std::string_view key) -> std::optional<std::string_view> {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos || !text.starts_with(key)) return std::nullopt;
    const std::string_view value = text.substr(key.size(), end - key.size());
    text.remove_prefix(end + 1);
    return value;
  };
  OwnShard one;
  const auto begin = take(first_line);
  const auto moved = take("moved ");
  const auto deaths = take("deaths ");
  const auto accused = take("accused_ms ");
  const auto accusation = take("accusation ");
  if (!begin || !begin->empty() || !moved || (*moved != "0" && *moved != "1") || !deaths ||
      !parse_number(*deaths, one.deaths) || !accused ||
      !parse_number(*accused, one.accused_wall_ms) || !accusation || text != "end\n") {
    return std::nullopt;
  }
  one.moved = *moved == "1";
  one.accusation = *accusation;
  return one;
}

std::vector<std::string> files_in(const std::string& directory) {
  std::vector<std::string> names = names_in(directory);
  std::erase_if(names, [](const std::string& name) { return name.front() == '.'; });
  std::sort(names.begin(), names.end());
  return names;
}

Status sync_directory(const std::string& path) {
  const UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || ::fsync(directory.get()) != 0) return fail_errno("fsync " + path, errno);
  return {};
}

}  // namespace

std::vector<std::string> OwnShards::load() {
  std::vector<std::string> problems;
  if (directory_.empty()) return problems;
  ShardSet seen;
  for (const std::string& file : files_in(directory_)) {
    std::string path = directory_;
    path.append("/").append(file);
    if (file.ends_with(".tmp") && parse_name(std::string_view(file).substr(0, file.size() - 4))) {
      (void)::unlink(path.c_str());  // never became one
      continue;
    }
    const auto name = parse_name(file);
    if (!name || seen.has(name->shard) || all_.contains(name->tenant)) {
      problems.push_back(path + " is no file of ours, or a second one");
      continue;
    }
    const auto text = read_small_file(path);
    auto one = text ? decode(*text) : std::nullopt;
    if (!one) {
      problems.push_back(path + " is broken: the tenant counts as accused once");
      one = OwnShard{};
      one->deaths = 1;
      one->accusation = "the record of what it is accused of is broken";
    }
    one->shard = name->shard;
    seen.add(name->shard);
    all_.emplace(name->tenant, std::move(*one));
  }
  return problems;
}

const OwnShard* OwnShards::find(const TenantId& tenant) const {
  const auto found = all_.find(tenant);
  return found == all_.end() ? nullptr : &found->second;
}

Status OwnShards::keep(const TenantId& tenant, std::uint32_t shard_count, OwnShard fresh) {
  ShardSet used = taken_;
  for (const auto& [id, one] : all_) used.add(one.shard);
  fresh.shard = shard_count;
  while (fresh.shard < shard_limit(shard_count) && used.has(fresh.shard)) ++fresh.shard;
  if (fresh.shard >= shard_limit(shard_count)) {
    return fail(ErrorCode::resource_exhausted, "all shards of single tenants are taken");
  }
  if (Status written = write(tenant, fresh); !written) return written;
  all_.emplace(tenant, std::move(fresh));
  return {};
}

Status OwnShards::change(const TenantId& tenant, const OwnShard& now) {
  all_.insert_or_assign(tenant, now);
  return write(tenant, now);
}

Status OwnShards::write(const TenantId& tenant, const OwnShard& one) const {
  if (directory_.empty()) return {};
  if (::mkdir(directory_.c_str(), 0700) == 0) {
    const Status kept = sync_directory(directory_.substr(0, directory_.rfind('/')));
    if (!kept) return kept;
  } else if (errno != EEXIST) {
    return fail_errno("mkdir " + directory_, errno);
  }
  std::string path = directory_;
  path.append("/").append(name_of(tenant, one.shard));
  if (Status written = write_file_atomically(path, encode(one), 0600, true); !written) {
    return written;
  }
  return sync_directory(directory_);
}

}  // namespace tenantd
