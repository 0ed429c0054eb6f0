// How calls to programs of the operator are signed, and the answers of those that decide: as
// Standard Webhooks 1.0.0 has it (symmetric), so that a receiver finds a library for it.
// HMAC-SHA256 over "<id>.<timestamp>.<body>", in the fields webhook-id, webhook-timestamp (seconds
// since 1970) and webhook-signature ("v1,<base64>", several with blanks between). Pure.
#pragma once

#include <string>
#include <string_view>

#include "tally/core/digest.hpp"
#include "tally/core/http.hpp"
#include "tally/core/instant.hpp"
#include "tally/core/result.hpp"
#include "tally/core/secret.hpp"

namespace tally::events {

// A secret that this connector and one program have in common.
class CallKey {
 public:
  // The text of a key file: "whsec_" and the base64 of 24 to 64 bytes, on one line. Errors: invalid
  // events.key-malformed.
  static Result<CallKey> parse(std::string_view text);

  // "v1,<base64>".
  [[nodiscard]] std::string signature(
      std::string_view id, std::string_view timestamp, std::string_view body
  ) const;
  // The first 16 hex digits of its SHA-256: what records call it.
  [[nodiscard]] std::string fingerprint() const;

 private:
  Secret secret_;
};

// Sets the three fields and the content type; the body has to stand.
void sign_call(HttpRequest& request, const CallKey& key, const std::string& id, Instant now);

// Whether an answer with these fields is signed for the call `id`, not more than five minutes from
// `now`. Errors: forbidden events.answer-unsigned, events.answer-signature, events.answer-old.
Result<void> check_answer_signature(
    const Headers& headers,
    std::string_view body,
    const CallKey& key,
    std::string_view id,
    Instant now
);

}  // namespace tally::events
