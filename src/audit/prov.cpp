// A trace as PROV-O. Of the constraints of PROV the one that shapes this: an entity comes into
// being once. The same content is sent many times, so sending *uses* it; what a receiver makes is a
// copy.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/audit/trace.hpp"
#include "tally/core/http.hpp"

namespace tally::audit {
namespace {

Json reference(const char* id) {
  return {{"@id", id}, {"@type", "@id"}};
}

// Every term that the document uses and no other; nothing is fetched and no default applies.
Json context() {
  Json terms = {
      {"@version", 1.1},
      {"prov", "http://www.w3.org/ns/prov#"},
      {"xsd", "http://www.w3.org/2001/XMLSchema#"},
      {"tally", "urn:tally:audit:1#"},
      {"endedAtTime", {{"@id", "prov:endedAtTime"}, {"@type", "xsd:dateTime"}}},
      {"qualifiedAssociation", "prov:qualifiedAssociation"},
      {"recordType", "tally:recordType"},
      {"log", "tally:log"},
      {"seq", "tally:seq"},
      {"leaf", "tally:leaf"},
      {"agreement", "tally:agreement"},
  };
  for (const char* type : {"Entity", "Activity", "Agent", "Organization", "Plan", "Association"}) {
    terms[type] = std::string("prov:") + type;
  }
  for (const char* property :
       {"used",
        "generated",
        "invalidated",
        "wasDerivedFrom",
        "specializationOf",
        "wasAssociatedWith",
        "agent",
        "hadPlan"}) {
    terms[property] = reference((std::string("prov:") + property).c_str());
  }
  return terms;
}

class Document {
 public:
  explicit Document(const Trace& trace) : trace_(trace) {}

  Json write() {
    for (const Hop& hop : trace_.hops) {
      if (hop.type == "transfer.received") {
        for (const auto& node : hop.to) copies_.insert({hop.log, hop.agreement, node});
      }
    }
    // In the order of time, so that what is used is known before.
    std::vector<const Hop*> hops;
    hops.reserve(trace_.hops.size());
    for (const Hop& hop : trace_.hops) hops.push_back(&hop);
    std::sort(hops.begin(), hops.end(), [](const Hop* a, const Hop* b) {
      return std::tie(a->time, a->log, a->seq) < std::tie(b->time, b->log, b->seq);
    });
    for (const Hop* hop : hops) activity(*hop);
    Json graph = Json::array();
    for (auto& [id, node] : nodes_) graph.push_back(std::move(node));
    return {{"@context", context()}, {"@graph", std::move(graph)}};
  }

 private:
  Json& node(const std::string& id, Json types) {
    Json& found = nodes_[id];
    if (found.is_null()) found = {{"@id", id}, {"@type", std::move(types)}};
    return found;
  }
  // Each value once.
  static void say(Json& about, const char* property, const std::string& value) {
    Json& values = about[property];
    if (values.is_null()) values = Json::array();
    for (const Json& known : values) {
      if (known == value) return;
    }
    values.push_back(value);
  }

  std::string plan(const std::string& policy) {
    std::string id = "urn:" + policy;
    node(id, {"Entity", "Plan"});
    return id;
  }
  std::string agent(const std::string& uri) {
    node(uri, {"Agent", "Organization"});
    return uri;
  }
  std::string content(const LineageNode& digest) {
    std::string id = "urn:" + digest;
    node(id, {"Entity"});
    return id;
  }
  // The copy that this log's owner held under the agreement, else the content as such.
  std::string copy(const Hop& hop, const LineageNode& digest) {
    std::string whole = content(digest);
    if (!copies_.contains({hop.log, hop.agreement, digest})) return whole;
    std::string id = whole + "#" + percent_encode_segment(hop.agreement);
    say(node(id, {"Entity"}), "specializationOf", whole);
    return id;
  }
  std::string asset(const std::string& name) {
    std::string id = "urn:tally:asset:" + percent_encode_segment(name);
    node(id, {"Entity"});
    return id;
  }

