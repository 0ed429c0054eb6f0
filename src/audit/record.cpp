#include "tally/audit/record.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "record_scan.hpp"

namespace tally::audit {

RecordDraft::RecordDraft(std::string_view type, const EventId& event) : type_(type), event_(event) {
  members_.reserve(12);
  put("event", quote(event.value));
  put("type", quote(type));
}

RecordDraft& RecordDraft::put(std::string_view key, std::string value) {
  const auto at = std::lower_bound(
      members_.begin(),
      members_.end(),
      key,
      [](const Member& member, std::string_view wanted) { return member.key < wanted; }
  );
  if (at != members_.end() && at->key == key) {
    bytes_ = bytes_ - at->value.size() + value.size();
    at->value = std::move(value);
  } else {
    bytes_ += key.size() + value.size() + 4;  // quotes, colon, comma
    members_.insert(at, Member{std::string(key), std::move(value)});
  }
  return *this;
}

RecordDraft& RecordDraft::about(const AgreementId& agreement) {
  agreement_ = agreement.value;
  if (agreement.empty()) return *this;
  return put("agreement", quote(agreement.value));
}

RecordDraft& RecordDraft::set(std::string_view key, std::string_view text) {
  return put(key, quote(text));
}
RecordDraft& RecordDraft::set(std::string_view key, const char* text) {
  return put(key, quote(text));
}
RecordDraft& RecordDraft::set(std::string_view key, std::int64_t number) {
  return put(key, std::to_string(number));
}
RecordDraft& RecordDraft::set(std::string_view key, std::uint64_t number) {
  return put(key, std::to_string(number));
}
RecordDraft& RecordDraft::set(std::string_view key, int number) {
  return put(key, std::to_string(number));
}
RecordDraft& RecordDraft::set(std::string_view key, bool value) {
  return put(key, value ? "true" : "false");
}
RecordDraft& RecordDraft::set(std::string_view key, const Digest& digest) {
  return put(key, quote(digest_text(digest)));
}
RecordDraft& RecordDraft::set(std::string_view key, const PartyId& party) {
  return put(key, "{\"domain\":" + quote(party.domain) + ",\"uri\":" + quote(party.uri) + "}");
}
RecordDraft& RecordDraft::set(std::string_view key, const Message& message) {
  std::string text = "{\"code\":" + quote(message.code) + ",\"params\":{";
  bool first = true;
  for (const auto& [name, value] : message.params) {
    if (!first) text += ',';
    first = false;
    text += quote(name) + ":" + quote(value);
  }
  return put(key, text + "}}");
}
RecordDraft& RecordDraft::set_json(std::string_view key, const Json& value) {
  return put(key, to_jcs(value));
}
RecordDraft& RecordDraft::set_canonical(std::string_view key, std::string_view jcs) {
  return put(key, std::string(jcs));
}

bool RecordDraft::has(std::string_view key) const {
  return std::any_of(members_.begin(), members_.end(), [key](const Member& member) {
    return member.key == key;
  });
}

std::string RecordDraft::to_text() const {
  std::string text;
  text.reserve(bytes_ + 2);
  text += '{';
  for (const Member& member : members_) {
    if (text.size() > 1) text += ',';
    text += quote(member.key) + ":" + member.value;
  }
  text += '}';
  return text;
}

Result<RecordDraft> RecordDraft::parse(std::string_view text) {
  const RecordScan scan = scan_record(text);
  const std::string_view type = scan.plain("type");
  const std::string_view event = scan.plain("event");
  if (!scan.canonical || type.empty() || event.empty()) {
    return fail(
        ErrorKind::invalid, {"audit.draft-invalid", {{"type", std::string(type)}, {"member", "{}"}}}
    );
  }
  RecordDraft draft(type, EventId(std::string(event)));
  for (std::size_t i = 0; i < scan.count(); ++i) {
    const RawMember member = scan.member(i);
    if (member.key == "agreement") {
      draft.about(AgreementId(unquote(member.value)));
    } else if (member.key != "type" && member.key != "event") {
      draft.put(member.key, std::string(member.value));
    }
  }
  return draft;
}

std::string_view RecordView::raw(std::string_view key) const {
  return find_member(text, key);
}

Json RecordView::json() const {
  return Json::parse(text, nullptr, false);
}

Digest leaf_hash(std::string_view record) {
  thread_local Sha256 hash;
  static constexpr std::uint8_t leaf_prefix = 0;
  hash.update({&leaf_prefix, 1});
  hash.update(record);
  return hash.finish();
}

}  // namespace tally::audit
