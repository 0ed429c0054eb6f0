#include "tally/negotiation/exchange.hpp"

#include <iterator>
#include <utility>

#include "tally/core/digest.hpp"
#include "tally/dsp/binding.hpp"

namespace tally::negotiation {

Result<ParsedBody> parse_body(const HttpRequest& request) {
  const auto type = request.headers.get("Content-Type");
  if (!type || !dsp::is_json_media_type(*type)) {
    return fail(
        ErrorKind::invalid, {"negotiation.media-type", {{"found", std::string(type.value_or(""))}}}
    );
  }
  auto json = parse_json(request.body);
  if (!json) return fail(std::move(json));
  ParsedBody parsed;
  parsed.json = std::move(*json);
  if (!parsed.json.is_object()) {
    return fail(
        ErrorKind::invalid,
        {"core.member-type",
         {{"member", ""}, {"expected", "object"}, {"found", parsed.json.type_name()}}},
        ""
    );
  }
  parsed.message_id = text_of(parsed.json, "@id");
  for (const char* member : {"@id", "providerPid", "consumerPid", "agreementId"}) {
    const auto id = text_of(parsed.json, member);
    if (id.empty()) continue;  // whether it has to be there is for the message to say
    auto good = check_id(id, child("", member));
    if (!good) return fail(std::move(good));
  }
  parsed.digest = to_hex(sha256(to_jcs(parsed.json)));
  return parsed;
}

HttpAnswer json_answer(int status, const Json& body) {
  return {status, body.dump()};
}

HttpAnswer error_answer(
    dsp::Family family,
    int status,
    const Message& message,
    const dsp::KnownPids& pids,
    std::string_view pointer
) {
  return json_answer(status, dsp::error_body(family, status, message, pids, pointer));
}

HttpAnswer error_answer(dsp::Family family, const Error& error, const dsp::KnownPids& pids) {
  return json_answer(dsp::status_of(error.kind, family), dsp::error_body(family, error, pids));
}

Result<std::optional<HttpAnswer>> known_answer(
    Store& store,
    std::string_view process,
    const ParsedBody& body,
    dsp::Family family,
    const dsp::KnownPids& pids
) {
  if (body.message_id.empty()) return std::nullopt;
  auto stored = store.answer(process, body.message_id);
  if (!stored) return fail(std::move(stored));
  if (!*stored) return std::nullopt;
  if ((*stored)->body_digest != body.digest) {
    return error_answer(
        family, 400, {"negotiation.message-id-reused", {{"id", body.message_id}}}, pids, "/@id"
    );
  }
  return HttpAnswer{(*stored)->status, (*stored)->body};
}

std::optional<StoredAnswer> remember(
    std::string_view process, const ParsedBody& body, const HttpAnswer& answer
) {
  if (body.message_id.empty()) return std::nullopt;
  return StoredAnswer{
      std::string(process), body.message_id, body.digest, answer.status, answer.body};
}

Json to_json(const PartyId& party) {
  return {{"domain", party.domain}, {"uri", party.uri}};
}

PartyId party_from_json(const Json& json) {
  return {text_of(json, "domain"), text_of(json, "uri")};
}

Json to_json(const Message& message) {
  Json params = Json::object();
  for (const auto& [name, value] : message.params) params[name] = value;
  return {{"code", message.code}, {"params", std::move(params)}};
}

std::optional<Message> message_from_json(const Json& json) {
  Message message;
  message.code = text_of(json, "code");
  if (message.code.empty()) return std::nullopt;
  const auto params = json.find("params");
  if (params != json.end() && params->is_object()) {
    for (const auto& [name, value] : params->items()) {
      if (value.is_string()) message.params[name] = value.get<std::string>();
    }
  }
  return message;
}

Result<Json> parse_row(const Row& row) {
  auto json = Json::parse(row.body, nullptr, false);
  if (json.is_object()) return json;
  return fail(
      ErrorKind::internal, {"negotiation.row-unreadable", {{"kind", row.kind}, {"id", row.id}}}
  );
}

std::string with_members(
    std::string object, const std::vector<std::pair<std::string_view, std::string_view>>& members
) {
  object.pop_back();
  for (const auto& [name, text] : members) {
    if (object.size() > 1) object += ',';
    object.append("\"").append(name).append("\":").append(text);
  }
  object += '}';
  return object;
}

std::string text_of(const Json& object, std::string_view key) {
  if (!object.is_object()) return {};
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

namespace {

constexpr std::size_t longest_param = 400;
constexpr std::size_t most_params = 12;
constexpr std::size_t longest_id = 2048;

// The codes that another Tally may use to tell why it ended a process. Others are not taken over:
// a peer must not put words of other modules into our mouth.
bool is_told_by_peers(std::string_view code) {
  for (const std::string_view prefix : {"negotiation.", "transfer.", "identity.", "usage."}) {
    if (code.starts_with(prefix)) return true;
  }
  return false;
}

}  // namespace

std::string cut_text(std::string text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xc0U) == 0x80U) --bytes;
  return text.substr(0, bytes) + "…";
}

Message bounded(Message message) {
  message.code = cut_text(std::move(message.code), longest_param);
  while (message.params.size() > most_params) message.params.erase(std::prev(message.params.end()));
  for (auto& [name, value] : message.params) value = cut_text(std::move(value), longest_param);
  return message;
}

Result<void> check_id(std::string_view id, std::string_view pointer) {
  bool good = !id.empty() && id.size() <= longest_id;
  for (const char c : id) good = good && static_cast<unsigned char>(c) > 0x20 && c != 0x7f;
  if (good) return {};
  return fail(ErrorKind::invalid, {"negotiation.id-malformed", {}}, std::string(pointer));
}

std::vector<Json> reason_list(const Message& message) {
  return {Json(render(message, Lang::en)), to_json(message)};
}

Message reason_from(
    std::string_view foreign, const std::string& code, const std::vector<Json>& reason
) {
  for (const auto& one : reason) {
    auto message = message_from_json(one);
    if (message && is_told_by_peers(message->code)) return bounded(std::move(*message));
  }
  return bounded({std::string(foreign), {{"code", code}, {"reason", dsp::reason_text(reason)}}});
}

OutgoingMessage outgoing(
    std::string id,
    std::string process,
    const PartyId& to,
    std::string url,
    const HttpRequest& request,
    Instant now
) {
  OutgoingMessage message;
  message.id = std::move(id);
  message.process = std::move(process);
  message.to = to;
  message.method = request.method;
  message.url = std::move(url);
  Json headers = Json::object();
  for (const auto& [name, value] : request.headers.all()) headers[name] = value;
  message.headers = headers.dump();
  message.body = request.body;
  message.created = now;
  message.next_attempt = now;
  return message;
}

OutgoingMessage outgoing(
    std::string process, const PartyId& to, std::string url, const Json& body, Instant now
) {
  HttpRequest request;
  request.method = "POST";
  request.body = body.dump();
  return outgoing(text_of(body, "@id"), std::move(process), to, std::move(url), request, now);
}

}  // namespace tally::negotiation
