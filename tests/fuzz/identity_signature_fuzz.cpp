// Signatures of messages from strangers (RFC 9421, with structured fields of RFC 8941): nothing
// crashes, what is read prints as what is read again, and nobody who is not trusted has signed. The
// input is header fields, one a line ("Name: value"), an empty line, and the body.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tally/identity/message_signature.hpp"

#include "identity/structured_field.hpp"

namespace {

using namespace tally;

void expect(bool good) {
  if (!good) std::abort();
}

void check_structured(std::string_view text) {
  if (const auto item = identity::parse_item(text)) {
    const auto printed = identity::serialise(item->value);
    const auto again = identity::parse_item(printed);
    expect(again && identity::serialise(again->value) == printed);
  }
  (void)identity::parse_list(text);
  const auto dictionary = identity::parse_dictionary(text);
  if (!dictionary) return;
  for (const auto& [key, member] : *dictionary) {
    const auto* list = std::get_if<identity::SfInnerList>(&member);
    if (!list) continue;
    const auto printed = key + "=" + identity::serialise(*list);
    const auto again = identity::parse_dictionary(printed);
    expect(again && again->size() == 1);
    const auto* same = std::get_if<identity::SfInnerList>(&again->front().second);
    expect(same && key + "=" + identity::serialise(*same) == printed);
  }
}

const identity::TrustStore& nobody() {
  static const auto store = identity::TrustStore::build({});
  return **store;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)identity::verify_archive(text);
  HttpRequest request;
  request.method = "POST";
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.empty()) break;
    const auto colon = line.find(": ");
    if (colon == std::string_view::npos) continue;
    check_structured(line.substr(colon + 2));
    request.headers.add(std::string(line.substr(0, colon)), std::string(line.substr(colon + 2)));
  }
  request.body = text;
  // Most inputs would end at the digest of the body.
  if (request.headers.get("Content-Digest")) {
    request.headers.set("Content-Digest", identity::content_digest(request.body));
  }
  const PartyId party{"health", "did:web:institute.example"};
  const auto verified = identity::verify_message(request, nobody(), party, {1'800'000'000, 0});
  expect(!verified);
  render(verified.error().message, Lang::en);
  return 0;
}
