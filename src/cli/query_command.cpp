#include <algorithm>
#include <map>
#include <string_view>

#include <nlohmann/json.hpp>

#include "tally/audit/query.hpp"
#include "tally/audit/record_types.hpp"

#include "inquiry_commands.hpp"
#include "log_folder.hpp"

namespace tally::cli {
namespace {

// A moment, or a day: its beginning.
Result<std::optional<Instant>> moment(const std::string& text) {
  if (text.empty()) return std::optional<Instant>();
  if (const auto at = parse_date_time(text)) return std::optional(at->instant);
  if (const auto day = parse_date(text)) return std::optional(day->start);
  return fail(ErrorKind::invalid, {"cli.time-malformed", {{"text", text}}});
}

Result<audit::Query> read_options(const QueryOptions& options) {
  audit::Query query;
  for (const auto& type : options.types) {
    if (audit::find_record_type(type) == nullptr) {
      std::vector<std::string_view> known;
      for (const auto& one : audit::record_types()) known.push_back(one.name);
      const auto closest = closest_term(type, known);
      return fail(
          ErrorKind::invalid,
          {"cli.type-unknown", {{"type", type}, {"closest", closest.empty() ? "-" : closest}}}
      );
    }
    query.types.push_back(type);
  }
  query.agreement = options.agreement;
  query.party = options.party;
  query.reason = options.reason;
  if (options.level_min >= 0) query.level_min = options.level_min;
  query.personal = options.personal;
  query.home = options.home;
  auto from = moment(options.from);
  if (!from) return fail(std::move(from));
  auto until = moment(options.until);
  if (!until) return fail(std::move(until));
  query.from = *from;
  query.before = *until;
  return query;
}

std::string dash(const std::string& text) {
  return text.empty() ? "-" : text;
}

// The codes of a record's reasons; one record may give several.
std::vector<std::string> codes_of(const audit::QueryRow& row) {
  std::vector<std::string> codes;
  codes.reserve(row.reasons.size());
  for (const auto& reason : row.reasons) codes.push_back(reason.code);
  return codes;
}

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const auto& text : texts) all += (all.empty() ? "" : ",") + text;
  return dash(all);
}

// What a record counts under; a record without a value of this kind counts under "-".
std::vector<std::string> keys_of(const audit::QueryRow& row, const std::string& by) {
  if (by == "type") return {row.type};
  if (by == "agreement") return {dash(row.agreement)};
  if (by == "party") return {dash(row.counterparty.uri)};
  auto codes = codes_of(row);
  if (codes.empty()) codes.emplace_back("-");
  std::sort(codes.begin(), codes.end());
  codes.erase(std::unique(codes.begin(), codes.end()), codes.end());
  return codes;
}

Json row_json(const Console& console, const audit::QueryRow& row) {
  Json out = {{"seq", row.seq}, {"leaf", to_hex(row.leaf)}, {"time", row.time}, {"type", row.type}};
  if (!row.agreement.empty()) out["agreement"] = row.agreement;
  if (!row.counterparty.uri.empty()) {
    out["counterparty"] = {{"domain", row.counterparty.domain}, {"uri", row.counterparty.uri}};
  }
  for (const auto& reason : row.reasons) out["reasons"].push_back(console.message_json(reason));
  if (!row.asset.empty()) out["asset"] = row.asset;
  if (row.level) out["level"] = *row.level;
  if (row.class_ && !row.class_->empty()) out["class"] = *row.class_;
  if (!row.jurisdiction.empty()) out["jurisdiction"] = row.jurisdiction;
  return out;
}

// In columns that need no second look at the rows, since there may be millions of them.
std::string line_of(const audit::QueryRow& row) {
  const auto padded = [](std::string text, std::size_t width) {
    if (text.size() < width) text.append(width - text.size(), ' ');
    return text + "  ";
  };
  return padded(std::to_string(row.seq), 6) + padded(row.time, 27) + padded(row.type, 20) +
         padded(dash(row.agreement), 45) + padded(dash(row.counterparty.uri), 30) +
         joined(codes_of(row));
}

}  // namespace

int audit_query(const Console& console, const QueryOptions& options) {
  const auto query = read_options(options);
  if (!query) return console.fail(query.error(), usage);
  int code = done;
  const auto log = open_checked(console, options.folder, code);
  if (!log) return code;

  std::map<std::string, std::uint64_t> counts;
  std::uint64_t shown = 0;
  const bool counting = !options.count_by.empty();
  // One JSON document, written as it is read.
  if (console.json && !counting) console.print("{\"records\": [");
  const auto each = [&](const audit::QueryRow& row) {
    if (counting) {
      for (const auto& key : keys_of(row, options.count_by)) ++counts[key];
    } else if (console.json) {
      console.print((shown++ == 0 ? "" : ",") + row_json(console, row).dump());
    } else {
      console.print(line_of(row));
    }
  };
  const auto count = audit::query_log(*log->storage, log->records, *query, each);
  if (!count) return console.fail(count.error(), incomplete);

  std::vector<std::pair<std::string, std::uint64_t>> ranked(counts.begin(), counts.end());
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) {
    return a.second > b.second;
  });
  if (console.json) {
    Json out = {
        {"origin", log->origin},
        {"verified", log->whole ? "whole" : "incomplete"},
        {"read", count->read},
        {"count", count->matched},
        {"undecided", count->undecided}};
    if (counting) {
      out["counts"] = Json::array();
      for (const auto& [value, number] : ranked) {
        out["counts"].push_back({{"value", value}, {"count", number}});
      }
      console.print(out.dump(2));
    } else {
      console.print("]," + out.dump().substr(1));
    }
  } else {
    std::vector<std::vector<std::string>> rows;
    rows.reserve(ranked.size());
    for (const auto& [value, number] : ranked) rows.push_back({std::to_string(number), value});
    if (counting) console.table({"count", options.count_by}, rows);
    console.say(
        {"cli.query-count",
         {{"count", std::to_string(count->matched)},
          {"read", std::to_string(count->read)},
          {"origin", log->origin}}}
    );
    if (!log->whole) console.say({"cli.log-unfinished", {{"folder", log->folder}}});
    if (count->undecided != 0) {
      console.say({"cli.query-undecided", {{"count", std::to_string(count->undecided)}}});
    }
  }
  return count->undecided == 0 ? done : incomplete;
}

}  // namespace tally::cli
