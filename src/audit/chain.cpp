#include "chain.hpp"

#include <algorithm>
#include <charconv>

#include <nlohmann/json.hpp>

#include "tally/audit/note.hpp"
#include "tally/audit/record_types.hpp"

#include "record_scan.hpp"
#include "stamp.hpp"

namespace tally::audit {
namespace {

constexpr std::string_view time_pattern = "0000-00-00T00:00:00.000000Z";
constexpr std::string_view uuid_pattern = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
const std::string no_leaf(64, '0');

std::optional<std::uint64_t> unsigned_member(const RecordScan& scan, std::string_view key) {
  const std::string_view text = scan.value(key);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

// A string member's characters, escapes undone.
std::string text_member(const RecordScan& scan, std::string_view key) {
  return unquote(scan.value(key));
}

ChainFault fault(
    std::string_view link, std::uint64_t seq, std::map<std::string, std::string> more
) {
  more["seq"] = std::to_string(seq);
  return {std::string(link), {"audit.link-" + std::string(link), std::move(more)}};
}

std::optional<Genesis> parse_genesis(const RecordScan& scan, std::string_view text) {
  if (text_member(scan, "suite") != "sha256-ed25519") return std::nullopt;
  const Json record = Json::parse(text, nullptr, false);
  const auto actor = record.find("actor");
  if (actor == record.end() || !actor->is_object() || !actor->contains("domain") ||
      !actor->contains("uri") || !(*actor)["domain"].is_string() || !(*actor)["uri"].is_string() ||
      !record["test"].is_boolean()) {
    return std::nullopt;
  }
  Genesis genesis;
  genesis.origin = text_member(scan, "log");
  genesis.actor = {(*actor)["domain"], (*actor)["uri"]};
  genesis.vkey = text_member(scan, "vkey");
  genesis.test = record["test"];
  const auto key = parse_verifier_key(genesis.vkey);
  if (genesis.origin.empty() || genesis.actor.empty() || !key || key->type != ed25519_type) {
    return std::nullopt;
  }
  if (const auto before = record.find("follows"); before != record.end()) {
    genesis.follows = parse_follows(*before, genesis.origin);
    if (!genesis.follows) return std::nullopt;
  }
  return genesis;
}

}  // namespace

bool is_record_time(std::string_view text) {
  if (text.size() != time_pattern.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if (time_pattern[i] == '0' ? !digit : text[i] != time_pattern[i]) return false;
  }
  return true;
}

bool is_uuid(std::string_view text) {
  if (text.size() != uuid_pattern.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool hex = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
    if (uuid_pattern[i] == 'x' ? !hex : text[i] != '-') return false;
  }
  return true;
}

std::optional<ChainFault> Chain::take(
    std::string_view text, std::string_view file, std::uint64_t offset, RecordView& view
) {
  const std::uint64_t seq = size_;
  view = RecordView{};
  view.seq = seq;
  view.text = text;
  view.file = file;
  view.offset = offset;
  view.leaf = leaf_hash(text);

  const RecordScan scan = scan_record(text);
  if (!scan.canonical) {
    return fault("canonical", seq, {{"byte", std::to_string(scan.fault)}});
  }
  view.type = scan.plain("type");
  view.event = scan.plain("event");
  view.time = scan.plain("time");
  view.agreement = text_member(scan, "agreement");

  if (scan.value("v") != "1") return fault("member", seq, {{"member", "v"}});
  const auto found_seq = unsigned_member(scan, "seq");
  if (!found_seq) return fault("member", seq, {{"member", "seq"}});
  if (*found_seq != seq) {
    return fault("seq", seq, {{"found", std::to_string(*found_seq)}});
  }
  if (scan.plain("prev") != leaf_hex_) return fault("prev", seq, {});

  // The type and what it must carry.
  const RecordType* const type = find_record_type(view.type);
  if (type == nullptr) return fault("type", seq, {{"type", std::string(view.type)}});
  for (const std::string_view member : type->required) {
    if (scan.value(member).empty()) return fault("member", seq, {{"member", std::string(member)}});
  }
  if (!is_uuid(view.event)) return fault("member", seq, {{"member", "event"}});

  const std::string_view clock = scan.plain("clock");
  if ((view.type == "log.genesis") != (seq == 0)) return fault("genesis", seq, {});
  std::optional<Genesis> genesis;
  if (seq == 0) {
    genesis = parse_genesis(scan, text);
    if (!genesis) return fault("genesis", seq, {});
  }
  const Genesis& of_log = seq == 0 ? *genesis : *genesis_;
  if (seq != 0 && text_member(scan, "log") != of_log.origin) return fault("log", seq, {});
  if ((clock == "test") != of_log.test) return fault("clock", seq, {});

  if (!is_record_time(view.time)) return fault("member", seq, {{"member", "time"}});
  if (view.time < time_) {
    return fault("time", seq, {{"time", std::string(view.time)}, {"before", time_}});
  }

  // Not taken while it may still fail: a copy, for so rare a record.
  std::optional<LogKeys> keys;
  if (view.type == "key.rotated") {
    keys = keys_;
    const auto rotated = keys->rotate(seq, text_member(scan, "note"));
    if (!rotated || keys->current().text() != text_member(scan, "vkey")) {
      return fault("key", seq, {});
    }
  }

  AgreementHead* head = nullptr;
  if (!view.agreement.empty()) {
    const auto known = agreements_.find(view.agreement);
    const AgreementHead before = known != agreements_.end() ? known->second : AgreementHead{};
    if (unsigned_member(scan, "aseq") != before.aseq + 1) {
      return fault("aseq", seq, {{"agreement", view.agreement}});
    }
    if (scan.plain("aprev") != (before.aseq == 0 ? no_leaf : to_hex(before.leaf))) {
      return fault("aprev", seq, {{"agreement", view.agreement}});
    }
    head = &agreements_[view.agreement];
  } else if (!scan.value("aseq").empty() || !scan.value("aprev").empty()) {
    return fault("aseq", seq, {{"agreement", ""}});
  }

  if (head != nullptr) *head = {head->aseq + 1, view.leaf, seq + 1};
  heads_due_ = heads_due_after(view.type, heads_due_);
  if (genesis) {
    keys_ = LogKeys(*parse_verifier_key(genesis->vkey));
    genesis_ = std::move(genesis);
  }
  if (keys) keys_ = *std::move(keys);
  leaf_ = view.leaf;
  leaf_hex_.clear();
  append_hex(leaf_hex_, leaf_);
  time_ = view.time;
  ++size_;
  return std::nullopt;
}

}  // namespace tally::audit
