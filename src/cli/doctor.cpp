#include "doctor.hpp"

#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/identity/enrolment.hpp"
#include "tally/identity/issued.hpp"

#include "connector_folder.hpp"
#include "files.hpp"
#include "wall_clock.hpp"

namespace tally::cli {

namespace {

namespace fs = std::filesystem;

constexpr Nanos day = seconds(86'400);
constexpr Nanos certificate_notice = 30 * day;
constexpr Nanos list_notice = 7 * day;
constexpr std::uintmax_t mib = 1 << 20;
constexpr std::uintmax_t little_disk = 1024 * mib;
constexpr std::uintmax_t least_disk = 64 * mib;

enum class Health { good, soon, bad };

std::string_view to_string(Health health) {
  switch (health) {
    case Health::good:
      return "good";
    case Health::soon:
      return "soon";
    case Health::bad:
      break;
  }
  return "bad";
}

struct Finding {
  std::string check;  // "certificate", "peer", …
  std::string of;     // which one, as the configuration calls it
  Health health = Health::good;
  Message says;
};

class Findings {
 public:
  void add(std::string check, std::string of, Health health, Message says) {
    all_.push_back({std::move(check), std::move(of), health, std::move(says)});
  }
  // Of something that ends: well, soon over, over.
  void add_end(
      const std::string& check,
      std::string of,
      Instant end,
      Nanos notice,
      const std::string& code,
      decltype(Message::params) params
  ) {
    const Instant now = WallClock().read().at;
    const Health health = end <= now            ? Health::bad
                          : end <= now + notice ? Health::soon
                                                : Health::good;
    params["until"] = format_seconds(end);
    params["days"] = std::to_string((end.seconds - now.seconds) / (day / seconds(1)));
    const char* suffix = health == Health::good ? "good" : health == Health::soon ? "soon" : "over";
    add(check, std::move(of), health, {code + suffix, std::move(params)});
  }
  int print(const Console& console) const {
    Health worst = Health::good;
    Json list = Json::array();
    std::vector<std::vector<std::string>> rows;
    for (const auto& one : all_) {
      worst = std::max(worst, one.health);
      Json entry = console.message_json(one.says);
      entry["check"] = one.check;
      entry["of"] = one.of;
      entry["health"] = to_string(one.health);
      list.push_back(std::move(entry));
      const auto state = "cli.doctor-" + std::string(to_string(one.health));
      rows.push_back({one.check, one.of, console.text({state, {}}), console.text(one.says)});
    }
    if (console.json) {
      console.print(list.dump(2));
    } else {
      console.table({"check", "about", "state", "what-to-do"}, rows);
    }
    return worst == Health::good ? done : worst == Health::soon ? incomplete : refused;
  }

 private:
  std::vector<Finding> all_;
};

std::string text_of(const Json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Json items_of(const Json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_array() ? *found : Json::array();
}

Message message_of(const Json& value) {
  Message out{text_of(value, "code"), {}};
  const auto params = value.find("params");
  if (params == value.end() || !params->is_object()) return out;
  for (const auto& [key, item] : params->items()) {
    if (item.is_string()) out.params[key] = item.get<std::string>();
  }
  return out;
}

// --- the folder ---

void look_at_certificates(const fs::path& folder, Findings& out) {
  for (const char* kind : {"tls", "contract"}) {
    const auto file = folder / kind / "chain.pem";
    const auto text = read_text(file);
    const auto facts = text ? identity::certificate_facts(*text) : tl::unexpected(text.error());
    if (!facts) {
      out.add("certificate", kind, Health::bad, facts.error().message);
      continue;
    }
    const std::string code = std::string("cli.doctor-") + kind + "-";
    out.add_end("certificate", kind, facts->not_after, certificate_notice, code, {});
  }
}

void look_at_trust(const fs::path& folder, const Ordered& config, Findings& out) {
  for (const auto& entry : config.value("trust", Ordered::array())) {
    const auto domain = entry.value("domain", std::string());
    const auto anchors = read_text(folder / entry.value("anchors", std::string()));
    const auto named = anchors ? identity::anchors_of(*anchors) : tl::unexpected(anchors.error());
    if (!named) {
      out.add("anchor", domain, Health::bad, named.error().message);
      continue;
    }
    for (const auto& anchor : *named) {
      out.add_end(
          "anchor",
          domain,
          anchor.not_after,
          certificate_notice,
          "cli.doctor-anchor-",
          {{"domain", domain}, {"subject", anchor.subject}}
      );
    }
    if (entry.value("crl", std::string("required")) == "none") continue;
    const auto text = read_text(folder / entry.value("crlFile", std::string()));
    const auto lists = text ? identity::list_facts(*text) : tl::unexpected(text.error());
    if (!lists) {
      out.add("list", domain, Health::bad, lists.error().message);
      continue;
    }
    for (const auto& list : *lists) {
      out.add_end(
          "list",
          domain,
          list.next_update,
          list_notice,
          "cli.doctor-list-",
          {{"domain", domain}, {"issuer", list.issuer}}
      );
    }
  }
}

void look_at_disk(const fs::path& folder, Findings& out) {
  std::error_code failed;
  const auto space = fs::space(folder, failed);
  if (failed) return;  // whoever has no such call is told nothing
  const auto free = space.available;
  const Health health = free < least_disk    ? Health::bad
                        : free < little_disk ? Health::soon
                                             : Health::good;
  out.add(
      "disk",
      folder.string(),
      health,
      {health == Health::good ? "cli.doctor-disk-good" : "cli.doctor-disk-low",
       {{"folder", folder.string()}, {"free", std::to_string(free / mib)}}}
  );
}

// --- the running connector ---

void look_at_readiness(Management& api, Findings& out) {
  HttpRequest request;
  request.method = "GET";
  const auto answer = api.raw(std::move(request), "/health/ready");
  const auto json = answer ? Json::parse(answer->body, nullptr, false) : Json();
  for (const auto& check : items_of(json.is_object() ? json : Json::object(), "checks")) {
    const bool good = check.value("good", false);
    out.add(text_of(check, "check"), "-", good ? Health::good : Health::bad, message_of(check));
  }
}

void look_at_peers(Management& api, const Ordered& config, Findings& out) {
  for (const auto& peer : config.value("peers", Ordered::array())) {
    const auto uri = peer.value("uri", std::string());
    const Json order = {
        {"peer", {{"domain", peer.value("domain", std::string())}, {"uri", uri}}},
        // Nothing has this keyword: it is the way there that is asked for.
        {"filter", Json::array({{{"keyword", "tally-doctor"}}})}};
    const auto answer = api.call("POST", "/api/v1/catalog", order);
    const bool there = answer || answer.error().message.code == "api.filter-refused";
    out.add(
        "peer",
        uri,
        there ? Health::good : Health::bad,
        there ? Message{"cli.doctor-peer-good", {{"peer", uri}}} : answer.error().message
    );
  }
}

void look_at_witnesses(Management& api, Findings& out) {
  const auto answer = api.get("/api/v1/witness");
  if (!answer) {
    out.add("witness", "-", Health::bad, answer.error().message);
    return;
  }
  for (const auto& one : items_of(*answer, "witnesses")) {
    const auto party = one.value("party", Json::object());
    const auto uri = text_of(party, "uri");
    const auto since = text_of(one, "failingSince");
    const auto apart = one.value("clockApart", std::int64_t{0});
    if (one.value("missing", false)) {
      out.add("witness", uri, Health::bad, {"audit.witness-missing", {{"witness", uri}}});
    } else if (!since.empty()) {
      const auto why = one.value("why", Json());
      out.add(
          "witness",
          uri,
          Health::soon,
          {"cli.witness-fails",
           {{"witness", uri},
            {"since", since},
            {"why", why.is_object() ? text_of(why, "text") : "-"}}}
      );
    }
    if (apart != 0) {
      out.add(
          "clock",
          uri,
          Health::soon,
          {"audit.clocks-apart", {{"witness", uri}, {"seconds", std::to_string(apart)}}}
      );
    }
  }
}

void look_at_documents(Management& api, Findings& out) {
  const auto answer = api.get("/api/v1/policies");
  if (!answer) {
    out.add("documents", "-", Health::bad, answer.error().message);
    return;
  }
  const auto problems = items_of(*answer, "problems");
  for (const auto& problem : problems) {
    out.add(
        "documents",
        text_of(problem, "file") + text_of(problem, "pointer"),
        Health::bad,
        message_of(problem)
    );
  }
  if (problems.empty()) {
    const auto offers = std::to_string(items_of(*answer, "items").size());
    out.add("documents", "-", Health::good, {"cli.doctor-documents-good", {{"offers", offers}}});
  }
}

}  // namespace

int doctor(const Console& console, const Connection& connection) {
  const auto& folder = connection.folder;
  const auto config = read_config(folder);
  if (!config) return console.fail(config.error(), usage);
  Findings out;
  auto api = Management::open(connection, console.lang);
  const auto status = api ? api->get("/api/v1/status") : tl::unexpected(api.error());
  if (status) {
    look_at_readiness(*api, out);
  } else {
    out.add(
        "connector",
        folder.string(),
        Health::bad,
        {"cli.doctor-not-running",
         {{"folder", folder.string()}, {"reason", console.text(status.error().message)}}}
    );
  }
  look_at_certificates(folder, out);
  look_at_trust(folder, *config, out);
  look_at_disk(folder, out);
  if (status) {
    look_at_peers(*api, *config, out);
    look_at_witnesses(*api, out);
    look_at_documents(*api, out);
  }
  return out.print(console);
}

}  // namespace tally::cli
