#include <nlohmann/json.hpp>

#include "tally/audit/reconcile.hpp"
#include "tally/audit/story.hpp"

#include "inquiry_commands.hpp"
#include "record_sources.hpp"

namespace tally::cli {
namespace {

// --json has the digests whole.
std::string cell(const std::string& text) {
  if (text.empty()) return "-";
  // "9 <leaf>": where a record stands, and its leaf hash.
  const auto space = text.find(' ');
  if (space != std::string::npos && text.size() == space + 1 + 64) {
    return text.substr(0, space + 1 + 12) + "…";
  }
  return audit::short_digest(text);
}

}  // namespace

int audit_reconcile(
    const Console& console, const std::filesystem::path& here, const std::filesystem::path& there
) {
  int code = done;
  const auto mine = open_source(console, here, code);
  if (!mine) return code;
  const auto theirs = open_source(console, there, code);
  if (!theirs) return code;
  const auto& only = mine->agreement.empty() ? theirs->agreement : mine->agreement;
  const auto result = audit::reconcile(mine->records, theirs->records, only);
  if (!result) {
    const bool wrong =
        result.error().kind == ErrorKind::invalid || result.error().kind == ErrorKind::not_found;
    return console.fail(result.error(), wrong ? usage : incomplete);
  }
  std::size_t differ = 0;
  for (const auto& line : result->lines) {
    if (line.kind != audit::Reconciled::match) ++differ;
  }
  if (console.json) {
    Json out = {
        {"here", result->here},
        {"there", result->there},
        {"verified", mine->whole && theirs->whole ? "whole" : "incomplete"},
        {"differ", differ},
        {"lines", Json::array()}};
    for (const auto& line : result->lines) {
      Json one = {
          {"result", audit::to_string(line.kind)},
          {"about", line.about},
          {"agreement", line.agreement}};
      if (!line.pid.empty()) one["pid"] = line.pid;
      one["here"] = line.here.empty() ? Json() : Json(line.here);
      one["there"] = line.there.empty() ? Json() : Json(line.there);
      out["lines"].push_back(std::move(one));
    }
    console.print(out.dump(2));
  } else {
    std::vector<std::vector<std::string>> rows;
    for (const auto& line : result->lines) {
      rows.push_back(
          {std::string(audit::to_string(line.kind)),
           line.about,
           line.agreement,
           cell(line.pid),
           cell(line.here),
           cell(line.there)}
      );
    }
    console.table({"result", "about", "agreement", "pid", "here", "there"}, rows);
    for (const auto* log : {&*mine, &*theirs}) {
      if (!log->whole) console.say({"cli.log-unfinished", {{"folder", log->path}}});
    }
    console.say(
        {differ == 0 ? "cli.reconcile-match" : "cli.reconcile-differ",
         {{"here", result->here},
          {"there", result->there},
          {"lines", std::to_string(result->lines.size())},
          {"differ", std::to_string(differ)}}}
    );
  }
  return result->all_match() ? done : refused;
}

}  // namespace tally::cli
