#include "witness_commands.hpp"

#include <nlohmann/json.hpp>

#include "tally/core/http.hpp"

namespace tally::cli {

namespace {

std::string text_of(const Json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string number_of(const Json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_number() ? found->dump() : "-";
}

bool is_true(const Json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

// An array, empty when there is none.
Json items_of(const Json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_array() ? *found : Json::array();
}

std::string or_dash(std::string text) {
  return text.empty() ? "-" : text;
}

std::string party_of(const Json& object) {
  const auto party = object.find("party");
  return or_dash(party != object.end() && party->is_object() ? text_of(*party, "uri") : "");
}

bool stands(const Json& contradiction) {
  const auto lifted = contradiction.find("lifted");
  return lifted == contradiction.end() || lifted->is_null();
}

Message contradiction_message(const std::string& origin, const Json& one) {
  const char* code =
      is_true(one, "proven") ? "cli.contradiction-proven" : "cli.contradiction-unshown";
  Message message{
      code,
      {{"origin", origin},
       {"size", number_of(one, "size")},
       {"evidence", text_of(one, "evidence")},
       {"event", or_dash(text_of(one, "event"))}}};
  return message;
}

// Prints the logs that are witnessed here; true: a contradiction stands against one.
bool print_witnessed(const Console& console, const Json& logs) {
  if (logs.empty()) {
    console.say({"cli.witness-no-logs", {}});
    return false;
  }
  bool contradicted = false;
  std::vector<std::vector<std::string>> rows;
  std::vector<Message> found;
  for (const Json& log : logs) {
    const auto origin = text_of(log, "origin");
    const char* state = "cli.witness-good";
    if (text_of(log, "cosignedAt").empty()) state = "cli.witness-never";
    if (!is_true(log, "watched")) state = "cli.witness-not-watched";
    if (is_true(log, "contradicted")) state = "cli.witness-contradicted";
    for (const Json& one : items_of(log, "contradictions")) {
      if (!stands(one)) {
        const Json& lifted = one.at("lifted");
        found.push_back(
            {"cli.contradiction-lifted",
             {{"origin", origin},
              {"evidence", text_of(one, "evidence")},
              {"at", text_of(lifted, "at")},
              {"reason", text_of(lifted, "reason")}}}
        );
        continue;
      }
      contradicted = true;
      found.push_back(contradiction_message(origin, one));
    }
    const auto party = party_of(log);
    if (is_true(log, "contradicted") && party != "-") {
      found.push_back({"cli.contradiction-stops", {{"party", party}, {"origin", origin}}});
    }
    rows.push_back(
        {origin,
         party,
         number_of(log, "size"),
         or_dash(text_of(log, "cosignedAt")),
         console.text({state, {}})}
    );
  }
  console.table({"log", "party", "size", "cosigned", "state"}, rows);
  for (const auto& message : found) console.say(message);
  return contradicted;
}

// Prints the witnesses of our log; true: one is missing.
bool print_witnesses(const Console& console, const Json& witnesses) {
  if (witnesses.empty()) {
    console.say({"cli.witness-none", {}});
    return false;
  }
  bool missing = false;
  std::vector<std::vector<std::string>> rows;
  std::vector<Message> failures;
  for (const Json& one : witnesses) {
    auto name = text_of(one, "name");
    if (name.empty()) name = party_of(one);
    const char* state = "cli.witness-good";
    if (text_of(one, "cosignedAt").empty()) state = "cli.witness-never";
    const auto since = text_of(one, "failingSince");
    if (!since.empty()) state = "cli.witness-failing";
    if (!text_of(one, "unaskedSince").empty()) state = "cli.witness-unasked";
    if (is_true(one, "missing")) state = "cli.witness-missing";
    missing = missing || is_true(one, "missing");
    if (!since.empty()) {
      const auto why = one.find("why");
      const auto said = why != one.end() && why->is_object() ? text_of(*why, "text") : "";
      failures.push_back(
          {"cli.witness-fails", {{"witness", name}, {"since", since}, {"why", or_dash(said)}}}
      );
    }
    rows.push_back(
        {name,
         or_dash(text_of(one, "url")),
         number_of(one, "size"),
         or_dash(text_of(one, "cosignedAt")),
         console.text({state, {}}),
         std::to_string(items_of(one, "waiting").size())}
    );
  }
  console.table({"witness", "url", "size", "cosigned", "state", "waiting"}, rows);
  for (const auto& failure : failures) console.say(failure);
  return missing;
}

}  // namespace

int audit_witness(const Console& console, Management& api) {
  const auto answer = api.get("/api/v1/witness");
  if (!answer) return console.fail(answer.error());
  const Json logs = items_of(*answer, "witnessed");
  const Json witnesses = items_of(*answer, "witnesses");
  if (console.json) {
    console.print(answer->dump(2));
    bool wrong = false;
    for (const Json& log : logs) wrong = wrong || is_true(log, "contradicted");
    for (const Json& one : witnesses) wrong = wrong || is_true(one, "missing");
    return wrong ? refused : done;
  }
  const auto log = answer->find("log");
  const bool known = log != answer->end() && log->is_object();
  console.say({"cli.witness-of-others", {}});
  const bool contradicted = print_witnessed(console, logs);
  console.say(
      {"cli.witness-of-ours",
       {{"origin", known ? text_of(*log, "origin") : "-"},
        {"size", known ? number_of(*log, "size") : "-"}}}
  );
  const bool missing = print_witnesses(console, witnesses);
  const auto quorum = answer->find("quorum");
  if (quorum != answer->end() && quorum->is_object()) {
    const char* code =
        is_true(*quorum, "reached") ? "cli.quorum-reached" : "cli.quorum-not-reached";
    console.say({code, {{"name", text_of(*quorum, "name")}, {"size", number_of(*quorum, "size")}}});
  }
  for (const Json& one : items_of(*answer, "waiting")) {
    console.say(
        {"cli.witness-waited-for",
         {{"agreement", text_of(one, "agreement")},
          {"since", text_of(one, "since")},
          {"witness", text_of(one, "witnesses")}}}
    );
  }
  return contradicted || missing ? refused : done;
}

int audit_lift(const Console& console, Management& api, const LiftOptions& options) {
  Json evidence = options.evidence;
  if (options.evidence.empty()) {
    const auto state = api.get("/api/v1/witness");
    if (!state) return console.fail(state.error());
    evidence = Json::array();
    for (const Json& log : items_of(*state, "witnessed")) {
      if (text_of(log, "origin") != options.origin) continue;
      for (const Json& one : items_of(log, "contradictions")) {
        if (stands(one)) evidence.push_back(text_of(one, "evidence"));
      }
    }
    if (evidence.empty()) {
      return console.fail(Message{"cli.nothing-to-lift", {{"origin", options.origin}}}, refused);
    }
  }
  const auto path = "/api/v1/witness/" + percent_encode_segment(options.origin) + "/lift";
  const auto answer = api.call("POST", path, {{"evidence", evidence}, {"reason", options.reason}});
  if (!answer) return console.fail(answer.error());
  if (console.json) {
    console.print(answer->dump(2));
    return done;
  }
  const Json lifted = items_of(*answer, "lifted");
  for (const Json& one : lifted) console.say(contradiction_message(options.origin, one));
  console.say(
      {"cli.lifted",
       {{"count", std::to_string(lifted.size())},
        {"origin", options.origin},
        {"reason", options.reason}}}
  );
  return done;
}

}  // namespace tally::cli
