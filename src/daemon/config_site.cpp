// What tally.json says of places of use: `site`, `peers[].site`, `taxonomy`, `events`.
#include <set>

#include "tally/odrl/terms.hpp"

#include "config_reader.hpp"

namespace tally::daemon {

namespace {

constexpr std::size_t most_values = 64;
constexpr std::size_t most_steps = 4096;
constexpr std::size_t most_events = 256;
constexpr std::size_t most_bytes = 512;

// As policies name things: an IRI or a word.
bool is_name(const std::string& text) {
  return !text.empty() && text.size() <= most_bytes && std::ranges::all_of(text, [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && c != 0x7f;
  });
}

ConfigReader::Field names(ConfigReader& read, std::vector<std::string>& out) {
  return [&read, &out](const Json& value, const std::string& at) {
    read.array(value, at, [&](const Json& item, const std::string& where) {
      const auto* text = item.get_ptr<const std::string*>();
      if (text == nullptr || !is_name(*text)) return read.expected(where, "IRI");
      out.push_back(odrl::canonical_iri(*text));
    });
    if (out.size() > most_values) read.expected(at, "0…" + std::to_string(most_values));
  };
}

ConfigReader::Field time(ConfigReader& read, std::optional<Instant>& out) {
  return [&read, &out](const Json& value, const std::string& at) {
    const auto* text = value.get_ptr<const std::string*>();
    const auto parsed = text == nullptr ? std::nullopt : parse_date_time(*text);
    if (!parsed || !parsed->had_zone) return read.expected(at, "2026-01-01T00:00:00Z");
    out = parsed->instant;
  };
}

}  // namespace

ConfigReader::Field read_site(ConfigReader& read, usage::Site& site, bool own) {
  return [&read, &site, own](const Json& value, const std::string& at) {
    std::map<std::string, ConfigReader::Field, std::less<>> fields{
        {"places", names(read, site.places)},
        {"networks", names(read, site.networks)},
        {"securityLevels", names(read, site.security_levels)},
        {"states", names(read, site.states)},
    };
    // Of a peer it stands beside its site: peers[].jurisdiction.
    if (own) fields.emplace("jurisdiction", read.word(site.jurisdiction));
    read.object(value, at, fields, {});
  };
}

ConfigReader::Field read_taxonomy(ConfigReader& read, std::vector<odrl::Broader>& steps) {
  return [&read, &steps](const Json& value, const std::string& at) {
    if (!value.is_object()) return read.expected(at, "object");
    for (const auto& [broader, list] : value.items()) {
      const std::string place = child(at, broader);
      if (!is_name(broader)) read.expected(place, "IRI");
      std::vector<std::string> narrower;
      names(read, narrower)(list, place);
      for (auto& one : narrower) {
        steps.push_back({std::move(one), odrl::canonical_iri(broader)});
      }
    }
    if (steps.size() > most_steps) read.expected(at, "0…" + std::to_string(most_steps));
  };
}

ConfigReader::Field read_events(ConfigReader& read, std::vector<odrl::EventSpan>& events) {
  return [&read, &events](const Json& value, const std::string& at) {
    std::set<std::string> seen;
    read.array(value, at, [&](const Json& item, const std::string& where) {
      odrl::EventSpan span;
      read.object(
          item,
          where,
          {{"event", read.text(span.event)},
           {"start", time(read, span.start)},
           {"end", time(read, span.end)}},
          {"event", "start"}
      );
      if (!span.event.empty() && !is_name(span.event)) {
        return read.expected(child(where, "event"), "IRI");
      }
      span.event = odrl::canonical_iri(std::move(span.event));
      if (!seen.insert(span.event).second) {
        return read.expected(child(where, "event"), span.event + "-2");
      }
      if (span.start && span.end && *span.end <= *span.start) {
        return read.expected(child(where, "end"), "> start");
      }
      events.push_back(std::move(span));
    });
    if (events.size() > most_events) read.expected(at, "0…" + std::to_string(most_events));
  };
}

usage::Surroundings surroundings_of(const Config& config) {
  usage::Surroundings out;
  out.own = config.site;
  for (const auto& entry : config.known_peers) {
    usage::Site site = entry.site;
    site.jurisdiction = entry.jurisdiction;
    out.peers.emplace(entry.party, std::move(site));
  }
  // The order of the IDS profiles, which nobody should have to register.
  const std::string ids(odrl::iri::ids_code);
  out.taxonomy.push_back({ids + "TRUST_SECURITY_PROFILE", ids + "BASE_SECURITY_PROFILE"});
  out.taxonomy.push_back({ids + "TRUST_PLUS_SECURITY_PROFILE", ids + "TRUST_SECURITY_PROFILE"});
  out.taxonomy.insert(out.taxonomy.end(), config.taxonomy.begin(), config.taxonomy.end());
  out.events = config.events;
  return out;
}

}  // namespace tally::daemon
