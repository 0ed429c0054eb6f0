#include "hold_commands.hpp"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "tally/audit/hold_order.hpp"
#include "tally/core/http.hpp"
#include "tally/identity/enrolment.hpp"

#include "files.hpp"

namespace tally::cli {

namespace {

constexpr const char* stop_id = "stop";

std::string text_of(const Json& object, const char* member) {
  const auto found = object.find(member);
  if (found == object.end()) return "-";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

Result<audit::HoldOn> on_of(const HoldTarget& target) {
  using audit::HoldScope;
  if (target.everything) return audit::HoldOn{};
  const std::pair<HoldScope, const std::string&> all[] = {
      {HoldScope::agreement, target.agreement},
      {HoldScope::asset, target.asset},
      {HoldScope::party, target.party},
      {HoldScope::application, target.app}};
  for (const auto& [scope, id] : all) {
    if (!id.empty()) return audit::HoldOn{scope, id};
  }
  return fail(ErrorKind::invalid, {"audit.hold-malformed", {{"member", "scope"}}});
}

int shown(const Console& console, const Json& answer, const Message& said) {
  if (console.json) {
    console.print(answer.dump(2));
  } else {
    console.say(said);
  }
  return done;
}

Result<void> write_key(const std::filesystem::path& file, std::string_view pem) {
  const int to = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  bool written = to >= 0;
  if (written) {
    written =
        ::write(to, pem.data(), pem.size()) == static_cast<ssize_t>(pem.size()) && ::fsync(to) == 0;
    ::close(to);
  }
  if (written) return {};
  return fail(
      ErrorKind::invalid,
      {"cli.file-unwritable", {{"file", file.string()}, {"reason", std::strerror(errno)}}}
  );
}

struct RegulatorKey {
  audit::VerifierKey key;
  audit::Signer signer;
};

Result<RegulatorKey> regulator_key(std::string_view pem, const std::string& name) {
  const Message unfit{"cli.regulator-key-unfit", {{"name", name}}};
  auto seed = identity::ed25519_seed(pem);
  const auto public_key = seed ? audit::ed25519_public_key(as_bytes(*seed)) : Result<Bytes>();
  const bool plain = !name.empty() && name.find_first_of(" +\n\t") == std::string::npos;
  if (!seed || !public_key || !plain) return fail(ErrorKind::invalid, unfit);
  RegulatorKey made;
  made.key = audit::make_verifier_key(name, *public_key);
  made.signer = [seed = *std::move(seed)](std::span<const std::uint8_t> bytes) {
    return audit::ed25519_sign(seed, bytes);
  };
  return made;
}

Instant now() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(since).count();
  return Instant{micros / 1'000'000, static_cast<std::int32_t>(micros % 1'000'000 * 1000)};
}

}  // namespace

int hold_list(const Console& console, Management& api, bool lifted) {
  const auto answer =
      api.get(std::string("/api/v1/holds?state=") + (lifted ? "lifted" : "in-force"));
  if (!answer) return console.fail(answer.error());
  if (console.json) {
    console.print(answer->dump(2));
    return done;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& item : answer->value("items", Json::array())) {
    const std::string name = item.value("name", std::string());
    std::string on = text_of(item, "scope");
    if (item.contains("target")) on += " " + text_of(item, "target");
    rows.push_back(
        {text_of(item, "id"),
         text_of(item, "by") + (name.empty() ? "" : " " + name),
         on,
         text_of(item, "since"),
         text_of(item, "until"),
         text_of(item, "state")}
    );
  }
  if (rows.empty()) {
    console.say({"cli.no-holds", {}});
    return done;
  }
  console.table({"id", "by", "scope", "since", "until", "state"}, rows);
  return done;
}

int hold_place(const Console& console, Management& api, const HoldOptions& options) {
  const auto on = on_of(options.on);
  if (!on) return console.fail(on.error(), usage);
  Json body = {{"scope", to_string(on->scope)}};
  if (!on->target.empty()) body["target"] = on->target;
  if (!options.id.empty()) body["id"] = options.id;
  if (!options.until.empty()) body["until"] = options.until;
  if (!options.reason.empty()) body["reason"] = options.reason;
  const auto answer = api.call("POST", "/api/v1/holds", body);
  if (!answer) return console.fail(answer.error());
  return shown(console, *answer, {"cli.hold-placed", {{"hold", text_of(*answer, "id")}}});
}

int hold_lift(
    const Console& console, Management& api, const std::string& id, const std::string& reason
) {
  Json body = Json::object();
  if (!reason.empty()) body["reason"] = reason;
  const auto answer =
      api.call("POST", "/api/v1/holds/" + percent_encode_segment(id) + "/lift", body);
  if (!answer) return console.fail(answer.error());
  return shown(console, *answer, {"cli.hold-lifted", {{"hold", id}}});
}

int hold_send(const Console& console, Management& api, const std::filesystem::path& order) {
  const auto note = read_text(order);
  if (!note) return console.fail(note.error());
  const auto answer = api.call("POST", "/api/v1/holds/orders", {{"order", *note}});
  if (!answer) return console.fail(answer.error());
  const bool lifted = text_of(*answer, "state") == "lifted";
  return shown(
      console,
      *answer,
      {lifted ? "cli.hold-lifted" : "cli.hold-placed", {{"hold", text_of(*answer, "id")}}}
  );
}

int stop_all(const Console& console, Management& api, const std::string& reason) {
  HoldOptions everything;
  everything.on.everything = true;
  everything.id = stop_id;
  everything.reason = reason;
  return hold_place(console, api, everything);
}

int go_on(const Console& console, Management& api) {
  return hold_lift(console, api, stop_id, {});
}

int move_agreement(
    const Console& console,
    Management& api,
    const std::string& agreement,
    const std::string& move,
    const std::string& reason
) {
  Json body = Json::object();
  if (!reason.empty()) body["reason"] = reason;
  const auto answer = api.call(
      "POST", "/api/v1/agreements/" + percent_encode_segment(agreement) + "/" + move, body
  );
  if (!answer) return console.fail(answer.error());
  return shown(
      console, *answer, {"cli.agreement-" + text_of(*answer, "state"), {{"agreement", agreement}}}
  );
}

int hold_key(const Console& console, const std::filesystem::path& file, const std::string& name) {
  const auto pem = identity::generate_key_pem(identity::KeyKind::ed25519);
  if (!pem) return console.fail(pem.error());
  const auto made = regulator_key(*pem, name);
  if (!made) return console.fail(made.error(), usage);
  if (auto written = write_key(file, *pem); !written) return console.fail(written.error());
  console.print(made->key.text());
  return done;
}

int hold_order(const Console& console, const OrderOptions& options) {
  const auto pem = read_text(options.key);
  if (!pem) return console.fail(pem.error());
  const auto key = regulator_key(*pem, options.name);
  if (!key) return console.fail(key.error(), usage);
  audit::HoldOrder order;
  order.to = options.to;
  order.lifts = options.lifts;
  order.hold = options.hold;
  order.time = now();
  order.reference = options.reference;
  if (!order.lifts) {
    auto on = on_of(options.on);
    if (!on) return console.fail(on.error(), usage);
    order.on = *std::move(on);
    if (!options.until.empty()) {
      const auto until = parse_date_time(options.until);
      if (!until || !until->had_zone) {
        return console.fail(Message{"audit.hold-malformed", {{"member", "until"}}}, usage);
      }
      order.until = until->instant;
    }
  }
  auto note = audit::sign_hold_order(order, key->key, key->signer);
  if (!note) return console.fail(note.error(), usage);
  // Exactly as it was signed.
  if (note->ends_with('\n')) note->pop_back();
  console.print(*note);
  return done;
}

int ask_statements(
    const Console& console, Management& api, const std::string& agreement, std::uint64_t from
) {
  const auto answer = api.call(
      "POST",
      "/api/v1/agreements/" + percent_encode_segment(agreement) +
          "/statements?from=" + std::to_string(from),
      Json::object()
  );
  if (!answer) return console.fail(answer.error());
  const Json gaps = answer->value("gaps", Json::array());
  const int code = gaps.empty() ? done : refused;
  if (console.json) {
    console.print(answer->dump(2));
    return code;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& line : answer->value("records", Json::array())) {
    std::string what = text_of(line, "type");
    if (line.contains("action")) what += " " + text_of(line, "action");
    rows.push_back(
        {text_of(line, "aseq"),
         text_of(line, "time"),
         what,
         line.contains("code") ? text_of(line, "code") : "",
         text_of(line, "bytes"),
         text_of(line, "rows")}
    );
  }
  console.table({"aseq", "time", "type", "reason", "bytes", "rows"}, rows);
  rows.clear();
  for (const auto& one : answer->value("statements", Json::array())) {
    const Json range = one.value("aseq", Json::object());
    rows.push_back(
        {text_of(one, "number"),
         text_of(range, "from") + "–" + text_of(range, "to"),
         text_of(one, "uses"),
         text_of(one, "bytes"),
         text_of(one, "rows"),
         one.value("refusals", Json::object()).dump()}
    );
  }
  console.table({"number", "aseq", "uses", "bytes", "rows", "refusals"}, rows);
  for (const auto& gap : gaps) {
    Message message{gap.value("code", std::string()), {}};
    for (const auto& [name, value] : gap.value("params", Json::object()).items()) {
      if (value.is_string()) message.params[name] = value.get<std::string>();
    }
    console.say(message);
  }
  if (answer->contains("next")) {
    console.say({"cli.more-records", {{"next", (*answer)["next"].dump()}}});
  }
  return code;
}

}  // namespace tally::cli
