#include "custody_commands.hpp"

#include <chrono>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/core/http.hpp"

namespace tally::cli {

namespace {

constexpr const char* path = "/api/v1/custody";

std::string text_of(const Json& object, const char* member) {
  const auto found = object.find(member);
  if (found == object.end()) return "-";
  if (found->is_string()) return found->get<std::string>();
  return found->is_number() ? found->dump() : "-";
}

// A member that is an array; empty when it is none.
Json items_of(const Json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_array() ? *found : Json::array();
}

Json object_of(const Json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_object() ? *found : Json::object();
}

int show(const Console& console, const Json& custody) {
  const auto altered = items_of(custody, "altered");
  const int code = altered.empty() ? done : refused;
  if (console.json) {
    console.print(custody.dump(2));
    return code;
  }
  const auto held = object_of(custody, "held");
  std::vector<std::vector<std::string>> rows;
  rows.push_back({"*", text_of(held, "bytes"), text_of(held, "quota"), text_of(held, "left")});
  for (const auto& one : items_of(custody, "providers")) {
    rows.push_back(
        {text_of(object_of(one, "provider"), "uri"),
         text_of(one, "bytes"),
         text_of(one, "quota"),
         text_of(one, "left")}
    );
  }
  console.table({"provider", "bytes", "quota", "left"}, rows);
  for (const auto& key : items_of(custody, "ring")) {
    const bool current = key.value("current", false);
    console.say(
        {current ? "cli.custody-key-current" : "cli.custody-key-former",
         {{"key", text_of(key, "key")}, {"made", text_of(key, "made")}}}
    );
  }
  const auto checks = object_of(custody, "checks");
  console.say(
      {"cli.custody-checks",
       {{"artefacts", text_of(held, "artefacts")},
        {"never", text_of(checks, "never")},
        {"oldest", text_of(checks, "oldest")}}}
  );
  for (const auto& one : altered) {
    const auto reason = object_of(one, "reason");
    Message message{text_of(reason, "code"), {}};
    message.params = reason.value("params", message.params);
    console.say(
        {"cli.custody-altered",
         {{"artefact", text_of(one, "artefact")},
          {"agreement", text_of(one, "agreement")},
          {"reason", console.text(message)}}}
    );
  }
  return code;
}

// Asks until `is_done` of the answer; what was answered last, and whether it is.
Result<std::pair<Json, bool>> wait_for(
    Management& api, int seconds, const std::function<bool(const Json&)>& is_done
) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  for (;;) {
    auto answer = api.get(path);
    if (!answer) return tl::unexpected(answer.error());
    const bool ended = is_done(*answer);
    if (ended || std::chrono::steady_clock::now() >= deadline) {
      return std::pair(*std::move(answer), ended);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

}  // namespace

int custody(const Console& console, Management& api) {
  const auto answer = api.get(path);
  if (!answer) return console.fail(answer.error());
  return show(console, *answer);
}

int custody_check(const Console& console, Management& api, const CustodyCheckOptions& options) {
  const std::string which =
      options.artefact.empty()
          ? std::string(path) + "/check"
          : "/api/v1/artefacts/" + percent_encode_segment(options.artefact) + "/check";
  const auto ordered = api.call("POST", which, Json::object());
  if (!ordered) return console.fail(ordered.error());
  const auto looked = [](const Json& custody) {
    const auto checks = object_of(custody, "checks");
    return checks.value("ordered", 1) == 0 && checks.value("checking", Json()).is_null();
  };
  const auto answer = wait_for(api, options.wait_seconds, looked);
  if (!answer) return console.fail(answer.error());
  if (!answer->second) {
    return console.fail(Message{"cli.custody-check-goes-on", {}}, incomplete);
  }
  if (options.artefact.empty()) return show(console, answer->first);
  // Whether this one is whole was asked.
  Json asked = answer->first;
  Json altered = Json::array();
  for (auto& one : items_of(asked, "altered")) {
    if (text_of(one, "artefact") == options.artefact) altered.push_back(std::move(one));
  }
  asked["altered"] = std::move(altered);
  return show(console, asked);
}

int rotate_wrapping_key(const Console& console, Management& api, int wait_seconds) {
  const auto begun = api.call("POST", std::string(path) + "/key-rotation", Json::object());
  if (!begun) return console.fail(begun.error());
  const auto alone = [](const Json& custody) { return items_of(custody, "ring").size() == 1; };
  const auto answer = wait_for(api, wait_seconds, alone);
  if (!answer) return console.fail(answer.error());
  if (!answer->second) {
    const Message goes_on{"cli.custody-rotation-goes-on", {{"before", text_of(*begun, "before")}}};
    return console.fail(goes_on, incomplete);
  }
  if (console.json) {
    console.print(begun->dump(2));
    return done;
  }
  console.say(
      {"cli.custody-rotated",
       {{"key", text_of(*begun, "key")}, {"before", text_of(*begun, "before")}}}
  );
  return done;
}

}  // namespace tally::cli
