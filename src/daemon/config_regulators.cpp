// What tally.json says of regulators whose orders are obeyed.
#include "config_reader.hpp"

namespace tally::daemon {

ConfigReader::Field read_regulators(ConfigReader& read, Config& config) {
  return [&read, &config](const Json& value, const std::string& at) {
    read.array(value, at, [&](const Json& item, const std::string& where) {
      audit::Regulator regulator;
      std::string vkey;
      read.object(
          item,
          where,
          {{"name", read.word(regulator.name)}, {"vkey", read.text(vkey)}},
          {"name", "vkey"}
      );
      const auto same = [&](const audit::Regulator& other) { return other.name == regulator.name; };
      if (!regulator.name.empty() && std::ranges::any_of(config.regulators, same)) {
        return read.expected(child(where, "name"), regulator.name + "-2");
      }
      if (vkey.empty()) return;
      auto key = audit::parse_verifier_key(vkey);
      if (!key || key->type != audit::ed25519_type) {
        return read.expected(child(where, "vkey"), "name+id+key (0x01)");
      }
      regulator.key = *std::move(key);
      config.regulators.push_back(std::move(regulator));
    });
  };
}

}  // namespace tally::daemon
