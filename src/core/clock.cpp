#include "tally/core/clock.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <string_view>

#include "tally/core/digest.hpp"

namespace tally {
namespace {

using UuidBytes = std::array<std::uint8_t, 16>;

std::string uuid_text(UuidBytes bytes, std::uint8_t version) {
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0f) | (version << 4));
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3f) | 0x80);
  const std::string hex = to_hex(bytes);
  std::string text(36, '-');
  std::size_t from = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (at == 8 || at == 13 || at == 18 || at == 23) continue;
    text[at] = hex[from++];
  }
  return text;
}

}  // namespace

std::uint64_t Random::next() {
  std::array<std::uint8_t, 8> bytes{};
  fill(bytes);
  std::uint64_t value = 0;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

std::string uuid_v4(Random& random) {
  UuidBytes bytes{};
  random.fill(bytes);
  return uuid_text(bytes, 4);
}

std::string uuid_v7(Random& random, Instant at) {
  UuidBytes bytes{};
  random.fill(bytes);
  // 48 bits of milliseconds last until the year 10889; outside of them the nearest end stands.
  constexpr std::int64_t most = (std::int64_t{1} << 48) - 1;
  const std::int64_t clamped = std::clamp<std::int64_t>(at.seconds, -1, most / 1000);
  const std::int64_t millis =
      std::clamp<std::int64_t>(clamped * 1000 + at.nanos / 1'000'000, 0, most);
  for (std::size_t i = 0; i < 6; ++i) {
    bytes[i] = static_cast<std::uint8_t>(millis >> (40 - 8 * i));
  }
  return uuid_text(bytes, 7);
}

EventId new_event(Random& random, Instant at) {
  return EventId(uuid_v7(random, at));
}

Pid new_pid(Random& random) {
  return Pid("urn:uuid:" + uuid_v4(random));
}

}  // namespace tally
