// Documents for these tests: a good asset and a good policy, and changes of them.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/catalog/catalog.hpp"

namespace tally::catalog {

inline Json asset_json(const std::string& id = "cohort-2026") {
  return {
      {"id", id},
      {"title", "居民队列 2026"},
      {"description", "2,000 synthetic residents"},
      {"mediaType", "text/csv"},
      {"version", "3"},
      {"level", 3},
      {"class", "health"},
      {"delivery", "custody"},
      {"source", {{"type", "file"}, {"path", "cohort.csv"}}},
      {"metadata", {{"dct:publisher", "https://hospital.example"}}}};
}

inline Json policy_json(
    const std::string& id = "urn:uuid:1", const std::string& target = "cohort-2026"
) {
  Json policy = Json::parse(R"({
    "visibleTo": [{"domain": "health", "uri": "https://institute.example/connector"}],
    "decide": "auto",
    "policy": {
      "@context": "http://www.w3.org/ns/odrl.jsonld",
      "@type": "Offer",
      "permission": [{"action": "read", "constraint": [
        {"leftOperand": "purpose", "operator": "isAnyOf",
         "rightOperand": ["https://health.example/purpose/research"]},
        {"leftOperand": "count", "operator": "lteq",
         "rightOperand": {"@value": "3", "@type": "xsd:integer"}},
        {"leftOperand": "dateTime", "operator": "lt",
         "rightOperand": {"@value": "2030-01-01T00:00:00Z", "@type": "xsd:dateTime"}}]}]
    }})");
  policy["policy"]["@id"] = id;
  policy["policy"]["target"] = target;
  return policy;
}

inline Document document(const std::string& name, const Json& json) {
  return {name, json.dump()};
}

inline BuildOptions options() {
  BuildOptions out;
  out.publisher = {"https://hospital.example/connector", [](const PartyId& reader) {
                     // The neighbour comes in by another listener.
                     const bool other = reader.uri == "https://neighbour.example/connector";
                     return std::string("https://hospital.example:") + (other ? "9443" : "8443") +
                            "/dsp/2025-1";
                   }};
  out.domains = {"health", "industry"};
  return out;
}

inline const PartyId institute{"health", "https://institute.example/connector"};
inline const PartyId neighbour{"health", "https://neighbour.example/connector"};
inline const PartyId namesake{"industry", "https://institute.example/connector"};

// Before every offer of these tests ends.
inline const Instant today{1'800'000'000, 0};

inline PageRequest first_page(const Viewer& viewer) {
  PageRequest request;
  request.viewer = viewer;
  request.now = today;
  return request;
}

inline std::string all(const std::vector<Problem>& problems) {
  std::string text;
  for (const Problem& problem : problems) {
    text += problem.file + " " + problem.pointer + " " + render(problem.message, Lang::en) + "\n";
  }
  return text;
}

}  // namespace tally::catalog
