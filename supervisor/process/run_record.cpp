#include "supervisor/process/run_record.h"

#include <dirent.h>
#include <sodium.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <map>
#include <memory>

#include "shared/os/process.h"

namespace tenantd {
namespace {

constexpr std::string_view version = "1";
constexpr std::string_view suffix = ".record";

template <class Number>
bool parse_number(std::string_view text, Number& out) {
  Number value{};
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size())
    return false;
  out = value;
  return true;
}

// A set of shards as hexadecimal digits, the first digit for shards 0 to 3.
std::string shards_text(const ShardSet& shards) {
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (std::uint32_t first = 0; first < max_shards; first += 4) {
    unsigned digit = 0;
    for (unsigned i = 0; i < 4; ++i) digit |= (shards.has(first + i) ? 1U : 0U) << i;
    text += digits[digit];
  }
  text.erase(text.find_last_not_of('0') + 1);
  return text;
}

bool parse_shards(std::string_view text, ShardSet& out) {
  if (text.size() > max_shards / 4) return false;
  for (std::uint32_t i = 0; i < text.size(); ++i) {
    unsigned digit = 0;
    const auto parsed = std::from_chars(&text[i], &text[i] + 1, digit, 16);
    if (parsed.ec != std::errc{}) return false;
    for (unsigned bit = 0; bit < 4; ++bit) {
      if ((digit >> bit & 1U) != 0) out.add(4 * i + bit);
    }
  }
  return true;
}

using Lines = std::map<std::string_view, std::string_view>;

// Nothing of it in the record of another level's worker, and of an older supervisor.
bool parse_allotment(const Lines& lines, Allotment& out) {
  if (!lines.contains("cpus")) return true;
  const auto value = [&lines](std::string_view key) {
    const auto found = lines.find(key);
    return found == lines.end() ? std::string_view() : found->second;
  };
  const auto cpus = CpuSet::parse(value("cpus"));
  const auto nodes = CpuSet::parse(value("nodes"));
  const std::string_view partition = value("partition");
  if (!cpus || !nodes || (partition != "0" && partition != "1")) return false;
  out.cpus = *cpus;
  out.nodes = *nodes;
  out.partition = partition == "1";
  return parse_number(value("guaranteed_memory"), out.guaranteed_memory_bytes);
}

Lines split_lines(std::string_view text) {
  Lines lines;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const std::size_t equals = line.find('=');
    if (equals != std::string_view::npos) lines[line.substr(0, equals)] = line.substr(equals + 1);
  }
  return lines;
}

}  // namespace

std::string encode_record(const RunRecord& record) {
  std::string text;
  const auto line = [&text](const char* key, std::string_view value) {
    text.append(key).append("=").append(value).append("\n");
  };
  line("version", version);
  line("tenant", record.tenant.view());
  line("pid", std::to_string(record.pid));
  line("start_ticks", std::to_string(record.start_ticks));
  line("boot_id", record.boot_id);
  line("generation", std::to_string(record.generation));
  line("uid", std::to_string(record.uid));
  line("applied", std::to_string(record.applied.bits()));
  line("missing", std::to_string(record.missing.bits()));
  line("fingerprint", record.fingerprint);
  if (!record.shards.empty()) line("shards", shards_text(record.shards));
  if (!record.network.empty()) line("network", record.network);
  const Allotment& own = record.allotment;
  if (own.empty()) return text;
  line("cpus", own.cpus.str());
  line("nodes", own.nodes.str());
  line("guaranteed_memory", std::to_string(own.guaranteed_memory_bytes));
  line("partition", own.partition ? "1" : "0");
  return text;
}

