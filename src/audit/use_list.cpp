#include "tally/audit/use_list.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/audit/canonical_value.hpp"
#include "tally/audit/signed_json.hpp"
#include "tally/core/json.hpp"

namespace tally::audit {
namespace {

constexpr std::string_view kind = "tally/use-list/v1";

tl::unexpected<Error> malformed() {
  return fail(ErrorKind::invalid, {"audit.use-list-malformed", {}});
}

std::optional<std::uint64_t> number_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned()) return std::nullopt;
  return found->get<std::uint64_t>();
}

std::string text_of(std::string_view raw) {
  return is_text(raw) ? unquote(raw) : std::string();
}

Json to_json(const UseLine& line) {
  Json json = {
      {"aseq", line.aseq},
      {"leaf", line.leaf},
      {"seq", line.seq},
      {"time", line.time},
      {"type", line.type}};
  if (!line.action.empty()) json["action"] = line.action;
  if (!line.code.empty()) json["code"] = line.code;
  if (line.type == "use.executed") json["bytes"] = line.bytes;
  if (line.rows) json["rows"] = *line.rows;
  return json;
}

std::optional<UseLine> read_line(const Json& json) {
  if (!json.is_object()) return std::nullopt;
  const auto aseq = number_of(json, "aseq");
  const auto seq = number_of(json, "seq");
  auto leaf = string_member(json, "leaf", "");
  auto time = string_member(json, "time", "");
  auto type = string_member(json, "type", "");
  auto action = string_member_or(json, "action", "", "");
  auto code = string_member_or(json, "code", "", "");
  if (!aseq || *aseq == 0 || !seq || !leaf || !time || !type || !action || !code) {
    return std::nullopt;
  }
  UseLine line;
  line.aseq = *aseq;
  line.seq = *seq;
  line.leaf = *std::move(leaf);
  line.time = *std::move(time);
  line.type = *std::move(type);
  line.action = *std::move(action);
  line.code = *std::move(code);
  line.bytes = number_of(json, "bytes").value_or(0);
  line.rows = number_of(json, "rows");
  return line;
}

}  // namespace

UseLine use_line(const RecordView& record) {
  UseLine line;
  line.aseq = static_cast<std::uint64_t>(integer_of(record.raw("aseq")).value_or(0));
  line.seq = record.seq;
  line.leaf = to_hex(record.leaf);
  line.type = std::string(record.type);
  line.time = std::string(record.time);
  if (!line.type.starts_with("use.")) return line;
  line.action = text_of(record.raw("action"));
  // What it adds to a sum is what it says here.
  UseSums sums;
  if (!sums.add(record)) return line;
  line.bytes = sums.bytes;
  line.rows = sums.rows;
  if (!sums.refusals.empty()) line.code = sums.refusals.begin()->first;
  return line;
}

Result<std::string> sign_use_list(
    const UseList& list, const VerifierKey& key, const Signer& signer
) {
  Json lines = Json::array();
  for (const UseLine& line : list.lines) lines.push_back(to_json(line));
  const Json content = {
      {"agreement", list.agreement.value},
      {"from", list.from},
      {"last", list.last},
      {"log", {{"origin", list.origin}, {"root", digest_text(list.root)}, {"size", list.size}}},
      {"records", std::move(lines)}};
  return sign_json(kind, to_jcs(content), key, signer);
}

Result<UseList> verify_use_list(std::string_view note, const VerifierKey& key) {
  const auto content = open_signed_json(note, kind, key, most_use_list_bytes);
  if (!content) return tl::unexpected(content.error());
  UseList list;
  auto agreement = string_member(*content, "agreement", "");
  const auto from = number_of(*content, "from");
  const auto last = number_of(*content, "last");
  const auto log = content->find("log");
  const auto lines = content->find("records");
  if (!agreement || !from || *from == 0 || !last || log == content->end() || !log->is_object() ||
      lines == content->end() || !lines->is_array() || lines->size() > most_use_lines) {
    return malformed();
  }
  auto origin = string_member(*log, "origin", "");
  const auto size = number_of(*log, "size");
  const auto root_text = string_member(*log, "root", "");
  const auto root = root_text ? parse_digest_text(*root_text) : std::nullopt;
  if (!origin || !size || !root) return malformed();
  std::uint64_t before = *from - 1;
  for (const Json& each : *lines) {
    auto line = read_line(each);
    if (!line || line->aseq <= before || line->aseq > *last) return malformed();
    before = line->aseq;
    list.lines.push_back(*std::move(line));
  }
  list.agreement = AgreementId(*std::move(agreement));
  list.from = *from;
  list.last = *last;
  list.origin = *std::move(origin);
  list.size = *size;
  list.root = *root;
  return list;
}

UseSums add_up(const std::vector<UseLine>& lines, std::uint64_t from, std::uint64_t to) {
  UseSums sums;
  sums.from = from;
  for (const UseLine& line : lines) {
    if (line.aseq < from || line.aseq > to) continue;
    if (line.type == "use.permitted") {
      ++sums.uses;
    } else if (line.type == "use.aborted") {
      --sums.uses;
    } else if (line.type == "use.denied") {
      ++sums.refusals[line.code];
    } else if (line.type == "use.executed") {
      sums.bytes += line.bytes;
      if (line.rows) sums.rows = sums.rows.value_or(0) + *line.rows;
    } else {
      continue;
    }
    sums.to = line.aseq;
    if (sums.since.empty()) sums.since = line.time;
    sums.until = line.time;
  }
  return sums;
}

}  // namespace tally::audit
