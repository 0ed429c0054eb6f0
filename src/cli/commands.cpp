#include "commands.hpp"

#include <chrono>
#include <cstdio>
#include <fstream>
#include <thread>

#include <nlohmann/json.hpp>

#include "tally/core/http.hpp"

#include "files.hpp"

namespace tally::cli {

namespace {

std::string text_of(const Json& value, std::string_view key, const std::string& none = "-") {
  const auto member = value.find(std::string(key));
  if (member == value.end() || member->is_null()) return none;
  if (member->is_string()) return member->get<std::string>();
  return member->dump();
}

std::string party_text(const Json& value, std::string_view key) {
  const auto member = value.find(std::string(key));
  return member != value.end() && member->is_object() ? text_of(*member, "uri") : "-";
}

// A {code, params} object of an answer, in the operator's language.
Message message_of(const Json& value) {
  Message message{text_of(value, "code"), {}};
  if (value.contains("params") && value["params"].is_object()) {
    for (const auto& [key, item] : value["params"].items()) {
      if (item.is_string()) message.params[key] = item.get<std::string>();
    }
  }
  return message;
}

// Why something was refused: our own sentences, or the peer's words as they came.
void say_reasons(const Console& console, const Json& answer) {
  if (answer.contains("reason") && answer["reason"].is_object()) {
    console.say(message_of(answer["reason"]));
  }
  if (!answer.contains("reasons") || !answer["reasons"].is_array()) return;
  for (const auto& reason : answer["reasons"]) {
    if (reason.is_object()) {
      console.say(message_of(reason));
    } else if (reason.is_string()) {
      console.print(reason.get<std::string>());
    }
  }
}

int show(const Console& console, const Json& answer) {
  console.print(answer.dump(2));
  return done;
}

// Reads `path` until its `state` is one of `ends`, or the time is over.
Result<Json> wait_for(
    Management& api, const std::string& path, const std::vector<std::string>& ends, int wait_seconds
) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(wait_seconds);
  for (;;) {
    auto answer = api.get(path);
    if (!answer) return answer;
    const auto state = text_of(*answer, "state");
    for (const auto& end : ends) {
      if (state == end) return answer;
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      return fail(
          ErrorKind::unavailable, {"cli.still-waiting", {{"state", state}, {"path", path}}}
      );
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(40));
  }
}

}  // namespace

int status(const Console& console, Management& api) {
  const auto answer = api.get("/api/v1/status");
  if (!answer) return console.fail(answer.error());
  if (console.json) return show(console, *answer);
  console.say(
      {"cli.status",
       {{"uri", party_text(*answer, "participant")},
        {"offers", text_of(*answer, "offers")},
        {"agreements", text_of(*answer, "agreements")},
        {"records", text_of((*answer)["log"], "size")},
        {"ready", text_of(*answer, "ready")}}}
  );
  return done;
}

int reload(const Console& console, Management& api) {
  const auto answer = api.call("POST", "/api/v1/reload", Json::object());
  if (!answer) return console.fail(answer.error());
  if (console.json) return show(console, *answer);
  console.say(message_of(*answer));
  for (const auto& document : answer->value("documents", Json::array())) {
    console.say(message_of(document));
  }
  return done;
}

namespace {

// The offers of a catalogue, then those of the catalogues in it.
void add_offers(const Json& catalog, std::vector<std::vector<std::string>>& rows) {
  for (const auto& dataset : catalog.value("dataset", Json::array())) {
    for (const auto& offer : dataset.value("hasPolicy", Json::array())) {
      rows.push_back({text_of(dataset, "@id"), text_of(dataset, "dct:title"), text_of(offer, "@id")}
      );
    }
  }
  for (const auto& nested : catalog.value("catalog", Json::array())) add_offers(nested, rows);
}

}  // namespace

