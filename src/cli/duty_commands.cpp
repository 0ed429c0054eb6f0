// Commands about duties that are confirmed.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "tally/core/http.hpp"

#include "command_line.hpp"

namespace tally::cli {

namespace {

// What the options are read into; the callbacks keep it.
struct Read {
  explicit Read(CommandLine& with) : line(with) {}

  CommandLine& line;
  std::string agreement, duty, reference, at, reason;
};
using ReadPtr = std::shared_ptr<Read>;

std::string text_of(const Json& object, const char* member) {
  return object.is_object() ? object.value(member, "-") : "-";
}

std::string path_of(const Read& read, const char* tail) {
  return "/api/v1/agreements/" + percent_encode_segment(read.agreement) + "/" + tail;
}

// A command that posts what was read and says what came of it.
int post(const Read& read, Management& api, const char* tail, const Json& body, const char* said) {
  const Console& console = read.line.console;
  const auto answer = api.call("POST", path_of(read, tail), body);
  if (!answer) return console.fail(answer.error());
  if (console.json) {
    console.print(answer->dump(2));
  } else {
    console.say({said, {{"agreement", read.agreement}, {"reference", read.reference}}});
  }
  return done;
}

int duties(const Read& read, Management& api) {
  const Console& console = read.line.console;
  const auto answer = api.get(path_of(read, "duties"));
  if (!answer) return console.fail(answer.error());
  if (console.json) {
    console.print(answer->dump(2));
    return done;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& item : answer->value("items", Json::array())) {
    rows.push_back(
        {text_of(item, "pointer"),
         text_of(item, "action"),
         text_of(item, "state"),
         text_of(item, "since"),
         text_of(item, "until"),
         text_of(item, "asked")}
    );
  }
  if (rows.empty()) {
    console.say({"cli.no-duties", {{"agreement", read.agreement}}});
    return done;
  }
  console.table({"duty", "action", "state", "since", "until", "asked"}, rows);
  return done;
}

int confirm(const Read& read, Management& api) {
  Json body = {{"reference", read.reference}};
  if (!read.duty.empty()) body["duty"] = read.duty;
  if (!read.at.empty()) body["at"] = read.at;
  return post(read, api, "confirmations", body, "cli.duty-confirmed");
}

int withdraw(const Read& read, Management& api) {
  const Json body = {{"reference", read.reference}};
  return post(read, api, "confirmations/withdrawal", body, "cli.duty-withdrawn");
}

int ask(const Read& read, Management& api) {
  Json body = Json::object();
  if (!read.duty.empty()) body["duty"] = read.duty;
  if (!read.reason.empty()) body["reason"] = read.reason;
  return post(read, api, "consent-requests", body, "cli.consent-asked");
}

}  // namespace

void add_duty_commands(CommandLine& line) {
  const auto read = std::make_shared<Read>(line);
  const auto add = [&](const char* name, const char* text, int (*run)(const Read&, Management&)) {
    auto* command = line.add(line.app, name, text);
    command->add_option("agreement", read->agreement, line.help("help-agreement"))->required();
    line.asks(command, [read, run](Management& api) { return run(*read, api); });
    return command;
  };
  add("duties", "help-duties", duties);
  auto* confirms = add("confirm", "help-confirm", confirm);
  confirms->add_option("--duty", read->duty, line.help("help-duty"));
  confirms->add_option("--reference", read->reference, line.help("help-reference"))->required();
  confirms->add_option("--at", read->at, line.help("help-confirmed-at"));
  auto* withdraws = add("withdraw", "help-withdraw", withdraw);
  withdraws->add_option("--reference", read->reference, line.help("help-reference"))->required();
  auto* asks = add("ask", "help-ask", ask);
  asks->add_option("--duty", read->duty, line.help("help-duty"));
  asks->add_option("--reason", read->reason, line.help("help-told-reason"));
}

}  // namespace tally::cli
