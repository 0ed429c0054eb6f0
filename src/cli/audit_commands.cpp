#include "audit_commands.hpp"

#include <memory>

#include <nlohmann/json.hpp>

#include "tally/audit/posix.hpp"
#include "tally/audit/story.hpp"
#include "tally/audit/verify.hpp"

#include "log_folder.hpp"

namespace tally::cli {

int audit_verify(const Console& console, const std::filesystem::path& folder, bool deep) {
  auto storage = open_folder(folder);
  if (!storage) return console.fail(storage.error(), usage);
  audit::HelperThread helper;
  const auto report =
      audit::verify_log(**storage, deep ? audit::Depth::deep : audit::Depth::plain, &helper);

  static constexpr const char* words[] = {"whole", "changed", "incomplete"};
  const char* verdict = words[static_cast<int>(report.verdict)];
  if (console.json) {
    Json out = {
        {"verdict", verdict},
        {"records", report.records},
        {"bytes", report.bytes},
        {"leaf", report.leaf},
        {"root", report.root},
        {"from", report.first_time},
        {"to", report.last_time},
        {"notes", Json::array()}};
    if (report.genesis) {
      out["origin"] = report.genesis->origin;
      out["test"] = report.genesis->test;
      if (report.genesis->follows) out["follows"] = audit::to_json(*report.genesis->follows);
    }
    if (report.checkpoint) {
      out["checkpoint"] = {
          {"size", report.checkpoint->size}, {"root", to_hex(report.checkpoint->root)}};
    }
    if (report.finding) {
      out["finding"] = {
          {"seq", report.finding->seq},
          {"file", report.finding->file},
          {"offset", report.finding->offset},
          {"link", report.finding->link},
          {"message", console.message_json(report.finding->message)}};
    }
    for (const auto& note : report.notes) out["notes"].push_back(console.message_json(note));
    console.print(out.dump(2));
  } else {
    console.say(
        {std::string("cli.verify-") + verdict,
         {{"folder", folder.string()},
          {"origin", report.genesis ? report.genesis->origin : "-"},
          {"records", std::to_string(report.records)},
          {"leaf", report.leaf.empty() ? "-" : report.leaf},
          {"from", report.first_time.empty() ? "-" : report.first_time},
          {"to", report.last_time.empty() ? "-" : report.last_time}}}
    );
    if (report.finding) {
      console.say(
          {"cli.verify-finding",
           {{"seq", std::to_string(report.finding->seq)},
            {"file", report.finding->file},
            {"offset", std::to_string(report.finding->offset)},
            {"link", report.finding->link},
            {"what", console.text(report.finding->message)}}}
      );
    }
    if (!report.finding) {
      console.say({"cli.verify-root", {{"root", report.root}}});
      if (report.checkpoint) {
        console.say({"cli.verify-checkpoint", {{"size", std::to_string(report.checkpoint->size)}}});
      } else {
        console.say({"cli.verify-no-checkpoint", {}});
      }
    }
    for (const auto& note : report.notes) console.say(note);
  }
  return static_cast<int>(report.verdict);
}

int audit_show(
    const Console& console,
    const std::vector<std::filesystem::path>& folders,
    const std::string& agreement
) {
  std::vector<std::unique_ptr<audit::LogStorage>> storages;
  std::vector<audit::LogStorage*> logs;
  for (const auto& folder : folders) {
    auto storage = open_folder(folder);
    if (!storage) return console.fail(storage.error(), usage);
    say_pruned(console, **storage, folder);
    logs.push_back(storage->get());
    storages.push_back(std::move(*storage));
  }
  const auto story = audit::tell_story(logs, AgreementId(agreement));
  if (!story) return console.fail(story.error());

  if (console.json) {
    Json out = {{"agreement", agreement}, {"logs", Json::array()}, {"rows", Json::array()}};
    for (const auto& log : story->logs) {
      out["logs"].push_back(
          {{"origin", log.origin},
           {"actor", {{"domain", log.actor.domain}, {"uri", log.actor.uri}}},
           {"role", log.role},
           {"test", log.test}}
      );
    }
    for (const auto& row : story->rows) {
      out["rows"].push_back(
          {{"time", row.time},
           {"log", row.log},
           {"seq", row.seq},
           {"type", row.type},
           {"summary", console.message_json(row.summary)}}
      );
    }
    console.print(out.dump(2));
    return done;
  }

  // One column a log: what each half says stands under its own name, in order of time.
  std::vector<std::string> columns = {"time"};
  for (const auto& log : story->logs) {
    columns.push_back(log.role.empty() ? "record" : log.role);
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& row : story->rows) {
    std::vector<std::string> cells(columns.size());
    cells[0] = row.time;
    cells[row.log + 1] = std::to_string(row.seq) + "  " + console.text(row.summary);
    rows.push_back(std::move(cells));
  }
  for (const auto& log : story->logs) {
    console.say({"cli.show-log", {{"origin", log.origin}, {"uri", log.actor.uri}}});
  }
  console.table(columns, rows);
  return done;
}

}  // namespace tally::cli
