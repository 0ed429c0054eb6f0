#include "chain.hpp"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "tally/audit/note.hpp"
#include "tally/core/number.hpp"

#include "record_scan.hpp"
#include "stamp.hpp"

namespace tally::audit {
namespace {

constexpr std::string_view time_pattern = "0000-00-00T00:00:00.000000Z";
constexpr std::string_view uuid_pattern = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

// The members that tie a record to its log, each looked up once.
struct LinkMembers {
  std::string_view agreement;
  std::string_view aprev;
  std::string_view aseq;
  std::string_view clock;
  std::string_view event;
  std::string_view log;
  std::string_view prev;
  std::string_view private_;
  std::string_view seq;
  std::string_view time;
  std::string_view type;
  std::string_view v;

  explicit LinkMembers(const RecordScan& scan) {
    for (std::size_t i = 0; i < scan.count(); ++i) {
      const RawMember member = scan.member(i);
      if (std::string_view* const place = place_of(member.key)) *place = member.value;
    }
  }

 private:
  std::string_view* place_of(std::string_view key) {
    switch (key.size()) {
      case 1:
        return key == "v" ? &v : nullptr;
      case 3:
        return key == "seq" ? &seq : key == "log" ? &log : nullptr;
      case 4:
        return key == "prev"   ? &prev
               : key == "time" ? &time
               : key == "type" ? &type
               : key == "aseq" ? &aseq
                               : nullptr;
      case 5:
        return key == "event"   ? &event
               : key == "aprev" ? &aprev
               : key == "clock" ? &clock
                                : nullptr;
      case 7:
        return key == "private" ? &private_ : nullptr;
      case 9:
        return key == "agreement" ? &agreement : nullptr;
      default:
        return nullptr;
    }
  }
};

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
  // No branch for each digit: they are random, and half of the guesses would be wrong.
  static constexpr std::array<char, 256> pattern_of = [] {
    std::array<char, 256> kinds{};
    for (const char c : std::string_view("0123456789abcdef")) {
      kinds[static_cast<unsigned char>(c)] = 'x';
    }
    kinds[static_cast<unsigned char>('-')] = '-';
    return kinds;
  }();
  if (text.size() != uuid_pattern.size()) return false;
  unsigned differs = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    differs |=
        static_cast<unsigned>(pattern_of[static_cast<unsigned char>(text[i])] ^ uuid_pattern[i]);
  }
  return differs == 0;
}

Chain::Chain(State state) : state_(std::move(state)) {
  if (state_.genesis) log_ = quote(state_.genesis->origin);
}

std::optional<ChainFault> Chain::take(
    std::string_view text, std::string_view file, std::uint64_t offset, RecordView& view
) {
  return take(text, leaf_hash(text), file, offset, view);
}

std::optional<ChainFault> Chain::take(
    std::string_view text,
    const Digest& leaf,
    std::string_view file,
    std::uint64_t offset,
    RecordView& view
) {
  const std::uint64_t seq = state_.size;
  view.seq = seq;
  view.text = text;
  view.file = file;
  view.offset = offset;
  view.leaf = leaf;
  view.type = view.event = view.time = view.commitment = {};
  view.agreement.clear();

  const RecordScan scan = scan_record(text);
  if (!scan.canonical) {
    return fault("canonical", seq, {{"byte", std::to_string(scan.fault)}});
  }
  const LinkMembers links(scan);
  view.type = plain_content(links.type);
  view.event = plain_content(links.event);
  view.time = plain_content(links.time);
  view.commitment = plain_content(links.private_);
  if (const std::string_view plain = plain_content(links.agreement); !plain.empty()) {
    view.agreement = plain;
  } else {
    view.agreement = unquote(links.agreement);
  }

  if (links.v != "1") return fault("member", seq, {{"member", "v"}});
  const auto found_seq = whole_number(links.seq);
  if (!found_seq) return fault("member", seq, {{"member", "seq"}});
  if (*found_seq != seq) {
    return fault("seq", seq, {{"found", std::to_string(*found_seq)}});
  }
  if (!is_hex_of(plain_content(links.prev), state_.leaf)) return fault("prev", seq, {});

  // The type and what it must carry.
  if (type_ == nullptr || type_->name != view.type) type_ = find_record_type(view.type);
  if (type_ == nullptr) return fault("type", seq, {{"type", std::string(view.type)}});
  for (const std::string_view member : type_->required) {
    if (scan.value(member).empty()) return fault("member", seq, {{"member", std::string(member)}});
  }
  if (!is_uuid(view.event)) return fault("member", seq, {{"member", "event"}});

  const std::string_view clock = plain_content(links.clock);
  if ((view.type == "log.genesis") != (seq == 0)) return fault("genesis", seq, {});
  std::optional<Genesis> genesis;
  if (seq == 0) {
    genesis = parse_genesis(scan, text);
    if (!genesis) return fault("genesis", seq, {});
  }
  const Genesis& of_log = seq == 0 ? *genesis : *state_.genesis;
  if (seq != 0 && links.log != log_) return fault("log", seq, {});
  if ((clock == "test") != of_log.test) return fault("clock", seq, {});

  // The records of a batch share their time.
  const bool same_time = view.time == state_.time && seq != 0;
  if (!same_time && !is_record_time(view.time)) {
    return fault("member", seq, {{"member", "time"}});
  }
  if (view.time < state_.time) {
    return fault("time", seq, {{"time", std::string(view.time)}, {"before", state_.time}});
  }

  // Not taken while it may still fail: a copy, for so rare a record.
  std::optional<LogKeys> keys;
  if (view.type == "key.rotated") {
    keys = state_.keys;
    const auto rotated = keys->rotate(seq, text_member(scan, "note"));
    if (!rotated || keys->current().text() != text_member(scan, "vkey")) {
      return fault("key", seq, {});
    }
  }

  // What was pruned follows on what was pruned before, and ends before the record of it.
  std::optional<Pruned> pruned;
  if (view.type == "retention.pruned") {
    pruned = parse_pruned(view);
    const std::uint64_t first = state_.pruned ? state_.pruned->to : 0;
    if (!pruned || pruned->from != first || pruned->to <= first || pruned->to > seq) {
      return fault("pruned", seq, {});
    }
  }

  if (!view.agreement.empty()) {
    // An agreement without a record has the leaf of zeros, as `aprev` says it.
    const auto known = state_.agreements.find(view.agreement);
    const AgreementHead before = known != state_.agreements.end() ? known->second : AgreementHead{};
    if (whole_number(links.aseq) != before.aseq + 1) {
      return fault("aseq", seq, {{"agreement", view.agreement}});
    }
    if (!is_hex_of(plain_content(links.aprev), before.leaf)) {
      return fault("aprev", seq, {{"agreement", view.agreement}});
    }
    AgreementHead& head =
        known != state_.agreements.end() ? known->second : state_.agreements[view.agreement];
    head = {before.aseq + 1, view.leaf, seq + 1};
  } else if (!links.aseq.empty() || !links.aprev.empty()) {
    return fault("aseq", seq, {{"agreement", ""}});
  }

  state_.heads_due = heads_due_after(view.type, state_.heads_due);
  if (genesis) {
    state_.keys = LogKeys(*parse_verifier_key(genesis->vkey));
    log_ = links.log;
    state_.genesis = std::move(genesis);
  }
  if (keys) state_.keys = *std::move(keys);
  if (pruned) state_.pruned = pruned;
  state_.leaf = view.leaf;
  if (!same_time) state_.time = view.time;
  ++state_.size;
  return std::nullopt;
}

}  // namespace tally::audit
