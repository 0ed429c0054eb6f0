#include "tally/audit/shown_heads.hpp"

#include <unordered_map>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/audit/record.hpp"
#include "tally/audit/recovery.hpp"
#include "tally/audit/static_log.hpp"
#include "tally/core/json.hpp"

#include "text_form.hpp"

namespace tally::audit {
namespace {

constexpr std::string_view first_line = "tally/shown-heads/v1";
constexpr std::string_view heads_type = "log.heads";

tl::unexpected<Error> malformed() {
  return fail(ErrorKind::invalid, {"audit.shown-heads-malformed", {}});
}

std::string text_of(const Json& record, const char* key) {
  const auto member = record.find(key);
  return member != record.end() && member->is_string() ? member->get<std::string>() : std::string();
}

}  // namespace

std::string ShownHeads::print() const {
  // Neither the record nor the proof from the map holds an empty line; the other proof does.
  return std::string(first_line) + "\n" + record + "\n" + heads.print() + "\n" + proof.print();
}

Result<ShownHeads> parse_shown_heads(std::string_view text) {
  if (take_line(text) != first_line) return malformed();
  const auto record = take_line(text);
  if (!record || record->empty()) return malformed();
  const std::size_t end = text.find("\n\n");
  if (end == std::string_view::npos) return malformed();
  auto heads = parse_heads_proof(text.substr(0, end + 1));
  if (!heads) return fail(std::move(heads));
  auto proof = parse_log_proof(text.substr(end + 2));
  if (!proof) return fail(std::move(proof));
  return ShownHeads{std::string(*record), *std::move(heads), *std::move(proof)};
}

Result<ShownHeads> prove_heads(LogStorage& storage, const AgreementId& agreement) {
  const auto kept = read_checkpoint(storage);
  if (!kept) return tl::unexpected(kept.error());
  std::optional<std::uint64_t> seq;
  const auto find = [&](const RecordView& record) {
    if (record.seq < kept->checkpoint.size && record.type == heads_type) seq = record.seq;
  };
  if (auto read = for_each_record(storage, 0, find); !read) return fail(std::move(read));
  if (!seq) {
    const std::string size = std::to_string(kept->checkpoint.size);
    return fail(ErrorKind::not_found, {"audit.no-heads", {{"size", size}}});
  }
  std::unordered_map<std::string, AgreementHead> agreements;
  const auto count = [&](const RecordView& record) {
    if (record.seq >= *seq || record.agreement.empty()) return;
    AgreementHead& head = agreements[record.agreement];
    head = {head.aseq + 1, record.leaf, record.seq + 1};
  };
  if (auto read = for_each_record(storage, 0, count); !read) return fail(std::move(read));
  const auto map = HeadsMap::of(agreements);
  if (!map) return tl::unexpected(map.error());

  // Its checkpoint may be a newer one than that above: it covers this record all the same.
  auto proven = prove_record(storage, *seq);
  if (!proven) return fail(std::move(proven));
  const auto record = parse_json(proven->record);
  if (!record || !record->is_object() ||
      parse_digest_text(text_of(*record, "root")) != map->root()) {
    return fail(ErrorKind::conflict, {"audit.heads-other-root", {{"seq", std::to_string(*seq)}}});
  }
  return ShownHeads{std::move(proven->record), map->prove(agreement), std::move(proven->proof)};
}

Result<AgreementShown> verify_shown_heads(
    const ShownHeads& shown, const AgreementId& agreement, const LogPolicy& policy
) {
  auto checkpoint = verify_log_proof(shown.proof, leaf_hash(shown.record), policy);
  if (!checkpoint) return fail(std::move(checkpoint));
  const auto other = [] { return fail(ErrorKind::invalid, {"audit.shown-heads-other", {}}); };
  // The log vouches for the record's bytes; here is what they say.
  const auto record = parse_json(shown.record);
  if (!record || !record->is_object() || text_of(*record, "type") != heads_type ||
      text_of(*record, "log") != checkpoint->checkpoint.origin ||
      record->value("seq", Json()) != Json(shown.proof.index)) {
    return other();
  }
  const auto root = parse_digest_text(text_of(*record, "root"));
  if (!root) return other();
  auto head = verify_heads_proof(*root, agreement, shown.heads);
  if (!head) return fail(std::move(head));
  // A head that is not before its own map would be of records that it cannot have counted.
  if (*head && (*head)->size > shown.proof.index) return other();
  return AgreementShown{*std::move(checkpoint), shown.proof.index, *std::move(head)};
}

}  // namespace tally::audit
