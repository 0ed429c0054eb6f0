#include "tally/audit/use_receipt.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "tally/audit/record.hpp"

#include "merkle.hpp"
#include "record_scan.hpp"
#include "stamp.hpp"
#include "text_form.hpp"

namespace tally::audit {
namespace {

constexpr std::string_view kind = "tally/use-receipt/v1";
constexpr std::string_view signed_kind = "tally/use-receipts/v1";
constexpr std::size_t most_receipt_bytes = 16 << 10;
constexpr std::size_t most_path_hashes = 6;
static_assert(most_receipts_of_a_signature == std::size_t{1} << most_path_hashes);
// Neither a leaf nor a node of the log or of the map of heads.
constexpr std::uint8_t leaf_prefix = 0x05;
constexpr std::uint8_t node_prefix = 0x06;
constexpr std::string_view first_line = "tally/proven-use/v1";
constexpr std::string_view type = "use.permitted";

tl::unexpected<Error> malformed() {
  return fail(ErrorKind::invalid, {"audit.use-receipt-malformed", {}});
}

std::optional<std::uint64_t> number_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned()) return std::nullopt;
  return found->get<std::uint64_t>();
}

// A text of the header, or nullopt.
std::optional<std::string> from_header(std::string_view line) {
  const auto bytes = from_base64(line);
  if (!bytes || bytes->size() > most_receipt_bytes) return std::nullopt;
  std::string receipt(bytes->begin(), bytes->end());
  if (!receipt.starts_with(kind)) return std::nullopt;
  return receipt;
}

Digest receipt_leaf(std::string_view jcs) {
  Sha256 hash;
  hash.update(std::span(&leaf_prefix, 1));
  hash.update(jcs);
  return hash.finish();
}

Digest receipt_node(const Digest& left, const Digest& right) {
  return hash_pair(node_prefix, left, right);
}

// RFC 6962's tree, level by level from the leaves to the root; what has no sibling moves up as it
// is.
std::vector<std::vector<Digest>> levels_over(std::span<const std::string> contents) {
  std::vector<std::vector<Digest>> levels(1);
  for (const std::string& jcs : contents) levels.front().push_back(receipt_leaf(jcs));
  while (levels.back().size() > 1) {
    const std::vector<Digest>& below = levels.back();
    std::vector<Digest> level;
    for (std::size_t at = 0; at + 1 < below.size(); at += 2) {
      level.push_back(receipt_node(below[at], below[at + 1]));
    }
    if (below.size() % 2 != 0) level.push_back(below.back());
    levels.push_back(std::move(level));
  }
  return levels;
}

Result<UseReceipt> read_content(std::string_view jcs) {
  const auto content = parse_json(jcs);
  if (!content || !content->is_object() || to_jcs(*content) != jcs) return malformed();
  auto action = string_member(*content, "action", "");
  auto agreement = string_member(*content, "agreement", "");
  const auto hex = string_member(*content, "leaf", "");
  auto origin = string_member(*content, "origin", "");
  const auto seq = number_of(*content, "seq");
  auto time = string_member(*content, "time", "");
  auto use = string_member(*content, "use", "");
  if (!action || !agreement || !hex || !origin || !seq || !time || !use) return malformed();
  const auto leaf = to_digest(from_hex(*hex));
  if (!leaf || to_hex(*leaf) != *hex) return malformed();
  return UseReceipt{
      std::move(*action),
      AgreementId(std::move(*agreement)),
      *leaf,
      std::move(*origin),
      *seq,
      std::move(*time),
      UseId(std::move(*use))};
}

// A receipt taken apart; nothing is verified.
struct Parts {
  std::string_view content;
  std::uint64_t index = 0;
  Proof path;
  std::string_view note;
};

std::optional<Parts> take_apart(std::string_view receipt) {
  if (receipt.size() > most_receipt_bytes || take_line(receipt) != kind) return std::nullopt;
  const auto content = take_line(receipt);
  const auto place = take_line(receipt);
  if (!content || !place) return std::nullopt;
  const auto index = parse_number(*place, most_receipts_of_a_signature - 1);
  if (!index) return std::nullopt;
  Parts parts{*content, *index, {}, {}};
  for (auto line = take_line(receipt);; line = take_line(receipt)) {
    if (!line) return std::nullopt;
    if (line->empty()) break;
    const auto hash = to_digest(from_base64(*line));
    if (!hash || parts.path.size() == most_path_hashes) return std::nullopt;
    parts.path.push_back(*hash);
  }
  parts.note = receipt;
  return parts;
}

// What one signature is over.
struct Signed {
  std::uint64_t count = 0;
  Digest root{};
};

std::optional<Signed> read_signed(std::string_view text) {
  if (take_line(text) != signed_kind) return std::nullopt;
  const auto size = take_line(text);
  const auto hash = take_line(text);
  if (!size || !hash || !text.empty()) return std::nullopt;
  const auto count = parse_number(*size, most_receipts_of_a_signature);
  const auto root = to_digest(from_base64(*hash));
  if (!count || !root) return std::nullopt;
  return Signed{*count, *root};
}

}  // namespace

