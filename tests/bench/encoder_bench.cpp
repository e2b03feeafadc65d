// What encoding a ten-word sentence costs: the built-in encoder, and compiled models.
//
// `encoder_bench [MODEL]...`: medians and 99th percentiles in microseconds of 20,000 sentences,
// each sentence another; how long opening a model takes, and how much private memory it leaves
// behind. tenantd-encoder DIRECTORY MODEL makes a model.
#include <malloc.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "worker/encoder/hash_encoder.h"
#include "worker/encoder/model2vec_encoder.h"

using namespace tenantd;

namespace {

double since_us(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
      .count();
}

std::vector<std::string> sentences() {
  constexpr std::array words = {
      "why",     "does",      "my",       "new",    "debit",  "card",     "not",      "work",
      "abroad",  "when",      "I",        "try",    "to",     "withdraw", "cash",     "from",
      "machine", "yesterday", "transfer", "failed", "twice",  "although", "balance",  "was",
      "enough",  "please",    "help",     "me",     "change", "the",      "currency", "exchange"};
  std::mt19937 random(1);
  std::vector<std::string> out(20'000);
  for (std::string& text : out) {
    for (int i = 0; i < 10; ++i) {
      text += std::string(i > 0 ? " " : "") + words[random() % words.size()];
    }
    text += '?';
  }
  return out;
}

void report(const char* name, const Encoder& encoder) {
  const auto texts = sentences();
  const auto session = encoder.open_session();
  std::vector<float> vector(encoder.dimension());
  std::vector<double> times;
  std::size_t failed = 0;
  for (const std::string& text : texts) {
    const auto start = std::chrono::steady_clock::now();
    if (!session->encode({text, nullptr}, vector)) ++failed;
    times.push_back(since_us(start));
  }
  std::sort(times.begin(), times.end());
  std::printf("%-24s %5u floats   p50 %6.2f us   p99 %6.2f us   of %zu, %zu failed\n", name,
              encoder.dimension(), times[times.size() / 2], times[times.size() * 99 / 100],
              times.size(), failed);
}

}  // namespace

int main(int argc, char** argv) {
  report("hash", *make_hash_encoder(384));
  for (int i = 1; i < argc; ++i) {
    const std::size_t before = ::mallinfo2().uordblks;
    const auto start = std::chrono::steady_clock::now();
    auto model = ModelFile::open(argv[i]);
    if (!model) {
      std::fprintf(stderr, "%s\n", model.error().describe().c_str());
      return 1;
    }
    const Model2VecEncoder encoder("bench", std::move(*model));
    const double opened_us = since_us(start);
    std::printf("%s: opened in %.0f us, %zu bytes of heap\n", argv[i], opened_us,
                ::mallinfo2().uordblks - before);
    report("model2vec", encoder);
  }
  return 0;
}
