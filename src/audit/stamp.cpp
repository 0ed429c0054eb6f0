#include "stamp.hpp"

#include <array>
#include <charconv>
#include <cstring>

namespace tally::audit {
namespace {

struct NumberText {
  std::array<char, 20> digits{};
  std::size_t size = 0;
  explicit NumberText(std::uint64_t value) {
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    size = static_cast<std::size_t>(end - digits.data());
  }
  [[nodiscard]] std::string_view text() const { return {digits.data(), size}; }
};

constexpr std::array<std::array<char, 2>, 256> hex_pairs = [] {
  constexpr std::string_view digits = "0123456789abcdef";
  std::array<std::array<char, 2>, 256> pairs{};
  for (std::size_t i = 0; i < pairs.size(); ++i) pairs[i] = {digits[i >> 4], digits[i & 0x0F]};
  return pairs;
}();

}  // namespace

void append_hex(std::string& out, const Digest& digest) {
  const std::size_t at = out.size();
  out.resize(at + digest.size() * 2);
  char* to = out.data() + at;
  for (const std::uint8_t byte : digest) {
    std::memcpy(to, hex_pairs[byte].data(), 2);
    to += 2;
  }
}

bool is_hex_of(std::string_view text, const Digest& digest) {
  if (text.size() != digest.size() * 2) return false;
  unsigned differs = 0;
  for (std::size_t i = 0; i < digest.size(); ++i) {
    const auto& pair = hex_pairs[digest[i]];
    differs |= static_cast<unsigned>(text[2 * i] ^ pair[0]) |
               static_cast<unsigned>(text[2 * i + 1] ^ pair[1]);
  }
  return differs == 0;
}

void append_record(std::string& out, const RecordDraft& draft, const Stamp& stamp) {
  const NumberText seq(stamp.seq);
  const NumberText aseq(stamp.aseq);
  struct Stamped {
    std::string_view key;
    std::string_view value;
    bool quoted;
  };
  const std::array<Stamped, 8> stamped = {{
      {"aprev", stamp.aseq != 0 ? stamp.aprev : std::string_view(), true},
      {"aseq", stamp.aseq != 0 ? aseq.text() : std::string_view(), false},
      {"clock", stamp.clock, true},
      {"log", stamp.log, false},
      {"prev", stamp.prev, true},
      {"seq", seq.text(), false},
      {"time", stamp.time, true},
      {"v", "1", false},
  }};
  const auto put = [&out](std::string_view key, std::string_view value, bool quoted) {
    out += '"';
    out += key;
    out += quoted ? "\":\"" : "\":";
    out += value;
    out += quoted ? "\"," : ",";
  };

  out += '{';
  std::size_t next = 0;
  const auto put_stamped_before = [&](std::string_view key) {
    for (; next < stamped.size() && (key.empty() || stamped[next].key < key); ++next) {
      const Stamped& member = stamped[next];
      if (!member.value.empty()) put(member.key, member.value, member.quoted);
    }
  };
  for (const Member& member : draft.members()) {
    put_stamped_before(member.key);
    put(member.key, member.value, false);
  }
  put_stamped_before({});
  out.back() = '}';
}

}  // namespace tally::audit