int catalog(const Console& console, Management& api, const CatalogOptions& options) {
  const PartyId& peer = options.peer;
  Json order = {{"peer", {{"domain", peer.domain}, {"uri", peer.uri}}}};
  for (const auto& keyword : options.keywords) order["filter"].push_back({{"keyword", keyword}});
  if (options.follow) order["follow"] = true;
  const auto answer = api.call("POST", "/api/v1/catalog", order);
  if (!answer) return console.fail(answer.error());
  if (console.json) return show(console, *answer);
  std::vector<std::vector<std::string>> rows;
  add_offers(*answer, rows);
  if (rows.empty()) {
    console.say({"cli.catalog-empty", {{"uri", peer.uri}}});
    return done;
  }
  console.table({"asset", "title", "offer"}, rows);
  return done;
}

int negotiate(const Console& console, Management& api, const NegotiateOptions& options) {
  Json order = {{"peer", {{"domain", options.peer.domain}, {"uri", options.peer.uri}}}};
  if (options.asset.empty()) {
    order["role"] = "provider";
  } else {
    order["asset"] = options.asset;
    order["purposes"] = options.purposes;
  }
  if (!options.offer.empty()) order["offer"] = options.offer;
  const auto begun = api.call("POST", "/api/v1/negotiations", order);
  if (!begun) return console.fail(begun.error());
  const auto path = "/api/v1/negotiations/" + percent_encode_segment(text_of(*begun, "id"));
  const auto ended = wait_for(api, path, {"FINALIZED", "TERMINATED"}, options.wait_seconds);
  if (!ended) return console.fail(ended.error(), incomplete);
  const bool agreed = text_of(*ended, "state") == "FINALIZED";
  if (console.json) {
    show(console, *ended);
  } else if (agreed) {
    console.say({"cli.negotiated", {{"agreement", text_of(*ended, "agreement")}}});
  } else {
    console.say({"cli.negotiation-refused", {{"id", text_of(*ended, "id")}}});
    say_reasons(console, *ended);
  }
  return agreed ? done : refused;
}

int import_agreement(
    const Console& console,
    Management& api,
    const PartyId& peer,
    const std::string& role,
    const std::string& file
) {
  const auto text = read_text(file);
  if (!text) return console.fail(text.error());
  auto document = parse_json(*text);
  if (!document) return console.fail(document.error());
  const auto answer = api.call(
      "POST",
      "/api/v1/agreements",
      {{"peer", {{"domain", peer.domain}, {"uri", peer.uri}}},
       {"role", role},
       {"agreement", std::move(*document)}}
  );
  if (!answer) return console.fail(answer.error());
  if (console.json) {
    show(console, *answer);
  } else {
    console.say({"cli.agreement-imported", {{"agreement", text_of(*answer, "id")}}});
  }
  return done;
}

int transfer(
    const Console& console, Management& api, const std::string& agreement, int wait_seconds
) {
  const auto begun = api.call("POST", "/api/v1/transfers", {{"agreement", agreement}});
  if (!begun) return console.fail(begun.error());
  const auto path = "/api/v1/transfers/" + percent_encode_segment(text_of(*begun, "id"));
  const auto ended = wait_for(api, path, {"COMPLETED", "TERMINATED"}, wait_seconds);
  if (!ended) return console.fail(ended.error(), incomplete);
  const bool complete = text_of(*ended, "state") == "COMPLETED";
  if (console.json) {
    show(console, *ended);
  } else if (complete) {
    console.say(
        {"cli.transferred",
         {{"bytes", text_of(*ended, "bytes")}, {"content", text_of(*ended, "content")}}}
    );
  } else {
    console.say({"cli.transfer-failed", {{"id", text_of(*ended, "id")}}});
    say_reasons(console, *ended);
  }
  return complete ? done : refused;
}

int move_transfer(const Console& console, Management& api, const MoveOptions& options) {
  Json order = Json::object();
  if (!options.reason.empty()) order["reason"] = options.reason;
  const auto path = "/api/v1/transfers/" + percent_encode_segment(options.id) + "/" + options.move;
  const auto answer = api.call("POST", path, order);
  if (!answer) return console.fail(answer.error());
  if (console.json) return show(console, *answer);
  console.say({"cli.transfer-moved", {{"id", options.id}, {"state", text_of(*answer, "state")}}});
  return done;
}

