#include "supervisor/config/encoder_reader.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "supervisor/config/schema_reader.h"
#include "supervisor/config/secure_file.h"

namespace tenantd {
namespace {

// With '@' and sixteen digits behind it the name is the id that vectors are stored with, 63 bytes
// at most.
constexpr std::size_t max_name_bytes = 40;

bool is_encoder_name(std::string_view name) noexcept {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  return !name.empty() && name.size() <= max_name_bytes && name.front() != '.' &&
         name.front() != '-' && std::all_of(name.begin(), name.end(), plain);
}

}  // namespace

std::optional<ConfigValue> read_encoders(const FieldSpec& row, const TomlNode& node,
                                         const std::string& field, ReadContext& context) {
  std::vector<EncoderConfig> encoders;
  bool all_good = node.entries.size() <= row.max;
  if (!all_good) {
    context.diagnostics.add(node.place, field,
                            std::to_string(node.entries.size()) + " encoders are too many",
                            "at most " + std::to_string(row.max));
  }
  for (const TomlEntry& entry : node.entries) {
    if (!is_encoder_name(entry.key) || entry.key == "hash") {
      context.diagnostics.add(
          entry.place, field, quoted(entry.key) + " cannot name an encoder",
          "1 to 40 letters, digits, \"-\", \"_\" and \".\"; \"hash\" is built in");
      all_good = false;
      continue;
    }
    const std::string name = field + '.' + entry.key;
    if (entry.value.kind != TomlNode::Kind::table) {
      context.diagnostics.add(
          entry.value.place, name,
          "expected a section [" + name + "], got " + std::string(kind_name(entry.value.kind)));
      all_good = false;
      continue;
    }
    EncoderConfig encoder;
    encoder.name = entry.key;
    for (ReadField& read : read_fields(encoder_fields(), entry.value, name + '.', context)) {
      read.row->store(&encoder, std::move(read.value));
    }
    all_good = all_good && !encoder.path.empty();  // its absence has been reported
    encoders.push_back(std::move(encoder));
  }
  if (!all_good) return std::nullopt;
  return encoders;
}

std::span<const FieldSpec> encoder_fields() {
  static const std::array<FieldSpec, 1> rows = {bind_field < EncoderConfig,
                                                [](auto& encoder) -> auto& {return encoder.path;
}
> ({.key = "path",
    .type = ValueType::path,
    .required = true,
    .doc = "The directory with `config.json`, `tokenizer.json` and `model.safetensors`, as "
           "Model2Vec publishes them"})
};  // namespace tenantd
return rows;
}

Result<std::string> stamp_model_directory(const std::string& path, uid_t daemon_uid) {
  const auto directory = open_secure_directory(path, daemon_uid);
  if (!directory) return fail(directory.error());
  std::string stamp;
  for (const std::string_view name : model_source_files) {
    const auto status = check_secure_file(directory->get(), path, std::string(name), daemon_uid);
    if (!status) return fail(status.error());
    for (const auto number :
         {static_cast<std::int64_t>(status->st_dev), static_cast<std::int64_t>(status->st_ino),
          status->st_size, static_cast<std::int64_t>(status->st_mtim.tv_sec),
          static_cast<std::int64_t>(status->st_mtim.tv_nsec),
          static_cast<std::int64_t>(status->st_ctim.tv_sec),
          static_cast<std::int64_t>(status->st_ctim.tv_nsec)}) {
      stamp += std::to_string(number) + ' ';
    }
  }
  stamp.pop_back();
  return stamp;
}

}  // namespace tenantd
