// What a tenant asks for that means harm to its neighbour in the same worker and shard: texts that
// serve as route ids, cache keys, cursors, tags, encoders and queries alike.
//
// Used by the tests of worker/runtime (a whole worker's answers) and worker/store (what SQLite does
// for one tenant). Some are no route id or no cache key: then how they are refused is the answer.
#pragma once

#include <string>
#include <vector>

namespace tenantd::test {

inline constexpr const char* corpus_victim = "victim";
inline constexpr const char* corpus_attacker = "attacker";

// Plain: what the neighbour may really have.
inline std::vector<std::string> hostile_texts() {
  using namespace std::string_literals;
  std::vector<std::string> texts{
      "billing", "BILLING", "billing ", " billing", "billin", "billing0", "human",
      // Another's name, and names that would be one if keys were joined texts.
      "victim", "victim/billing", "victim:billing",
      "victim\x1f"
      "billing",
      "../victim/billing", "attacker", "attackerbilling",
      // SQL, and what LIKE, GLOB and a match expression take for more than themselves.
      "billing' OR '1'='1", "billing'; DELETE FROM routes; --", "\" OR tenant_id <> \"",
      "' UNION SELECT tenant_id FROM tenants --", "%", "_illing", "*", "billin[g]", "billin?", "?1",
      ":tenant_id", "NULL", "rowid", "sqlite_schema", "x'62696c6c696e67'",
      // Numbers at the ends of what a column holds, and beside the versions that edits have.
      "0", "1", "-1", "9223372036854775807", "9223372036854775808", "1e999", "nan",
      // Bytes: an end of text, one that is none, controls, no UTF-8.
      "billing\0"s, "billing\0x"s, "\0"s, "billing\n", "billing\r\nother", "\x7f", "\xff\xfe",
      "billing\xc3", "\xc0\xa7 OR 1=1",
      // The same to the eye, to a folded comparison, to a normalised one.
      "b\xd1\x96lling", "BILL\xc4\xb0NG", "caf\xc3\xa9", "cafe\xcc\x81",
      "\xe2\x80\xae"
      "gnillib",
      "billing\xe2\x80\x8b",
      "\xef\xbb\xbf"
      "billing",
      "\xf0\x9f\x92\xb3", "\xef\xbd\x82illing",
      // Behind all others, and as long as an id may be.
      "\xf4\x8f\xbf\xbf", std::string(127, 'a'), std::string(127, '~'),
      std::string(126, 'a') + "'"};
  for (const std::string pattern : {"(", "(a+)+$", "[[:alpha:]"}) texts.push_back(pattern);
  return texts;
}

}  // namespace tenantd::test
