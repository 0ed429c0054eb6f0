#include "approval_commands.hpp"

#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/core/http.hpp"

#include "files.hpp"

namespace tally::cli {

namespace {

std::string text_of(const Json& object, const char* member) {
  return object.is_object() ? object.value(member, "-") : "-";
}

int order(
    const Console& console,
    Management& api,
    const std::string& id,
    const char* decision,
    const Json& body
) {
  const auto path = "/api/v1/approvals/" + percent_encode_segment(id) + "/" + decision;
  const auto answer = api.call("POST", path, body);
  if (!answer) return console.fail(answer.error());
  if (console.json) {
    console.print(answer->dump(2));
  } else {
    console.say({std::string("cli.decided-") + decision, {{"id", id}}});
  }
  return done;
}

}  // namespace

int approvals(const Console& console, Management& api) {
  const auto answer = api.get("/api/v1/approvals");
  if (!answer) return console.fail(answer.error());
  if (console.json) {
    console.print(answer->dump(2));
    return done;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& item : answer->value("items", Json::array())) {
    rows.push_back(
        {text_of(item, "id"),
         text_of(item, "state"),
         text_of(item.value("peer", Json::object()), "uri"),
         text_of(item, "asset"),
         text_of(item.value("why", Json::object()), "text")}
    );
  }
  if (rows.empty()) {
    console.say({"cli.no-approvals", {}});
    return done;
  }
  console.table({"id", "state", "peer", "asset", "reason"}, rows);
  return done;
}

int approve(const Console& console, Management& api, const std::string& id) {
  return order(console, api, id, "approve", Json::object());
}

int reject(
    const Console& console, Management& api, const std::string& id, const std::string& reason
) {
  return order(console, api, id, "reject", {{"reason", reason}});
}

int counter(
    const Console& console, Management& api, const std::string& id, const std::string& file
) {
  const auto text = read_text(file);
  if (!text) return console.fail(text.error());
  auto document = parse_json(*text);
  if (!document) return console.fail(document.error());
  Json policy = std::move(*document);
  if (policy.is_object() && policy.contains("policy")) policy = Json(policy["policy"]);
  return order(console, api, id, "counter", {{"policy", std::move(policy)}});
}

}  // namespace tally::cli