int read(const Console& console, Management& apps, const ReadOptions& options) {
  HttpRequest request;
  request.method = "GET";
  if (!options.key.empty()) request.headers.set("Idempotency-Key", options.key);
  std::string path = "/api/v1/data/" + percent_encode_segment(options.agreement);
  if (!options.purpose.empty()) path += "?purpose=" + percent_encode_segment(options.purpose);
  const auto answer = apps.raw(std::move(request), path);
  if (!answer) return console.fail(answer.error());
  if (answer->status >= 400) {
    const auto body = Json::parse(answer->body, nullptr, false);
    if (console.json && body.is_object()) {
      show(console, body);
      return refused;
    }
    const int code = console.fail(error_of(*answer));
    if (body.is_object()) say_reasons(console, body);
    return code;
  }
  if (options.file.empty()) {
    std::fwrite(answer->body.data(), 1, answer->body.size(), stdout);
    return done;
  }
  std::ofstream out(options.file, std::ios::binary);
  out << answer->body;
  if (!out.flush()) {
    return console.fail(Message{"cli.file-unwritable", {{"file", options.file}}}, refused);
  }
  console.say(
      {"cli.read-done",
       {{"bytes", std::to_string(answer->body.size())},
        {"file", options.file},
        {"use", std::string(answer->headers.get("Tally-Use").value_or("-"))}}}
  );
  return done;
}

int list(const Console& console, Management& api, const std::string& kind, const std::string& id) {
  const auto path = "/api/v1/" + kind + (id.empty() ? "" : "/" + percent_encode_segment(id));
  const auto answer = api.get(path);
  if (!answer) return console.fail(answer.error());
  if (console.json || !id.empty()) return show(console, *answer);
  std::vector<std::vector<std::string>> rows;
  const auto items = answer->value("items", Json::array());
  if (kind == "agreements") {
    for (const auto& item : items) {
      std::string used;
      for (const auto& limit : item.value("limits", Json::array())) {
        used += (used.empty() ? "" : ", ") + text_of(limit, "used") + "/" +
                text_of(limit, "limit") + " (" + text_of(limit, "owner") + ")";
      }
      rows.push_back(
          {text_of(item, "id"),
           text_of(item, "state"),
           text_of(item, "asset"),
           party_text(item, "provider"),
           party_text(item, "consumer"),
           used.empty() ? "-" : used}
      );
    }
    console.table({"agreement", "state", "asset", "provider", "consumer", "used"}, rows);
  } else if (kind == "apps") {
    for (const auto& item : items) {
      rows.push_back({text_of(item, "id"), text_of(item, "purposes"), text_of(item, "agreements")});
    }
    console.table({"app", "purposes", "agreements"}, rows);
  } else if (kind == "assets") {
    for (const auto& item : items) {
      rows.push_back({text_of(item, "id"), text_of(item, "title"), text_of(item, "home")});
    }
    console.table({"asset", "title", "home"}, rows);
  } else if (kind == "policies") {
    for (const auto& item : items) {
      rows.push_back(
          {text_of(item, "id"),
           text_of(item, "asset"),
           text_of(item, "home"),
           text_of(item, "digest")}
      );
    }
    console.table({"offer", "asset", "home", "digest"}, rows);
    for (const auto& problem : answer->value("problems", Json::array())) {
      console.say(
          {"cli.document-problem",
           {{"file", text_of(problem, "file")},
            {"pointer", text_of(problem, "pointer")},
            {"why", console.text(message_of(problem))}}}
      );
    }
  } else if (kind == "artefacts") {
    for (const auto& item : items) {
      rows.push_back(
          {text_of(item, "id"),
           text_of(item, "state"),
           text_of(item, "asset"),
           text_of(item, "agreement"),
           text_of(item, "bytes")}
      );
    }
    console.table({"id", "state", "asset", "agreement", "bytes"}, rows);
  } else if (kind == "deletion-records") {
    for (const auto& item : items) {
      rows.push_back({text_of(item, "agreement"), text_of(item, "time"), text_of(item, "content")});
    }
    console.table({"agreement", "time", "content"}, rows);
  } else {
    for (const auto& item : items) {
      rows.push_back(
          {text_of(item, "id"),
           text_of(item, "state"),
           party_text(item, "peer"),
           text_of(item, "agreement")}
      );
    }
    console.table({"id", "state", "peer", "agreement"}, rows);
  }
  return done;
}

