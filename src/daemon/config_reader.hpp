// How tally.json is read: member by member, every fault noted with its place. Private to the
// files config*.cpp.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <boost/url.hpp>

#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"

#include "config.hpp"

namespace tally::daemon {

// Reads members of one object after the other and gathers what is wrong. Each member is named once;
// what nobody asked for is an unknown setting.
class ConfigReader {
 public:
  explicit ConfigReader(std::vector<ConfigProblem>& problems) : problems_(problems) {}

  void problem(Message message, std::string pointer) {
    problems_.push_back({std::move(message), std::move(pointer)});
  }

  using Field = std::function<void(const Json&, const std::string&)>;
  // `required` members must be there; each handler gets the value and its pointer.
  void object(
      const Json& value,
      const std::string& at,
      const std::map<std::string, Field, std::less<>>& fields,
      const std::vector<std::string>& required
  ) {
    if (!value.is_object()) return expected(at, "object");
    std::vector<std::string_view> known;
    known.reserve(fields.size());
    for (const auto& [name, field] : fields) known.emplace_back(name);
    for (const auto& [key, member] : value.items()) {
      const auto field = fields.find(key);
      if (field == fields.end()) {
        problem(
            {"daemon.config-unknown", {{"setting", key}, {"closest", closest_term(key, known)}}},
            child(at, key)
        );
        continue;
      }
      field->second(member, child(at, key));
    }
    for (const auto& name : required) {
      if (!value.contains(name))
        problem({"daemon.config-missing", {{"setting", name}}}, child(at, name));
    }
  }

  void array(const Json& value, const std::string& at, const Field& item) {
    if (!value.is_array()) return expected(at, "array");
    for (std::size_t i = 0; i < value.size(); ++i) item(value[i], child(at, i));
  }

  Field text(std::string& out) {
    return [this, &out](const Json& value, const std::string& at) {
      if (!value.is_string() || value.get_ref<const std::string&>().empty()) {
        return expected(at, "string");
      }
      out = value.get<std::string>();
    };
  }
  // As ISO 3166 codes are, and what stands in for one.
  Field word(std::string& out) {
    return [this, &out](const Json& value, const std::string& at) {
      const auto fits = [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               c == '-';
      };
      const auto* text = value.get_ptr<const std::string*>();
      if (text == nullptr || text->empty() || text->size() > 64 ||
          !std::ranges::all_of(*text, fits)) {
        return expected(at, "letters, digits, -");
      }
      out = *text;
    };
  }
  Field path(std::filesystem::path& out, const std::filesystem::path& folder) {
    return [this, &out, folder](const Json& value, const std::string& at) {
      if (!value.is_string() || value.get_ref<const std::string&>().empty()) {
        return expected(at, "string");
      }
      out = folder / std::filesystem::path(value.get<std::string>());
    };
  }
  Field flag(bool& out) {
    return [this, &out](const Json& value, const std::string& at) {
      if (!value.is_boolean()) return expected(at, "true|false");
      out = value.get<bool>();
    };
  }
  // One of two words; `out` is set by the second.
  Field choice(bool& out, std::string first, std::string second) {
    return [this, &out, first, second](const Json& value, const std::string& at) {
      const auto* text = value.get_ptr<const std::string*>();
      if (text == nullptr || (*text != first && *text != second)) {
        return expected(at, first + "|" + second);
      }
      out = *text == second;
    };
  }
  // Who decides: nobody, or a person.
  Field approves(bool& out) { return choice(out, "end", "approve"); }
  template <class T>
  Field number(T& out, std::int64_t least, std::int64_t most, std::int64_t unit = 1) {
    return [this, &out, least, most, unit](const Json& value, const std::string& at) {
      if (!value.is_number_integer() || value.get<std::int64_t>() < least ||
          value.get<std::int64_t>() > most) {
        return expected(at, std::to_string(least) + "…" + std::to_string(most));
      }
      out = static_cast<T>(value.get<std::int64_t>() * unit);
    };
  }
  Field texts(std::vector<std::string>& out) {
    return [this, &out](const Json& value, const std::string& at) {
      array(value, at, [this, &out](const Json& item, const std::string& where) {
        if (!item.is_string() || item.get_ref<const std::string&>().empty()) {
          return expected(where, "string");
        }
        out.push_back(item.get<std::string>());
      });
    };
  }
  Field url(std::string& out) {
    return [this, &out](const Json& value, const std::string& at) {
      const auto parsed = value.is_string()
                              ? boost::urls::parse_uri(value.get_ref<const std::string&>())
                              : boost::urls::parse_uri("");
      if (!parsed || (parsed->scheme() != "https" && parsed->scheme() != "http") ||
          parsed->host().empty() || parsed->has_query() || parsed->has_fragment()) {
        return expected(at, "https://host:port/path");
      }
      out = value.get<std::string>();
      while (out.ends_with('/')) out.pop_back();
    };
  }

  void expected(const std::string& at, const std::string& what) {
    problem({"daemon.config-type", {{"expected", what}}}, at);
  }

 private:
  std::vector<ConfigProblem>& problems_;
};

// The lists of programs that decide, and of those that are told of events (config_programs.cpp).
ConfigReader::Field read_hooks(ConfigReader& read, Config& config);
ConfigReader::Field read_webhooks(ConfigReader& read, Config& config);
// Who takes our spans.
ConfigReader::Field read_telemetry(ConfigReader& read, Config& config);

// Whose orders of holds are obeyed (config_regulators.cpp).
ConfigReader::Field read_regulators(ConfigReader& read, Config& config);

// What the contexts of a peer mean (config_contexts.cpp).
ConfigReader::Field read_contexts(ConfigReader& read, dsp::PolicyDialect& dialect);

// What is said of places of use (config_site.cpp); `own`: of this connector's.
ConfigReader::Field read_site(ConfigReader& read, usage::Site& site, bool own);
ConfigReader::Field read_taxonomy(ConfigReader& read, std::vector<odrl::Broader>& steps);
ConfigReader::Field read_events(ConfigReader& read, std::vector<odrl::EventSpan>& events);

// What no member shows by itself: whether the members fit each other. Also takes up the form that
// this version alone still reads (docs/configuration.md, "loopbackCredential").
void check_peers(ConfigReader& read, Config& config);

}  // namespace tally::daemon
