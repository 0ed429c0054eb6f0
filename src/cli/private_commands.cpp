#include "private_commands.hpp"

#include <nlohmann/json.hpp>

#include "tally/audit/commitment.hpp"

#include "files.hpp"

namespace tally::cli {

int audit_erase(const Console& console, Management& api, const EraseOptions& options) {
  Json order = {{"basis", options.basis}};
  if (options.record) order["record"] = *options.record;
  if (!options.subject.empty()) order["subject"] = options.subject;
  const auto answer = api.call("POST", "/api/v1/private/erasures", order);
  if (!answer) return console.fail(answer.error());
  if (console.json) {
    console.print(answer->dump(2));
    return done;
  }
  const auto records = answer->find("records");
  const std::size_t count = records != answer->end() && records->is_array() ? records->size() : 0;
  console.say({"cli.erased", {{"count", std::to_string(count)}, {"basis", options.basis}}});
  return done;
}

int audit_open(const Console& console, Management& api, std::uint64_t seq) {
  const auto answer = api.get("/api/v1/private/" + std::to_string(seq));
  if (!answer) return console.fail(answer.error());
  const auto text = [&](const char* member) {
    const auto found = answer->find(member);
    return found != answer->end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  const std::string record = text("record");
  const auto opening = audit::parse_opening(text("opening"));
  if (!opening) return console.fail(opening.error());
  // Not on the connector's word.
  if (const auto shown = audit::check_opening(record, *opening); !shown) {
    return console.fail(shown.error());
  }
  console.print(audit::print(*opening));
  return done;
}

int audit_check_opening(
    const Console& console,
    const std::filesystem::path& record_file,
    const std::filesystem::path& opening_file
) {
  auto record = read_text(record_file);
  if (!record) return console.fail(record.error(), usage);
  auto text = read_text(opening_file);
  if (!text) return console.fail(text.error(), usage);
  // An editor or a shell may have added the end of a line.
  for (auto* one : {&*record, &*text}) {
    if (one->ends_with('\n')) one->pop_back();
  }
  const auto opening = audit::parse_opening(*text);
  if (!opening) return console.fail(opening.error(), usage);
  if (const auto shown = audit::check_opening(*record, *opening); !shown) {
    return console.fail(shown.error());
  }
  if (console.json) {
    console.print(Json{{"fact", opening->fact}}.dump(2));
  } else {
    console.say({"cli.opening-good", {{"fact", opening->fact}}});
  }
  return done;
}

}  // namespace tally::cli