std::string UseReceipt::jcs() const {
  // Written in place: one for each call, and a tree of it would be felt.
  std::string text;
  text.reserve(512);
  text += "{\"action\":";
  text += quote(action);
  text += ",\"agreement\":";
  text += quote(agreement.value);
  text += ",\"leaf\":\"";
  append_hex(text, leaf);
  text += "\",\"origin\":";
  text += quote(origin);
  text += ",\"seq\":";
  text += std::to_string(seq);
  text += ",\"time\":";
  text += quote(time);
  text += ",\"use\":";
  text += quote(use.value);
  text += '}';
  return text;
}

Result<std::vector<std::string>> sign_use_receipts(
    std::span<const std::string> contents, const VerifierKey& key, const Signer& signer
) {
  const auto levels = levels_over(contents);
  std::string text(signed_kind);
  text += '\n';
  text += std::to_string(contents.size());
  text += '\n';
  text += to_base64(levels.back().front());
  text += '\n';
  const auto note = sign_note(text, key, signer);
  if (!note) return tl::unexpected(note.error());
  std::vector<std::string> receipts;
  receipts.reserve(contents.size());
  for (std::size_t index = 0; index < contents.size(); ++index) {
    std::string receipt;
    receipt.reserve(1024);
    receipt += kind;
    receipt += '\n';
    receipt += contents[index];
    receipt += '\n';
    receipt += std::to_string(index);
    receipt += '\n';
    std::size_t at = index;
    for (const auto& level : levels) {
      const std::size_t sibling = at ^ 1U;
      if (sibling < level.size()) {
        receipt += to_base64(level[sibling]);
        receipt += '\n';
      }
      at /= 2;
    }
    receipt += '\n';
    receipt += *note;
    receipts.push_back(std::move(receipt));
  }
  return receipts;
}

Result<UseReceipt> verify_use_receipt(std::string_view receipt, const VerifierKey& key) {
  const auto parts = take_apart(receipt);
  if (!parts) return malformed();
  const auto note = verify_note(parts->note, std::span(&key, 1));
  if (!note) return tl::unexpected(note.error());
  const auto about = read_signed(note->text);
  if (!about) return malformed();
  const Digest leaf = receipt_leaf(parts->content);
  if (inclusion_root(&receipt_node, leaf, parts->index, about->count, parts->path) != about->root) {
    return fail(ErrorKind::invalid, {"audit.use-receipt-unsigned", {}});
  }
  return read_content(parts->content);
}

Result<UseReceipt> receipt_of(std::string_view record) {
  const auto json = parse_json(record);
  if (!json || !json->is_object() || json->value("type", Json()) != Json(type)) return malformed();
  auto action = string_member(*json, "action", "");
  auto agreement = string_member(*json, "agreement", "");
  auto origin = string_member(*json, "log", "");
  const auto seq = number_of(*json, "seq");
  auto use = string_member(*json, "event", "");
  const auto decision = json->find("decision");
  if (decision == json->end() || !decision->is_object()) return malformed();
  auto time = string_member(*decision, "at", "");
  if (!action || !agreement || !origin || !seq || !time || !use) return malformed();
  return UseReceipt{
      std::move(*action),
      AgreementId(std::move(*agreement)),
      leaf_hash(record),
      std::move(*origin),
      *seq,
      std::move(*time),
      UseId(std::move(*use))};
}

std::string to_header(std::string_view receipt) {
  return to_base64(as_bytes(receipt));
}

std::string ProvenUse::print() const {
  return std::string(first_line) + "\n" + to_header(receipt) + "\n" + record + "\n" + proof.print();
}

Result<KeptReceipt> parse_kept_receipt(std::string_view text) {
  KeptReceipt kept;
  if (text.starts_with(kind)) {
    kept.receipt = text;
    return kept;
  }
  if (!text.starts_with(first_line)) {
    if (text.ends_with('\n')) text.remove_suffix(1);
    auto receipt = from_header(text);
    if (!receipt) return malformed();
    kept.receipt = std::move(*receipt);
    return kept;
  }
  if (take_line(text) != first_line) return malformed();
  const auto header = take_line(text);
  const auto record = take_line(text);
  if (!header || !record) return malformed();
  auto receipt = from_header(*header);
  if (!receipt) return malformed();
  auto proof = parse_log_proof(text);
  if (!proof) return fail(std::move(proof));
  kept.receipt = *receipt;
  kept.proven = ProvenUse{std::move(*receipt), std::string(*record), std::move(*proof)};
  return kept;
}

Result<UseShown> verify_proven_use(
    const ProvenUse& proven, const VerifierKey& key, const LogPolicy& policy
) {
  auto receipt = verify_use_receipt(proven.receipt, key);
  if (!receipt) return fail(std::move(receipt));
  auto checkpoint = verify_log_proof(proven.proof, leaf_hash(proven.record), policy);
  if (!checkpoint) return fail(std::move(checkpoint));
  const auto recorded = receipt_of(proven.record);
  if (!recorded) return tl::unexpected(recorded.error());
  if (*recorded != *receipt || receipt->seq != proven.proof.index ||
      receipt->origin != checkpoint->checkpoint.origin) {
    return fail(ErrorKind::invalid, {"audit.use-receipt-other", {}});
  }
  return UseShown{std::move(*receipt), std::move(*checkpoint)};
}

}  // namespace tally::audit