int agreement_history(const Console& console, Management& api, const std::string& id) {
  const auto answer = api.get("/api/v1/agreements/" + percent_encode_segment(id) + "/history");
  if (!answer) return console.fail(answer.error());
  if (console.json) return show(console, *answer);
  std::vector<std::vector<std::string>> rows;
  for (const auto& row : answer->value("rows", Json::array())) {
    rows.push_back(
        {text_of(row, "time"),
         text_of(row, "seq"),
         text_of(row, "type"),
         console.text(message_of(row.value("summary", Json::object())))}
    );
  }
  console.table({"time", "record", "type", "summary"}, rows);
  return done;
}

int terminate(
    const Console& console, Management& api, const std::string& agreement, const std::string& reason
) {
  const auto answer = api.call(
      "POST",
      "/api/v1/agreements/" + percent_encode_segment(agreement) + "/termination",
      {{"reason", reason}}
  );
  if (!answer) return console.fail(answer.error());
  if (console.json) return show(console, *answer);
  console.say({"cli.terminated", {{"agreement", agreement}}});
  return done;
}

int add_app(const Console& console, Management& api, const AppOptions& options) {
  const auto answer = api.call(
      "POST",
      "/api/v1/apps",
      {{"id", options.id},
       {"purposes", options.purposes},
       {"roles", options.roles},
       {"agreements", options.agreements}}
  );
  if (!answer) return console.fail(answer.error());
  if (console.json) return show(console, *answer);
  console.say({"cli.app-added", {{"app", options.id}}});
  console.print(text_of(*answer, "token"));
  return done;
}

int remove_app(const Console& console, Management& api, const std::string& id) {
  const auto answer = api.call("DELETE", "/api/v1/apps/" + percent_encode_segment(id), nullptr);
  if (!answer) return console.fail(answer.error());
  console.say({"cli.app-removed", {{"app", id}}});
  return done;
}

int decide(const Console& console, Management& api, const DecideOptions& options) {
  Json order = {{"agreement", options.agreement}, {"app", options.app}};
  if (!options.purpose.empty()) order["purpose"] = options.purpose;
  const auto answer = api.call("POST", "/api/v1/decisions", order);
  if (!answer) return console.fail(answer.error());
  const bool permit = text_of(*answer, "decision") == "permit";
  if (console.json) {
    show(console, *answer);
  } else {
    console.say({permit ? "cli.would-permit" : "cli.would-deny", {{"agreement", options.agreement}}}
    );
    say_reasons(console, *answer);
  }
  return permit ? done : refused;
}

int rotate_log_key(const Console& console, Management& api, std::int64_t overlap_seconds) {
  const auto answer =
      api.call("POST", "/api/v1/log-key/rotation", {{"overlapSeconds", overlap_seconds}});
  if (!answer) return console.fail(answer.error());
  if (console.json) return show(console, *answer);
  console.say(
      {"cli.log-key-rotated",
       {{"vkey", text_of(*answer, "vkey")}, {"until", text_of(*answer, "overlapUntil")}}}
  );
  return done;
}

int prune_log(const Console& console, Management& api) {
  const auto answer = api.call("POST", "/api/v1/log/pruning", Json::object());
  if (!answer) return console.fail(answer.error());
  if (console.json) return show(console, *answer);
  const std::string first = std::to_string(answer->value("first", std::uint64_t{0}));
  const bool pruned = answer->value("pruned", Json()).is_object();
  console.say({pruned ? "cli.log-pruned" : "cli.log-not-pruned", {{"first", first}}});
  if (const auto why = answer->find("why"); why != answer->end()) {
    console.print(text_of(*why, "text"));
  }
  return done;
}

int advance_clock(const Console& console, Management& api, std::int64_t seconds) {
  const auto answer = api.call("POST", "/api/v1/clock", {{"advanceSeconds", seconds}});
  if (!answer) return console.fail(answer.error());
  if (console.json) return show(console, *answer);
  console.say({"cli.clock", {{"time", text_of(*answer, "time")}}});
  return done;
}

}  // namespace tally::cli
