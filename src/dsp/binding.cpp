#include "tally/dsp/binding.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/core/http.hpp"
#include "tally/dsp/messages.hpp"

namespace tally::dsp {

namespace {

constexpr Role P = Role::provider;
constexpr Role C = Role::consumer;
constexpr Family cat = Family::catalog;
constexpr Family neg = Family::negotiation;
constexpr Family tra = Family::transfer;

// method, path, body, answer, host, family, status on success
constexpr std::array<Endpoint, 25> table{{
    {"POST", "/catalog/request", "CatalogRequestMessage", "Catalog", P, cat, 200},
    {"GET", "/catalog/datasets/:id", "", "Dataset", P, cat, 200},

    {"GET", "/negotiations/:pid", "", "ContractNegotiation", P, neg, 200},
    {"POST", "/negotiations/request", "ContractRequestMessage", "ContractNegotiation", P, neg, 201},
    {"POST",
     "/negotiations/:pid/request",
     "ContractRequestMessage",
     "ContractNegotiation",
     P,
     neg,
     200},
    {"POST",
     "/negotiations/:pid/events",
     "ContractNegotiationEventMessage",
     "ContractNegotiation",
     P,
     neg,
     200},
    {"POST",
     "/negotiations/:pid/agreement/verification",
     "ContractAgreementVerificationMessage",
     "ContractNegotiation",
     P,
     neg,
     200},
    {"POST",
     "/negotiations/:pid/termination",
     "ContractNegotiationTerminationMessage",
     "ContractNegotiation",
     P,
     neg,
     200},

    {"GET", "/negotiations/:pid", "", "ContractNegotiation", C, neg, 200},
    {"POST", "/negotiations/offers", "ContractOfferMessage", "ContractNegotiation", C, neg, 201},
    {"POST",
     "/negotiations/:pid/offers",
     "ContractOfferMessage",
     "ContractNegotiation",
     C,
     neg,
     200},
    {"POST",
     "/negotiations/:pid/agreement",
     "ContractAgreementMessage",
     "ContractNegotiation",
     C,
     neg,
     200},
    {"POST",
     "/negotiations/:pid/events",
     "ContractNegotiationEventMessage",
     "ContractNegotiation",
     C,
     neg,
     200},
    {"POST",
     "/negotiations/:pid/termination",
     "ContractNegotiationTerminationMessage",
     "ContractNegotiation",
     C,
     neg,
     200},

    {"GET", "/transfers/:pid", "", "TransferProcess", P, tra, 200},
    {"POST", "/transfers/request", "TransferRequestMessage", "TransferProcess", P, tra, 201},
    {"POST", "/transfers/:pid/start", "TransferStartMessage", "TransferProcess", P, tra, 200},
    {"POST",
     "/transfers/:pid/completion",
     "TransferCompletionMessage",
     "TransferProcess",
     P,
     tra,
     200},
    {"POST",
     "/transfers/:pid/termination",
     "TransferTerminationMessage",
     "TransferProcess",
     P,
     tra,
     200},
    {"POST",
     "/transfers/:pid/suspension",
     "TransferSuspensionMessage",
     "TransferProcess",
     P,
     tra,
     200},

    // The protocol's text has no GET for the consumer's transfer; the conformance kit calls it.
    {"GET", "/transfers/:pid", "", "TransferProcess", C, tra, 200},
    {"POST", "/transfers/:pid/start", "TransferStartMessage", "TransferProcess", C, tra, 200},
    {"POST",
     "/transfers/:pid/completion",
     "TransferCompletionMessage",
     "TransferProcess",
     C,
     tra,
     200},
    {"POST",
     "/transfers/:pid/termination",
     "TransferTerminationMessage",
     "TransferProcess",
     C,
     tra,
     200},
    {"POST",
     "/transfers/:pid/suspension",
     "TransferSuspensionMessage",
     "TransferProcess",
     C,
     tra,
     200},
}};

struct PathMatch {
  bool matches = false;
  std::string id;
};

PathMatch match_path(std::string_view pattern, const std::vector<std::string>& path) {
  PathMatch result;
  std::size_t segment = 0;
  pattern.remove_prefix(1);
  while (true) {
    const std::size_t slash = pattern.find('/');
    const std::string_view want = pattern.substr(0, slash);
    if (segment == path.size()) return {};
    if (want.starts_with(':')) {
      if (path[segment].empty()) return {};
      result.id = path[segment];
    } else if (want != path[segment]) {
      return {};
    }
    ++segment;
    if (slash == std::string_view::npos) break;
    pattern.remove_prefix(slash + 1);
  }
  result.matches = segment == path.size();
  return result;
}

// Some peers end every path with a slash; that is an empty last segment.
std::vector<std::string> without_last_slash(std::vector<std::string> path) {
  if (!path.empty() && path.back().empty()) path.pop_back();
  return path;
}

// `/negotiations/request` also fits `/negotiations/:pid`; these words are no pids.
bool is_reserved(const std::vector<std::string>& path) {
  if (path.size() != 2) return false;
  if (path[0] == "negotiations") return path[1] == "request" || path[1] == "offers";
  return path[0] == "transfers" && path[1] == "request";
}

bool is_pattern(const Endpoint& endpoint) {
  return endpoint.path.find(':') != std::string_view::npos;
}

template <class Each>
void for_each_at(const std::vector<std::string>& requested, Each each) {
  const std::vector<std::string> path = without_last_slash(requested);
  const bool reserved = is_reserved(path);
  for (const Endpoint& endpoint : table) {
    if (reserved && is_pattern(endpoint)) continue;
    const PathMatch match = match_path(endpoint.path, path);
    if (match.matches) each(endpoint, match.id);
  }
}

std::string process_path(std::string_view collection, const Pid& pid, std::string_view step) {
  std::string path = "/" + std::string(collection) + "/" + percent_encode_segment(pid.value);
  if (!step.empty()) path += "/" + std::string(step);
  return path;
}

bool equal_no_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

}  // namespace

std::span<const Endpoint> endpoints() {
  return table;
}

Match match_endpoint(std::string_view method, const std::vector<std::string>& path) {
  Match result;
  for_each_at(path, [&](const Endpoint& endpoint, const std::string& id) {
    if (endpoint.method != method) return;
    result.endpoints.push_back(&endpoint);
    result.id = id;
  });
  return result;
}

std::vector<std::string_view> methods_at(const std::vector<std::string>& path) {
  std::vector<std::string_view> methods;
  for_each_at(path, [&](const Endpoint& endpoint, const std::string&) {
    if (std::find(methods.begin(), methods.end(), endpoint.method) == methods.end()) {
      methods.push_back(endpoint.method);
    }
  });
  return methods;
}

std::string dataset_path(std::string_view dataset_id) {
  return "/catalog/datasets/" + percent_encode_segment(dataset_id);
}

std::string negotiation_path(const Pid& pid, std::string_view step) {
  return process_path("negotiations", pid, step);
}

std::string transfer_path(const Pid& pid, std::string_view step) {
  return process_path("transfers", pid, step);
}

std::string join_url(std::string_view base, std::string_view path) {
  while (base.ends_with('/')) base.remove_suffix(1);
  while (path.starts_with('/')) path.remove_prefix(1);
  if (path.empty()) return std::string(base);
  return std::string(base) + "/" + std::string(path);
}

bool is_json_media_type(std::string_view content_type) {
  std::string_view type = content_type.substr(0, content_type.find(';'));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.remove_suffix(1);
  while (!type.empty() && (type.front() == ' ' || type.front() == '\t')) type.remove_prefix(1);
  constexpr std::string_view tree = "application/";
  constexpr std::string_view suffix = "+json";
  if (type.size() <= tree.size() || !equal_no_case(type.substr(0, tree.size()), tree)) return false;
  const std::string_view subtype = type.substr(tree.size());
  if (equal_no_case(subtype, "json")) return true;
  return subtype.size() > suffix.size() &&
         equal_no_case(subtype.substr(subtype.size() - suffix.size()), suffix);
}

std::string message_type(const Json& body) {
  if (!body.is_object()) return {};
  const auto type = body.find("@type");
  return type != body.end() && type->is_string() ? type->get<std::string>() : std::string{};
}

std::optional<std::string> path_of_our_version(const VersionResponse& versions) {
  for (const Version& version : versions.protocol_versions) {
    if (version.version == protocol_version && version.binding == "HTTPS") return version.path;
  }
  return std::nullopt;
}

}  // namespace tally::dsp
