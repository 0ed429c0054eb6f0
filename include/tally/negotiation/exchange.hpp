// What the services of negotiation and transfer share in taking, answering and remembering
// messages. Values and pure functions, but for `known_answer`, which reads the store.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/audit/record.hpp"
#include "tally/core/clock.hpp"
#include "tally/core/json.hpp"
#include "tally/core/store.hpp"
#include "tally/dsp/error_body.hpp"
#include "tally/negotiation/received.hpp"

namespace tally::negotiation {

// A received body, parsed strictly.
struct ParsedBody {
  Json json;
  std::string message_id;  // `@id`, or empty
  std::string digest;      // hex SHA-256 of the body in JCS: another digest is another message
};
// Errors: invalid, core.json-* or negotiation.media-type.
Result<ParsedBody> parse_body(const HttpRequest& request);

HttpAnswer json_answer(int status, const Json& body);
HttpAnswer error_answer(
    dsp::Family family,
    int status,
    const Message& message,
    const dsp::KnownPids& pids,
    std::string_view pointer = {}
);
HttpAnswer error_answer(dsp::Family family, const Error& error, const dsp::KnownPids& pids);

// The answer to a repeat of a message: the one it got before, or a 400 when the same `@id` came
// with another body. nullopt: not seen yet.
Result<std::optional<HttpAnswer>> known_answer(
    Store& store,
    std::string_view process,
    const ParsedBody& body,
    dsp::Family family,
    const dsp::KnownPids& pids
);
std::optional<StoredAnswer> remember(
    std::string_view process, const ParsedBody& body, const HttpAnswer& answer
);

Json to_json(const PartyId& party);
PartyId party_from_json(const Json& json);
Json to_json(const Message& message);
std::optional<Message> message_from_json(const Json& json);
// The body of a row that we wrote ourselves. Errors: internal (negotiation.row-unreadable).
Result<Json> parse_row(const Row& row);
// A JSON object as text with further members behind its own, each of which is text already.
std::string with_members(
    std::string object, const std::vector<std::pair<std::string_view, std::string_view>>& members
);
// A string member, or empty.
std::string text_of(const Json& object, std::string_view key);

// At most `bytes` of UTF-8 text, never inside a character.
std::string cut_text(std::string text, std::size_t bytes);

// The message with parameters that fit into a row and a record, whoever wrote them.
Message bounded(Message message);

// Ids that peers choose stand in rows, URLs and records. Errors: invalid
// (negotiation.id-malformed): empty, longer than 2048 bytes, or with blanks or control characters.
Result<void> check_id(std::string_view id, std::string_view pointer);

// The `reason` list of a termination message of ours: the sentence in English for any peer, and the
// code with its parameters for one that has the same table.
std::vector<Json> reason_list(const Message& message);
// What a peer's `code` and `reason` say: its code and parameters when it is a Tally, else its words
// as parameters of `foreign`.
Message reason_from(
    std::string_view foreign, const std::string& code, const std::vector<Json>& reason
);

// A message of ours within a process: with an `@id` of its own and both pids.
template <class Type>
Type addressed(const dsp::KnownPids& pids, Random& random) {
  Type message;
  message.id = new_pid(random).value;
  message.provider_pid = pids.provider;
  message.consumer_pid = pids.consumer;
  return message;
}

// The message that is being sent: `body` under `url`, with the request's own headers.
OutgoingMessage outgoing(
    std::string id,
    std::string process,
    const PartyId& to,
    std::string url,
    const HttpRequest& request,
    Instant now
);
// The same for a message that is nothing but its body; its `@id` is the id.
OutgoingMessage outgoing(
    std::string process, const PartyId& to, std::string url, const Json& body, Instant now
);

}  // namespace tally::negotiation
