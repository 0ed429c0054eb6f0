#include "deep.hpp"

#include <array>

#include <nlohmann/json.hpp>

#include "tally/core/digest.hpp"
#include "tally/core/json.hpp"

namespace tally::audit {

namespace {

// The form of the members that section 3.2 fixes.
enum class Form { text, number, digest, party, object, list, message };
struct MemberForm {
  std::string_view key;
  Form form;
};
// A table reads by rows.
// clang-format off
constexpr std::array forms = {
    MemberForm{"actor", Form::party},
    MemberForm{"agreement", Form::text},
    MemberForm{"asset", Form::text},
    MemberForm{"certificate", Form::text},
    MemberForm{"counterparty", Form::party},
    MemberForm{"digests", Form::object},
    MemberForm{"decision", Form::object},
    MemberForm{"inputs", Form::list},
    MemberForm{"offer", Form::text},
    MemberForm{"outputs", Form::list},
    MemberForm{"peer", Form::object},
    MemberForm{"pid", Form::text},
    MemberForm{"plain", Form::object},
    MemberForm{"private", Form::digest},
    MemberForm{"reason", Form::message},
    MemberForm{"receipt", Form::digest},
    MemberForm{"rules", Form::list},
    MemberForm{"use", Form::text},
    MemberForm{"uses", Form::list},
};
// clang-format on

bool has_text(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string();
}

bool is_message(const Json& value) {
  return value.is_object() && has_text(value, "code") &&
         (!value.contains("params") || value.at("params").is_object());
}

bool has_form(const Json& value, Form form) {
  switch (form) {
    case Form::text:
      return value.is_string();
    case Form::number:
      return value.is_number_integer();
    case Form::digest:
      return value.is_string() && parse_digest_text(value.get_ref<const std::string&>());
    case Form::party:
      return value.is_object() && has_text(value, "domain") && has_text(value, "uri");
    case Form::object:
      return value.is_object();
    case Form::list:
      return value.is_array();
    case Form::message:
      if (!value.is_array()) return is_message(value);
      for (const Json& one : value) {
        if (!is_message(one)) return false;
      }
      return true;
  }
  return false;
}

std::string text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::int64_t number_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

// What a record does to the ledger entry of its agreement; nullopt: nothing. `ledger` says it
// outright where it is there.
std::optional<bool> closes(const RecordView& record, const Json& json) {
  const std::string ledger = text_of(json, "ledger");
  if (!ledger.empty()) return ledger != "open";
  if (record.type == "contract.terminated" || record.type == "policy.revoked" ||
      record.type == "policy.expired") {
    return true;
  }
  return std::nullopt;
}

Message broken(std::string_view rule, const RecordView& record, std::string what) {
  return {
      "audit.rule-" + std::string(rule),
      {{"seq", std::to_string(record.seq)},
       {"agreement", record.agreement},
       {"what", std::move(what)}}};
}

}  // namespace

std::optional<DeepCheck::Fault> DeepCheck::take(const RecordView& record) {
  const auto seq = std::to_string(record.seq);
  const Json json = record.json();
  if (!json.is_object() || to_jcs(json) != record.text) {
    return Fault{"canonical", {"audit.link-canonical", {{"seq", seq}, {"byte", "0"}}}};
  }
  for (const MemberForm& one : forms) {
    const auto found = json.find(one.key);
    if (found == json.end() || has_form(*found, one.form)) continue;
    return Fault{"form", {"audit.link-form", {{"seq", seq}, {"member", std::string(one.key)}}}};
  }
  if (record.agreement.empty()) return std::nullopt;
  if (auto rule = rule_broken(record, json)) return Fault{"rule", *std::move(rule)};
  return std::nullopt;
}

std::optional<Message> DeepCheck::rule_broken(const RecordView& record, const Json& json) {
  OfAgreement& of = agreements_[record.agreement];
  if (const auto closing = closes(record, json)) of.closed = *closing;

  if (record.type == "contract.finalized") {
    const std::string role = text_of(json, "role");
    const auto limits = json.find("limits");
    if (limits == json.end() || !limits->is_array()) return std::nullopt;
    for (const Json& limit : *limits) {
      if (!limit.is_object() || text_of(limit, "owner") != role) continue;
      of.allowed[text_of(limit, "rule")] = number_of(limit, "allowed");
    }
  } else if (record.type == "transfer.started") {
    of.started.insert(text_of(json, "pid"));
  } else if (record.type == "transfer.sent") {
    const std::string pid = text_of(json, "pid");
    if (!of.started.contains(pid)) return broken("sent-before-started", record, pid);
  } else if (record.type == "receipt.held") {
    of.receipts.insert(text_of(json, "receipt"));
  } else if (record.type == "key.released") {
    const std::string receipt = text_of(json, "receipt");
    if (!of.receipts.contains(receipt)) return broken("key-before-receipt", record, receipt);
  } else if (record.type == "obligation.due") {
    of.due = true;
  } else if (record.type == "data.destroyed") {
    if (!of.due) return broken("destroyed-before-due", record, {});
  } else if (record.type == "use.permitted") {
    return permit_broken(of, record, json);
  } else if (record.type == "use.executed" || record.type == "use.aborted" ||
             record.type == "use.interrupted") {
    return end_broken(of, record, json);
  }
  return std::nullopt;
}

std::optional<Message> DeepCheck::permit_broken(
    OfAgreement& of, const RecordView& record, const Json& json
) {
  if (of.closed) return broken("permitted-after-end", record, {});
  Use use;
  for (const Json& rule : json.at("rules")) {
    if (!rule.is_object()) continue;
    const std::string id = text_of(rule, "id");
    use.adds[id] += number_of(rule, "n");
  }
  for (const auto& [id, n] : use.adds) {
    const std::int64_t count = of.counted[id] += n;
    const auto most = of.allowed.find(id);
    if (most != of.allowed.end() && count > most->second) return broken("over-limit", record, id);
  }
  of.uses.emplace(std::string(record.event), std::move(use));
  return std::nullopt;
}

std::optional<Message> DeepCheck::end_broken(
    OfAgreement& of, const RecordView& record, const Json& json
) {
  const auto end = [&](const std::string& id) -> std::optional<Message> {
    const auto found = of.uses.find(id);
    if (found == of.uses.end()) return broken("use-unknown", record, id);
    // What has ended otherwise is not given back, and what was given back did not happen.
    const bool gives_back = record.type == "use.aborted";
    if (found->second.ended && gives_back) return broken("use-ended", record, id);
    found->second.ended = true;
    if (!gives_back) return std::nullopt;
    for (const auto& [rule, n] : found->second.adds) of.counted[rule] -= n;
    of.uses.erase(found);
    return std::nullopt;
  };
  if (record.type != "use.executed") return end(text_of(json, "use"));
  for (const Json& use : json.at("uses")) {
    if (!use.is_object()) return broken("use-unknown", record, {});
    if (auto fault = end(text_of(use, "use"))) return fault;
  }
  return std::nullopt;
}

}  // namespace tally::audit
