// A record before and after it stands in the log (docs/audit-log-format.md, "Record").
//
// A draft is everything of a record but what the log writer alone stamps: v, log, seq, time, prev,
// aseq, aprev, clock. It keeps its members as canonical JSON texts in key order, so that the writer
// splices its own in and serialises nothing. A view is a record as it was read. Both are values;
// neither does any I/O.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "tally/core/digest.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/instant.hpp"
#include "tally/core/json.hpp"
#include "tally/core/message.hpp"
#include "tally/core/result.hpp"

namespace tally::audit {

// One member of a record: its name and its value in canonical JSON (RFC 8785).
struct Member {
  std::string key;
  std::string value;
  bool operator==(const Member&) const = default;
};

// RecordDraft draft("use.permitted", event);
// draft.about(agreement).set("purpose", purpose).set_json("decision", decision);
class RecordDraft {
 public:
  RecordDraft() = default;
  RecordDraft(std::string_view type, const EventId& event);

  // The agreement whose own sequence (aseq, aprev) this record continues.
  RecordDraft& about(const AgreementId& agreement);
  // Sets a member; a second call with the same key replaces. Keys are ASCII. A key that the writer
  // stamps, or a value with a float in it, makes the writer refuse the draft (audit.draft-invalid).
  RecordDraft& set(std::string_view key, std::string_view text);  // a JSON string
  RecordDraft& set(std::string_view key, const char* text);
  RecordDraft& set(std::string_view key, std::int64_t number);
  RecordDraft& set(std::string_view key, std::uint64_t number);
  RecordDraft& set(std::string_view key, int number);
  RecordDraft& set(std::string_view key, bool value);
  RecordDraft& set(std::string_view key, const Digest& digest);    // "sha256:<hex>"
  RecordDraft& set(std::string_view key, const PartyId& party);    // {domain, uri}
  RecordDraft& set(std::string_view key, const Message& message);  // {code, params}
  RecordDraft& set_json(std::string_view key, const Json& value);
  // `jcs` is canonical JSON already, computed once and used often. The writer does not check it
  // again; verify would.
  RecordDraft& set_canonical(std::string_view key, std::string_view jcs);

  [[nodiscard]] const std::string& type() const { return type_; }
  [[nodiscard]] const EventId& event() const { return event_; }
  [[nodiscard]] const std::string& agreement() const { return agreement_; }  // empty: none
  // In key order, with type, event and agreement among them.
  [[nodiscard]] const std::vector<Member>& members() const { return members_; }
  [[nodiscard]] bool has(std::string_view key) const;
  [[nodiscard]] std::size_t bytes() const { return bytes_; }  // of keys and values

  // The draft as one canonical JSON object, for the outbox (DraftRow::draft), and back.
  [[nodiscard]] std::string to_text() const;
  static Result<RecordDraft> parse(std::string_view text);

  bool operator==(const RecordDraft&) const = default;

 private:
  RecordDraft& put(std::string_view key, std::string value);

  std::string type_;
  EventId event_;
  std::string agreement_;
  std::vector<Member> members_;
  std::size_t bytes_ = 0;
};

// What the writer says of a record that is durable.
struct Appended {
  std::uint64_t seq = 0;
  Digest leaf{};  // RFC 6962 leaf hash of the record's bytes
  Instant time;
};

// A record as it stands in a log. The texts point into `text`, which outlives the view only where
// the callback that hands it out says so.
struct RecordView {
  std::uint64_t seq = 0;
  Digest leaf{};
  std::string_view text;  // the exact bytes
  std::string_view type;  // these four never hold an escape
  std::string_view event;
  std::string_view time;
  std::string_view commitment;  // `private`; empty: no fact about a person beside it
  std::string agreement;        // empty: none
  std::string_view file;        // where it stands
  std::uint64_t offset = 0;

  // The canonical JSON of one top-level member, or empty when absent. Fast: no tree is built.
  [[nodiscard]] std::string_view raw(std::string_view key) const;
  [[nodiscard]] Json json() const;  // the whole record
};

// SHA-256(0x00 || record): both the leaf of the tree (RFC 6962) and the `prev` of the next record.
Digest leaf_hash(std::string_view record);

}  // namespace tally::audit
