// The HTTPS binding as data: which paths exist, who hosts them, what they take and answer.
//
// Paths are relative to a base (`<base>` of the version document, or a callbackAddress). `api`
// makes its routes from the table; the services build outgoing URLs with the functions. Pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tally/core/ids.hpp"
#include "tally/core/json.hpp"
#include "tally/dsp/error_body.hpp"
#include "tally/dsp/state_machine.hpp"

namespace tally::dsp {

struct VersionResponse;

struct Endpoint {
  std::string_view method;
  std::string_view path;     // "/negotiations/:pid/agreement"
  std::string_view message;  // `@type` of the body; empty for GET
  std::string_view answer;   // `@type` of the answer
  Role host;                 // which role serves it
  Family family;
  int success;  // 200, or 201 where a process begins
};

// Every endpoint of both roles. GET, events and termination of a process have the same path in
// both: one daemon that plays both looks the pid up and lets the process's role decide.
std::span<const Endpoint> endpoints();

// The endpoints that a request may mean (two when both roles host the path), and the decoded pid or
// dataset id of its `:` segment. `path`: decoded segments below the base. Empty = no such path.
struct Match {
  std::vector<const Endpoint*> endpoints;
  std::string id;
};
Match match_endpoint(std::string_view method, const std::vector<std::string>& path);
// The methods for which match_endpoint finds something at `path`: for 405 and its Allow.
std::vector<std::string_view> methods_at(const std::vector<std::string>& path);

inline constexpr std::string_view version_path = "/.well-known/dspace-version";  // below the root
inline constexpr std::string_view catalog_request_path = "/catalog/request";
inline constexpr std::string_view negotiation_request_path = "/negotiations/request";
inline constexpr std::string_view negotiation_offers_path = "/negotiations/offers";
inline constexpr std::string_view transfer_request_path = "/transfers/request";

std::string dataset_path(std::string_view dataset_id);
// `pid` is the receiver's. `step` is empty (the process itself) or one of: request, offers, events,
// agreement, agreement/verification, termination.
std::string negotiation_path(const Pid& pid, std::string_view step = {});
// start, suspension, completion, termination.
std::string transfer_path(const Pid& pid, std::string_view step = {});

// Base and path without a doubled slash; an empty path or "/" is the base itself.
std::string join_url(std::string_view base, std::string_view path);

// application/json or application/*+json, with any parameters. An absent type is the caller's
// business: a peer's answer may lack it, a request may not.
bool is_json_media_type(std::string_view content_type);

// `@type` of a message, or empty.
std::string message_type(const Json& body);

// The path of the version that we speak in a peer's version document: the first 2025-1 entry with
// binding HTTPS. nullopt when there is none: the communication ends here.

std::optional<std::string> path_of_our_version(const VersionResponse& versions);

}  // namespace tally::dsp
