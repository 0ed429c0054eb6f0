// What tally.json says of programs of the operator that this connector calls.
#include "tally/events/event.hpp"

#include "config_reader.hpp"

namespace tally::daemon {

namespace {

// Each reads the log for itself.
constexpr std::size_t most_webhooks = 16;

using Fields = std::map<std::string, ConfigReader::Field, std::less<>>;

Fields program_fields(ConfigReader& read, const Config& config, ProgramEntry& entry) {
  return {
      {"name", read.word(entry.name)},
      {"url", read.url(entry.url)},
      {"key", read.path(entry.key, config.folder)},
      {"privateAddresses", read.flag(entry.private_addresses)},
      {"tlsAnchors", read.path(entry.tls_anchors, config.folder)}};
}

bool is_loopback(const boost::urls::url_view& url) {
  if (url.host_type() == boost::urls::host_type::ipv4) {
    return url.host_ipv4_address().is_loopback();
  }
  if (url.host_type() == boost::urls::host_type::ipv6) {
    return url.host_ipv6_address().is_loopback();
  }
  return url.encoded_host() == "localhost";
}

// In the clear on this machine alone.
void check_transport(ConfigReader& read, const ProgramEntry& entry, const std::string& at) {
  const auto url = boost::urls::parse_uri(entry.url);
  if (url && url->scheme() == "http" && !is_loopback(*url)) {
    read.problem({"daemon.config-plain-program", {{"url", entry.url}}}, at);
  }
}

// What is wrong with an entry beside its members. `names`: of those before it.
template <class Entry>
void check_program(
    ConfigReader& read, const Entry& entry, const std::vector<Entry>& before, const std::string& at
) {
  const auto same = [&entry](const Entry& other) { return other.name == entry.name; };
  if (!entry.name.empty() && std::ranges::any_of(before, same)) {
    read.problem({"daemon.config-program-twice", {{"name", entry.name}}}, child(at, "name"));
  }
  check_transport(read, entry, child(at, "url"));
}

}  // namespace

ConfigReader::Field read_hooks(ConfigReader& read, Config& config) {
  return [&read, &config](const Json& value, const std::string& at) {
    read.array(value, at, [&](const Json& item, const std::string& where) {
      HookEntry entry;
      auto fields = program_fields(read, config, entry);
      fields.emplace("deadlineSeconds", read.number(entry.deadline, 1, 300, seconds(1)));
      fields.emplace("signedAnswers", read.flag(entry.signed_answers));
      read.object(item, where, fields, {"name", "url", "key"});
      check_program(read, entry, config.hooks, where);
      config.hooks.push_back(std::move(entry));
    });
  };
}

ConfigReader::Field read_webhooks(ConfigReader& read, Config& config) {
  return [&read, &config](const Json& value, const std::string& at) {
    if (value.is_array() && value.size() > most_webhooks) {
      return read.expected(at, "0…" + std::to_string(most_webhooks));
    }
    read.array(value, at, [&](const Json& item, const std::string& where) {
      WebhookEntry entry;
      auto fields = program_fields(read, config, entry);
      fields.emplace("events", read.texts(entry.events));
      fields.emplace("maxAgeSeconds", read.number(entry.max_age, 1, 31'536'000, seconds(1)));
      fields.emplace("party", read.text(entry.party));
      read.object(item, where, fields, {"name", "url", "key"});
      check_program(read, entry, config.webhooks, where);
      if (const auto known = events::check_types(entry.events); !known) {
        read.problem(known.error().message, child(where, "events"));
      }
      const auto of_party = [&entry](const WebhookEntry& other) {
        return !entry.party.empty() && other.party == entry.party;
      };
      if (std::ranges::any_of(config.webhooks, of_party)) {
        read.problem(
            {"daemon.config-party-twice", {{"party", entry.party}}}, child(where, "party")
        );
      }
      config.webhooks.push_back(std::move(entry));
    });
  };
}

ConfigReader::Field read_telemetry(ConfigReader& read, Config& config) {
  return [&read, &config](const Json& value, const std::string& at) {
    ProgramEntry& entry = config.collector;
    read.object(
        value,
        at,
        {{"otlpEndpoint", read.url(entry.url)},
         {"privateAddresses", read.flag(entry.private_addresses)},
         {"tlsAnchors", read.path(entry.tls_anchors, config.folder)}},
        {"otlpEndpoint"}
    );
    check_transport(read, entry, child(at, "otlpEndpoint"));
  };
}

}  // namespace tally::daemon