  // The entity behind a node; an agreement stands for the asset that it is about.
  std::string entity(const Hop& hop, const LineageNode& from) {
    constexpr std::string_view as_asset = "asset:", as_agreement = "agreement:";
    if (from.starts_with(as_asset)) return asset(from.substr(as_asset.size()));
    if (!from.starts_with(as_agreement)) return copy(hop, from);
    const auto contract = trace_.contracts.find(from.substr(as_agreement.size()));
    return contract == trace_.contracts.end() ? std::string() : asset(contract->second.asset);
  }

  void activity(const Hop& hop) {
    const std::string id = "urn:uuid:" + hop.event;
    Json act = {
        {"@id", id},
        {"@type", {"Activity"}},
        {"endedAtTime", hop.time},
        {"recordType", hop.type},
        {"log", trace_.logs[hop.log].origin},
        {"seq", hop.seq},
        {"leaf", to_hex(hop.leaf)}};
    if (!hop.agreement.empty()) act["agreement"] = hop.agreement;
    associate(act, hop);
    if (hop.type == "transfer.sent" || hop.type == "transfer.received") {
      data_moved(act, hop);
    } else {
      std::vector<std::string> sources;
      for (const auto& from : hop.from) {
        const std::string source = entity(hop, from);
        if (source.empty()) continue;
        sources.push_back(source);
        say(act, hop.type == "data.destroyed" ? "invalidated" : "used", source);
      }
      for (const auto& to : hop.to) {
        if (to.starts_with("agreement:")) continue;  // its policy is the plan
        if (to.starts_with("asset:")) {
          say(act, "used", entity(hop, to));  // published; it was there before
          continue;
        }
        make(act, content(to), sources);
      }
    }
    nodes_[id] = std::move(act);
  }

  void data_moved(Json& act, const Hop& hop) {
    const bool sent = hop.type == "transfer.sent";
    for (const auto& to : hop.to) {
      const std::string whole = content(to);
      say(act, "used", whole);
      if (!sent) {
        make(act, copy(hop, to), {whole});
        continue;
      }
      const std::string source = entity(hop, agreement_node(hop.agreement));
      if (source.empty()) continue;
      say(act, "used", source);
      say(nodes_[whole], "wasDerivedFrom", source);
    }
  }

  void make(Json& act, const std::string& made, const std::vector<std::string>& sources) {
    if (made_.insert(made).second) say(act, "generated", made);
    for (const auto& source : sources) {
      if (source != made) say(nodes_[made], "wasDerivedFrom", source);
    }
  }

  // Who did it, and by which terms.
  void associate(Json& act, const Hop& hop) {
    const std::string who = agent(trace_.logs[hop.log].actor.uri);
    say(act, "wasAssociatedWith", who);
    std::string policy;
    const auto contract = trace_.contracts.find(hop.agreement);
    if (contract != trace_.contracts.end()) {
      policy = contract->second.policy;
      if (hop.type == "contract.finalized") {
        for (const auto& party : {contract->second.provider, contract->second.consumer}) {
          if (!party.empty()) say(act, "wasAssociatedWith", agent(party));
        }
      }
    } else if (hop.type.starts_with("offer.")) {
      policy = hop.policy;
    }
    if (policy.empty()) return;
    act["qualifiedAssociation"] = {
        {"@type", "Association"}, {"agent", who}, {"hadPlan", plan(policy)}};
  }

  struct Copy {
    std::size_t log;
    std::string agreement;
    LineageNode content;
    auto operator<=>(const Copy&) const = default;
  };

  const Trace& trace_;
  std::set<Copy> copies_;
  std::set<std::string> made_;
  std::map<std::string, Json> nodes_;  // by id
};

}  // namespace

Json to_prov(const Trace& trace) {
  return Document(trace).write();
}

}  // namespace tally::audit