Result<RunRecord> decode_record(std::string_view text) {
  const Lines lines = split_lines(text);
  const auto value = [&lines](std::string_view key) {
    const auto found = lines.find(key);
    return found == lines.end() ? std::string_view() : found->second;
  };
  const auto bad = [](std::string_view key) {
    return fail(ErrorCode::protocol_error, "run record: bad " + std::string(key));
  };
  if (value("version") != version) return bad("version");
  const auto tenant = TenantId::parse(value("tenant"));
  if (!tenant) return bad("tenant");
  RunRecord record{*tenant, 0, 0, {}, 0, 0, {}, {}, {}, {}, {}};
  std::uint32_t applied = 0;
  std::uint32_t missing = 0;
  if (!parse_number(value("pid"), record.pid) || record.pid < 0 || record.pid == 1)
    return bad("pid");
  if (!parse_number(value("start_ticks"), record.start_ticks)) return bad("start_ticks");
  if (!parse_number(value("generation"), record.generation)) return bad("generation");
  if (!parse_number(value("uid"), record.uid)) return bad("uid");
  if (!parse_number(value("applied"), applied)) return bad("applied");
  if (!parse_number(value("missing"), missing)) return bad("missing");
  if (!parse_shards(value("shards"), record.shards)) return bad("shards");
  if (!parse_allotment(lines, record.allotment)) return bad("allotment");
  record.boot_id = value("boot_id");
  record.fingerprint = value("fingerprint");
  record.network = value("network");
  record.applied = LayerSet(applied);
  record.missing = LayerSet(missing);
  return record;
}

std::string RunRecords::path_of(const TenantId& tenant) const {
  return directory_ + '/' + tenant.str().append(suffix);
}

Status RunRecords::write(const RunRecord& record) const {
  return write_file_atomically(path_of(record.tenant), encode_record(record), 0600, false);
}

void RunRecords::end(RunRecord record) const {
  record.pid = 0;
  record.start_ticks = 0;
  record.network.clear();
  // Without it the dead pid's start ticks still tell the next supervisor that nobody is there.
  (void)write(record);
}

void RunRecords::erase_all() const {
  for (const RunRecord& record : load_all()) (void)::unlink(path_of(record.tenant).c_str());
}

std::vector<RunRecord> RunRecords::load_all() const {
  std::vector<RunRecord> records;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(directory_.c_str()), ::closedir);
  while (const dirent* entry = directory ? ::readdir(directory.get()) : nullptr) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    const std::string path = directory_ + '/' + name;
    const auto text = read_small_file(path);
    auto record = text ? decode_record(*text) : tl::unexpected(text.error());
    if (record && name == record->tenant.str().append(suffix)) {
      records.push_back(std::move(*record));
    } else {
      (void)::unlink(path.c_str());
    }
  }
  return records;
}

Result<std::string> current_boot_id() {
  auto text = read_small_file("/proc/sys/kernel/random/boot_id");
  if (text && text->ends_with('\n')) text->pop_back();
  return text;
}

std::string worker_fingerprint(const TenantConfig& config) {
  std::string text;
  for (const FieldSpec& row : tenant_fields()) {
    if (row.applies != Applies::new_worker) continue;
    text.append(row.full_name()).append("=");
    row.print(&config, text);
    text.append("\n");  // no value holds a control character
  }
  if (config.pool) {
    const std::array<std::uint64_t, 5> numbers = {
        config.pool->shard_count, config.pool->has_encoders ? 1U : 0U,
        config.resources.memory_max_bytes, config.limits.max_attachments,
        config.limits.max_storage_bytes};
    text.append("shards=").append(shards_text(config.pool->shards));
    for (const std::uint64_t number : numbers) text.append(" ").append(std::to_string(number));
  }
  // What the names in the file stand for, wherever they stand for something.
  for (const std::string* const path :
       {&config.physical.storage_root, &config.physical.program_path}) {
    if (!path->empty()) text.append("path=").append(*path).append("\n");
  }
  std::array<unsigned char, 16> hash{};
  (void)crypto_generichash(hash.data(), hash.size(),
                           reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                           nullptr, 0);
  std::array<char, 2 * hash.size() + 1> hex{};
  return sodium_bin2hex(hex.data(), hex.size(), hash.data(), hash.size());
}

}  // namespace tenantd
