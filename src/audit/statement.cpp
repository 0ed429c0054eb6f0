#include "tally/audit/statement.hpp"

#include <cstdlib>

#include <nlohmann/json.hpp>

#include "tally/audit/signed_json.hpp"
#include "tally/core/json.hpp"

#include "text_form.hpp"

namespace tally::audit {
namespace {

constexpr std::string_view kind = "tally/statement/v1";

tl::unexpected<Error> malformed() {
  return fail(ErrorKind::invalid, {"audit.statement-malformed", {}});
}

// The code of the first reason that a refusal gives.
std::string code_of(const Json& reason) {
  const Json& first = reason.is_array() && !reason.empty() ? reason.front() : reason;
  return first.is_object() ? first.value("code", std::string()) : std::string();
}

std::optional<std::uint64_t> number_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned()) return std::nullopt;
  return found->get<std::uint64_t>();
}

const Json& object_of(const Json& object, const char* key) {
  static const Json none = Json::object();
  const auto found = object.find(key);
  return found != object.end() && found->is_object() ? *found : none;
}

}  // namespace

bool UseSums::add(const RecordView& record) {
  if (record.type == "use.permitted") {
    ++uses;
  } else if (record.type == "use.aborted") {
    --uses;
  } else if (record.type == "use.denied") {
    ++refusals[code_of(Json::parse(record.raw("reason"), nullptr, false))];
  } else if (record.type == "use.executed") {
    const Json done = Json::parse(record.raw("uses"), nullptr, false);
    for (const Json& use : done.is_array() ? done : Json::array()) {
      if (!use.is_object()) continue;
      bytes += number_of(use, "bytes").value_or(0);
      if (const auto count = number_of(use, "rows")) rows = rows.value_or(0) + *count;
    }
  } else {
    return false;
  }
  const std::string aseq(record.raw("aseq"));
  to = std::strtoull(aseq.c_str(), nullptr, 10);
  if (from == 0) from = to;
  if (since.empty()) since = record.time;
  until = record.time;
  return true;
}

Json UseSums::to_json() const {
  Json json{
      {"aseq", {{"from", from}, {"to", to}}},
      {"bytes", bytes},
      {"period", {{"from", since}, {"until", until}}},
      {"refusals", Json(refusals)},
      {"uses", uses}};
  if (rows) json["rows"] = *rows;
  return json;
}

Result<UseSums> parse_use_sums(const Json& json) {
  if (!json.is_object()) return malformed();
  const Json& aseq = object_of(json, "aseq");
  const Json& period = object_of(json, "period");
  const auto from = number_of(aseq, "from");
  const auto to = number_of(aseq, "to");
  const auto bytes = number_of(json, "bytes");
  auto since = string_member(period, "from", "");
  auto until = string_member(period, "until", "");
  const auto uses = json.find("uses");
  if (!from || !to || *from == 0 || *from > *to || !bytes || !since || !until ||
      uses == json.end() || !uses->is_number_integer()) {
    return malformed();
  }
  UseSums sums;
  sums.from = *from;
  sums.to = *to;
  sums.since = std::move(*since);
  sums.until = std::move(*until);
  sums.uses = uses->get<std::int64_t>();
  sums.bytes = *bytes;
  sums.rows = number_of(json, "rows");
  if (json.contains("rows") && !sums.rows) return malformed();
  for (const auto& [code, count] : object_of(json, "refusals").items()) {
    if (!count.is_number_unsigned()) return malformed();
    sums.refusals[code] = count.get<std::uint64_t>();
  }
  // Nothing beside what was read: two texts never mean the same sums.
  const Json again = sums.to_json();
  for (const auto& [key, value] : again.items()) {
    if (!json.contains(key) || json.at(key) != value) return malformed();
  }
  return sums;
}

Result<std::string> sign_statement(
    const Statement& statement, const VerifierKey& key, const Signer& signer
) {
  Json content = statement.sums.to_json();
  content["agreement"] = statement.agreement.value;
  content["number"] = statement.number;
  content["log"] = {
      {"origin", statement.origin},
      {"root", digest_text(statement.root)},
      {"size", statement.size}};
  if (statement.asserted) content["assurance"] = "asserted";
  return sign_json(kind, to_jcs(content), key, signer);
}

Result<Statement> verify_statement(std::string_view note, const VerifierKey& key) {
  const auto content = open_signed_json(note, kind, key);
  if (!content) return tl::unexpected(content.error());
  auto sums = parse_use_sums(*content);
  if (!sums) return fail(std::move(sums));
  auto agreement = string_member(*content, "agreement", "");
  const auto number = number_of(*content, "number");
  const Json& log = object_of(*content, "log");
  auto origin = string_member(log, "origin", "");
  const auto size = number_of(log, "size");
  const auto root_text = string_member(log, "root", "");
  if (!agreement || !number || *number == 0 || !origin || !size || !root_text) return malformed();
  constexpr std::string_view prefix = "sha256:";
  if (!root_text->starts_with(prefix)) return malformed();
  const auto root = to_digest(from_hex(std::string_view(*root_text).substr(prefix.size())));
  if (!root || digest_text(*root) != *root_text) return malformed();
  const auto assurance = content->find("assurance");
  if (assurance != content->end() && *assurance != "asserted") return malformed();
  return Statement{
      AgreementId(std::move(*agreement)),
      *number,
      std::move(*sums),
      std::move(*origin),
      *size,
      *root,
      assurance != content->end()};
}

}  // namespace tally::audit
