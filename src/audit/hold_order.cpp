#include "tally/audit/hold_order.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/audit/signed_json.hpp"
#include "tally/core/json.hpp"

namespace tally::audit {
namespace {

constexpr std::string_view kind = "tally/hold-order/v1";
constexpr std::size_t most_name_bytes = 64;
constexpr std::size_t most_reference_bytes = 200;
constexpr std::size_t most_uri_bytes = 2048;
constexpr std::size_t most_target_bytes = 2048;

constexpr std::array<HoldScope, 5> scopes = {
    HoldScope::everything,
    HoldScope::agreement,
    HoldScope::asset,
    HoldScope::party,
    HoldScope::application,
};

tl::unexpected<Error> malformed(const char* member) {
  return fail(
      ErrorKind::invalid, {"audit.hold-malformed", {{"member", member}}}, child("", member)
  );
}

Json to_json(const HoldOrder& order) {
  Json json = {
      {"act", order.lifts ? "lift" : "place"},
      {"hold", order.hold},
      {"time", format_micros(order.time)},
      {"to", order.to}};
  if (!order.lifts) {
    json["scope"] = to_string(order.on.scope);
    if (!order.on.target.empty()) json["target"] = order.on.target;
    if (order.until) json["until"] = format_micros(*order.until);
  }
  if (!order.reference.empty()) json["reference"] = order.reference;
  return json;
}

Result<Instant> time_member(const Json& json, const char* member) {
  const auto text = string_member(json, member, "");
  const auto time = text ? parse_date_time(*text) : std::nullopt;
  // The one way in which `to_json` writes it: two orders never differ in the text alone.
  if (!time || format_micros(time->instant) != *text) return malformed(member);
  return time->instant;
}

Result<HoldOrder> read(const Json& json) {
  HoldOrder order;
  const auto act = string_member(json, "act", "");
  if (!act || (*act != "place" && *act != "lift")) return malformed("act");
  order.lifts = *act == "lift";
  auto hold = string_member(json, "hold", "");
  if (!hold) return malformed("hold");
  order.hold = *std::move(hold);
  auto to = string_member(json, "to", "");
  if (!to) return malformed("to");
  order.to = *std::move(to);
  const auto time = time_member(json, "time");
  if (!time) return tl::unexpected(time.error());
  order.time = *time;
  auto reference = string_member_or(json, "reference", "", "");
  if (!reference) return malformed("reference");
  order.reference = *std::move(reference);
  if (!order.lifts) {
    auto on = parse_hold_on(json);
    if (!on) return fail(std::move(on));
    order.on = *std::move(on);
    if (json.contains("until")) {
      const auto until = time_member(json, "until");
      if (!until) return tl::unexpected(until.error());
      order.until = *until;
    }
  }
  if (auto fits = check(order); !fits) return fail(std::move(fits));
  return order;
}

}  // namespace

std::string_view to_string(HoldScope scope) {
  switch (scope) {
    case HoldScope::everything:
      return "everything";
    case HoldScope::agreement:
      return "agreement";
    case HoldScope::asset:
      return "asset";
    case HoldScope::party:
      return "party";
    case HoldScope::application:
      break;
  }
  return "application";
}

std::optional<HoldScope> parse_hold_scope(std::string_view text) {
  for (const auto scope : scopes) {
    if (text == to_string(scope)) return scope;
  }
  return std::nullopt;
}

Result<HoldOn> parse_hold_on(const Json& body) {
  const auto text = string_member(body, "scope", "");
  if (!text) return malformed("scope");
  const auto scope = parse_hold_scope(*text);
  if (!scope) return malformed("scope");
  auto target = string_member_or(body, "target", "", "");
  if (!target) return malformed("target");
  const bool odd = std::ranges::any_of(*target, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte <= 0x20 || byte == 0x7F;
  });
  if (odd || target->size() > most_target_bytes ||
      target->empty() != (*scope == HoldScope::everything)) {
    return malformed("target");
  }
  return HoldOn{*scope, *std::move(target)};
}

bool is_hold_name(std::string_view text) {
  return !text.empty() && text.size() <= most_name_bytes && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

Result<void> check(const HoldOrder& order) {
  if (!is_hold_name(order.hold)) return malformed("hold");
  if (order.to.empty() || order.to.size() > most_uri_bytes) return malformed("to");
  const bool odd = std::ranges::any_of(order.reference, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7F;
  });
  if (odd || order.reference.size() > most_reference_bytes) return malformed("reference");
  if (order.lifts) return {};
  // As it will be read.
  if (auto on = parse_hold_on(to_json(order)); !on) return fail(std::move(on));
  if (order.until && *order.until <= order.time) return malformed("until");
  return {};
}

Result<std::string> sign_hold_order(
    const HoldOrder& order, const VerifierKey& key, const Signer& signer
) {
  if (auto fits = check(order); !fits) return fail(std::move(fits));
  return sign_json(kind, to_jcs(to_json(order)), key, signer);
}

Result<SignedOrder> verify_hold_order(
    std::string_view note, std::span<const Regulator> regulators
) {
  Error why{ErrorKind::invalid, {"audit.note-unsigned", {}}, {}};
  for (const Regulator& regulator : regulators) {
    const auto json = open_signed_json(note, kind, regulator.key);
    if (json) {
      auto order = read(*json);
      if (!order) return fail(std::move(order));
      return SignedOrder{*std::move(order), regulator.name};
    }
    // A signature that fails says more than one by somebody else.
    if (json.error().message.code != "audit.note-unsigned") why = json.error();
  }
  return tl::unexpected(std::move(why));
}

}  // namespace tally::audit
