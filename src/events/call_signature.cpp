#include "tally/events/call_signature.hpp"

#include <charconv>

namespace tally::events {

namespace {

constexpr std::string_view key_prefix = "whsec_";
constexpr std::string_view version = "v1,";
constexpr std::size_t shortest_secret = 24;
constexpr std::size_t longest_secret = 64;
constexpr std::int64_t tolerance = 300;  // seconds, as the libraries for receivers have it

std::int64_t seconds_of(std::string_view text) {
  std::int64_t seconds = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  return fault == std::errc() && end == text.data() + text.size() && seconds > 0 ? seconds : 0;
}

}  // namespace

Result<CallKey> CallKey::parse(std::string_view text) {
  while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
  const auto malformed = [] { return fail(ErrorKind::invalid, {"events.key-malformed", {}}); };
  if (!text.starts_with(key_prefix)) return malformed();
  auto secret = from_base64(text.substr(key_prefix.size()));
  if (!secret) return malformed();
  CallKey key;
  key.secret_ = Secret(std::move(*secret));
  if (key.secret_.size() < shortest_secret || key.secret_.size() > longest_secret) {
    return malformed();
  }
  return key;
}

std::string CallKey::signature(
    std::string_view id, std::string_view timestamp, std::string_view body
) const {
  std::string text(id);
  text.append(".").append(timestamp).append(".").append(body);
  return std::string(version) + to_base64(hmac_sha256(secret_, as_bytes(text)));
}

std::string CallKey::fingerprint() const {
  return to_hex(sha256(secret_.text())).substr(0, 16);
}

void sign_call(HttpRequest& request, const CallKey& key, const std::string& id, Instant now) {
  const std::string timestamp = std::to_string(now.seconds);
  request.headers.set("Content-Type", "application/json");
  request.headers.set("webhook-id", id);
  request.headers.set("webhook-timestamp", timestamp);
  request.headers.set("webhook-signature", key.signature(id, timestamp, request.body));
}

Result<void> check_answer_signature(
    const Headers& headers,
    std::string_view body,
    const CallKey& key,
    std::string_view id,
    Instant now
) {
  const auto for_call = headers.get("webhook-id");
  const auto timestamp = headers.get("webhook-timestamp");
  const auto signatures = headers.get("webhook-signature");
  if (!for_call || !timestamp || !signatures) {
    return fail(ErrorKind::forbidden, {"events.answer-unsigned", {}});
  }
  const std::string wanted = key.signature(id, *timestamp, body);
  bool found = false;
  for (std::string_view rest = *signatures; !rest.empty();) {
    const auto end = std::min(rest.find(' '), rest.size());
    if (equal_secret(rest.substr(0, end), wanted)) found = true;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (!found || *for_call != id) {
    return fail(ErrorKind::forbidden, {"events.answer-signature", {}});
  }
  if (std::abs(seconds_of(*timestamp) - now.seconds) > tolerance) {
    return fail(ErrorKind::forbidden, {"events.answer-old", {}});
  }
  return {};
}

}  // namespace tally::events
