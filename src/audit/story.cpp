#include "tally/audit/story.hpp"

#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

#include "tally/audit/recovery.hpp"

#include "reasons.hpp"
#include "record_scan.hpp"

namespace tally::audit {
namespace {

constexpr std::string_view nothing = "–";

struct Kept {
  std::size_t log = 0;
  std::uint64_t seq = 0;
  std::string time;
  std::string type;
  std::string pid;
  std::string offer;
  std::string agreement;
  std::string text;
};

std::string member_text(const Json& record, std::string_view key) {
  const auto member = record.find(key);
  if (member == record.end()) return {};
  if (member->is_string()) return member->get<std::string>();
  if (member->is_number_integer()) return std::to_string(member->get<std::int64_t>());
  if (member->is_boolean()) return *member ? "true" : "false";
  if (member->is_object() && member->contains("uri") && (*member)["uri"].is_string()) {
    return (*member)["uri"];
  }
  if (member->is_array()) {
    std::string joined;
    for (const Json& item : *member) {
      if (!item.is_string()) continue;
      if (!joined.empty()) joined += ", ";
      joined += item.get<std::string>();
    }
    return joined;
  }
  return {};
}

// Every parameter that a sentence of the story may name, with a dash for what the record lacks.
Message summary_of(const std::string& type, const Json& record) {
  Message summary{"audit.story-" + type, {}};
  // What rests on the other side's word says so.
  const bool may_rest =
      type == "contract.finalized" || type == "contract.verified" || type == "statement.issued";
  if (may_rest && member_text(record, "assurance") == "asserted") summary.code += "-asserted";
  auto& params = summary.params;
  for (const std::string_view key :
       {"action",  "app",    "asset",  "by",    "bytes",  "cells",  "change",  "counterparty",
        "hold",    "method", "number", "offer", "pid",    "policy", "purpose", "query",
        "receipt", "role",   "rule",   "state", "target", "to",     "use",     "content"}) {
    params[std::string(key)] = short_digest(member_text(record, key));
  }
  params["who"] = params["app"].empty() ? params["counterparty"] : params["app"];
  const auto count_of = [&record](std::string_view key) {
    const auto list = record.find(key);
    return list != record.end() && list->is_array() ? list->size() : std::size_t{0};
  };
  params["contents"] = std::to_string(count_of("contents"));
  params["inputs"] = std::to_string(count_of("inputs"));
  params["outputs"] = std::to_string(count_of("outputs"));
  if (type == "use.executed") {
    std::uint64_t bytes = 0;
    const auto uses = record.find("uses");
    if (uses != record.end() && uses->is_array()) {
      for (const Json& use : *uses) {
        if (use.is_object() && use.contains("bytes") && use["bytes"].is_number_unsigned()) {
          bytes += use["bytes"].get<std::uint64_t>();
        }
      }
    }
    params["uses"] = std::to_string(count_of("uses"));
    params["bytes"] = std::to_string(bytes);
  }
  for (auto& [name, value] : params) {
    if (value.empty()) value = nothing;
  }
  return summary;
}

bool is_offer_record(std::string_view type) {
  return type.starts_with("offer.");
}

// Which side of the agreement a log tells: what its contract says, else what only one side records.
std::string role_of(const std::vector<Kept>& kept, std::size_t log) {
  std::string guessed;
  for (const Kept& record : kept) {
    if (record.log != log) continue;
    std::string role = unquote(find_member(record.text, "role"));
    if (role == "provider" || role == "consumer") return role;
    if (record.type == "transfer.sent") guessed = "provider";
    if (record.type == "transfer.received" || record.type == "data.destroyed") guessed = "consumer";
  }
  return guessed;
}

}  // namespace

std::string short_digest(const std::string& text) {
  constexpr std::size_t shown = 7 + 12;
  return text.starts_with("sha256:") && text.size() > shown ? text.substr(0, shown) + "…" : text;
}

Result<Story> tell_story(const std::vector<LogStorage*>& logs, const AgreementId& agreement) {
  Story story;
  std::vector<Kept> kept;
  bool known = false;
  for (std::size_t log = 0; log < logs.size(); ++log) {
    story.logs.emplace_back();
    StoryLog& about = story.logs.back();
    // Once through: the agreement's own records, and those that may turn out to have led to it.
    std::vector<Kept> mine;
    std::set<std::string> pids;
    std::set<std::string> offers;
    const auto each = [&](const RecordView& record) {
      if (record.seq == 0) {
        const Json genesis = record.json();
        about.origin = genesis.value("log", "");
        about.test = genesis.value("test", false);
        about.actor = {
            genesis.value("/actor/domain"_json_pointer, ""),
            genesis.value("/actor/uri"_json_pointer, "")};
        return;
      }
      const bool own = record.agreement == agreement.value;
      const bool before = record.agreement.empty() &&
                          (record.type.starts_with("contract.") || is_offer_record(record.type) ||
                           record.type.starts_with("approval."));
      if (!own && !before) return;
      Kept one;
      one.log = log;
      one.seq = record.seq;
      one.time = record.time;
      one.type = record.type;
      one.pid = unquote(record.raw("pid"));
      one.offer = unquote(record.raw("offer"));
      one.agreement = record.agreement;
      one.text = record.text;
      if (own) {
        known = true;
        if (one.type.starts_with("contract.") && !one.pid.empty()) pids.insert(one.pid);
        if (!one.offer.empty()) offers.insert(one.offer);
      }
      mine.push_back(std::move(one));
    };
    auto read = for_each_record(*logs[log], 0, each);
    if (!read) return fail(std::move(read));
    for (const Kept& one : mine) {
      if (one.agreement.empty() && pids.contains(one.pid) && !one.offer.empty()) {
        offers.insert(one.offer);
      }
    }
    for (Kept& one : mine) {
      const bool wanted = !one.agreement.empty() || (!one.pid.empty() && pids.contains(one.pid)) ||
                          (is_offer_record(one.type) && offers.contains(one.offer));
      if (wanted) kept.push_back(std::move(one));
    }
    about.role = role_of(kept, log);
  }
  if (!known) {
    return fail(
        ErrorKind::not_found, {"audit.agreement-unknown", {{"agreement", agreement.value}}}
    );
  }
  std::stable_sort(kept.begin(), kept.end(), [](const Kept& a, const Kept& b) {
    return std::tie(a.time, a.log, a.seq) < std::tie(b.time, b.log, b.seq);
  });
  for (const Kept& one : kept) {
    const Json record = Json::parse(one.text, nullptr, false);
    StoryRow row;
    row.time = one.time;
    row.log = one.log;
    row.seq = one.seq;
    row.type = one.type;
    row.summary = summary_of(one.type, record);
    row.reasons = reasons_of(record);
    story.rows.push_back(std::move(row));
  }
  return story;
}

}  // namespace tally::audit
