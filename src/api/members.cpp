#include "members.hpp"

#include <nlohmann/json.hpp>

namespace tally::api {

namespace {

constexpr std::size_t longest_said = 400;

}  // namespace

Result<PartyId> peer_member(const Json& body) {
  const auto peer = body.find("peer");
  if (peer == body.end() || !peer->is_object()) {
    return fail(ErrorKind::invalid, {"core.member-missing", {{"member", "peer"}}}, "/peer");
  }
  auto domain = string_member(*peer, "domain", "/peer");
  if (!domain) return fail(std::move(domain));
  auto uri = string_member(*peer, "uri", "/peer");
  if (!uri) return fail(std::move(uri));
  return PartyId{*domain, *uri};
}

Result<std::vector<std::string>> texts_member(const Json& body, const std::string& key) {
  std::vector<std::string> out;
  const auto member = body.find(key);
  if (member == body.end()) return out;
  const auto wrong = [&](std::string pointer) {
    return fail(
        ErrorKind::invalid,
        {"core.member-value", {{"member", key}, {"expected", "[\"…\", …]"}}},
        std::move(pointer)
    );
  };
  if (!member->is_array()) return wrong("/" + key);
  for (std::size_t i = 0; i < member->size(); ++i) {
    if (!(*member)[i].is_string()) return wrong(child("/" + key, i));
    out.push_back((*member)[i].get<std::string>());
  }
  return out;
}

Result<std::string> said_reason(const Call& call, const Limits& limits) {
  if (call.request.body.empty()) return std::string();
  const auto body = call.json(limits);
  if (!body) return tl::unexpected(body.error());
  auto words = string_member_or(*body, "reason", "", "");
  if (!words || words->size() <= longest_said) return words;
  return fail(
      ErrorKind::invalid,
      {"api.reason-too-long", {{"most", std::to_string(longest_said)}}},
      "/reason"
  );
}

void tell(Json& item, const char* member, Lang lang) {
  const auto found = item.find(member);
  if (found == item.end()) return;
  Message message{found->value("code", ""), {}};
  message.params = found->value("params", message.params);
  *found = shown_message(message, lang);
}

}  // namespace tally::api
