// The messages and objects of the Dataspace Protocol 2025-1 as structs, and their JSON.
//
// `to_json` writes what the schemas ask for: `@context` and `@type` at the root, `@type` on every
// nested object, no empty array. `from_json` reads what peers send: unknown members are ignored, a
// single value stands for an array of one, a fault is an Error (invalid) with a JSON pointer.
// Policies stay Json as received; their form is checked by dsp/policy_form.hpp. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/core/ids.hpp"
#include "tally/core/json.hpp"
#include "tally/core/result.hpp"
#include "tally/dsp/state_machine.hpp"

namespace tally::dsp {

inline constexpr std::string_view context_url = "https://w3id.org/dspace/2025/1/context.jsonld";
inline constexpr std::string_view protocol_version = "2025-1";

// The contexts of a message beside the protocol's own, as it names them. Of the three messages that
// carry a policy, whose words may come from one of them.
using Contexts = std::vector<std::string>;

// `@id` of a message: kept over all retries; the receiver recognises a repeat by it.
using MessageId = std::optional<std::string>;

// --- catalogue ---------------------------------------------------------------------------------

struct CatalogRequestMessage {
  MessageId id;
  std::vector<Json> filter;
};

// `extra` of the four catalogue objects: the members that the protocol does not name (dct:title …).
struct DataService {
  std::string id;
  std::string endpoint_url;
  Json extra = Json::object();
};

struct Distribution {
  std::string format;                                     // what a transfer request must name
  std::variant<std::string, DataService> access_service;  // the id of one, or the service itself
  std::vector<Json> has_policy;
  Json extra = Json::object();
};

struct Dataset {
  std::string id;
  std::vector<Json> has_policy;  // offers, without target
  std::vector<Distribution> distribution;
  Json extra = Json::object();
};

struct Catalog {
  std::string id;
  std::string participant_id;  // empty in a nested catalogue
  std::vector<Dataset> dataset;
  std::vector<Catalog> catalog;
  std::vector<DataService> service;
  std::vector<Distribution> distribution;
  Json extra = Json::object();
};

struct CatalogError {
  MessageId id;
  std::string code;
  std::vector<Json> reason;
};

// The service that `distribution` names: inline, or by id in `services`. Null if there is none.
const DataService* find_service(
    const Distribution& distribution, const std::vector<DataService>& services
);

// --- negotiation -------------------------------------------------------------------------------

// With provider_pid it is a counter-offer; without, callback_address is there and it begins one.
struct ContractRequestMessage {
  MessageId id;
  Pid consumer_pid;
  std::optional<Pid> provider_pid;
  std::optional<std::string> callback_address;
  Json offer;
  Contexts contexts{};
};

// With consumer_pid it belongs to a negotiation; without, callback_address is there.
struct ContractOfferMessage {
  MessageId id;
  Pid provider_pid;
  std::optional<Pid> consumer_pid;
  std::optional<std::string> callback_address;
  Json offer;
  Contexts contexts{};
};

struct ContractAgreementMessage {
  MessageId id;
  Pid provider_pid;
  Pid consumer_pid;
  Json agreement;
  Contexts contexts{};
};

struct ContractAgreementVerificationMessage {
  MessageId id;
  Pid provider_pid;
  Pid consumer_pid;
};

enum class EventType { accepted, finalized };

struct ContractNegotiationEventMessage {
  MessageId id;
  Pid provider_pid;
  Pid consumer_pid;
  EventType event_type = EventType::accepted;
};

struct ContractNegotiationTerminationMessage {
  MessageId id;
  Pid provider_pid;
  Pid consumer_pid;
  std::string code;  // empty: not said
  std::vector<Json> reason;
};

struct ContractNegotiation {
  MessageId id;
  Pid provider_pid;
  Pid consumer_pid;
  NegotiationState state = NegotiationState::requested;
};

// Read leniently: some peers leave the pids out (they are empty then).
struct ContractNegotiationError {
  MessageId id;
  Pid provider_pid;
  Pid consumer_pid;
  std::string code;
  std::vector<Json> reason;
};

// --- transfer ----------------------------------------------------------------------------------

struct EndpointProperty {
  std::string name;
  std::string value;
};

struct DataAddress {
  std::string endpoint_type;
  std::optional<std::string> endpoint;
  std::vector<EndpointProperty> endpoint_properties;

  // The value of the property whose name, or whose last segment after '/' or '#', is `name`: some
  // peers write full IRIs. An exact name wins. Null if there is none.
  [[nodiscard]] const std::string* property(std::string_view name) const;
};

struct TransferRequestMessage {
  MessageId id;
  Pid consumer_pid;
  AgreementId agreement_id;
  std::string format;
  std::string callback_address;
  std::optional<DataAddress> data_address;
};

struct TransferStartMessage {
  MessageId id;
  Pid provider_pid;
  Pid consumer_pid;
  std::optional<DataAddress> data_address;
};

struct TransferSuspensionMessage {
  MessageId id;
  Pid provider_pid;
  Pid consumer_pid;
  std::string code;
  std::vector<Json> reason;
};

struct TransferCompletionMessage {
  MessageId id;
  Pid provider_pid;
  Pid consumer_pid;
};

struct TransferTerminationMessage {
  MessageId id;
  Pid provider_pid;
  Pid consumer_pid;
  std::string code;
  std::vector<Json> reason;
};

struct TransferProcess {
  MessageId id;
  Pid provider_pid;
  Pid consumer_pid;
  TransferState state = TransferState::requested;
};

struct TransferError {
  MessageId id;
  Pid provider_pid;
  Pid consumer_pid;
  std::string code;
  std::vector<Json> reason;
};

// --- version metadata (plain JSON, no @context) ------------------------------------------------

struct VersionAuth {
  std::string protocol;
  std::string version;
  std::vector<std::string> profile;
};

struct Version {
  std::string version;
  std::string path;
  std::string binding = "HTTPS";
  std::optional<std::string> service_id;
  std::optional<std::string> identifier_type;
  std::optional<VersionAuth> auth;
};

// Our own member of the version document: where /tally/v1/ is (docs/peer-api.md).
struct TallyApi {
  std::string version;
  std::string path;
};

struct VersionResponse {
  std::vector<Version> protocol_versions;
  std::optional<TallyApi> tally;
};

// The document of this connector: 2025-1 at `path` below the root, and /tally/v1.
VersionResponse our_versions(std::string path);

// --- JSON --------------------------------------------------------------------------------------

Json to_json(const CatalogRequestMessage& message);
Json to_json(const Catalog& catalog);  // as a root object
Json to_json(const Dataset& dataset);  // as a root object
Json to_json(const CatalogError& error);
Json to_json(const ContractRequestMessage& message);
Json to_json(const ContractOfferMessage& message);
Json to_json(const ContractAgreementMessage& message);
Json to_json(const ContractAgreementVerificationMessage& message);
Json to_json(const ContractNegotiationEventMessage& message);
Json to_json(const ContractNegotiationTerminationMessage& message);
Json to_json(const ContractNegotiation& negotiation);
Json to_json(const ContractNegotiationError& error);
Json to_json(const TransferRequestMessage& message);
Json to_json(const TransferStartMessage& message);
Json to_json(const TransferSuspensionMessage& message);
Json to_json(const TransferCompletionMessage& message);
Json to_json(const TransferTerminationMessage& message);
Json to_json(const TransferProcess& process);
Json to_json(const TransferError& error);
Json to_json(const VersionResponse& response);

// The same without `@context`, as an object inside another.
Json to_nested_json(const Dataset& dataset);
Json to_nested_json(const DataAddress& address);

// The struct in `value`, which is the whole document. `@type` must be X's name and `@context` must
// contain the context of 2025-1 (VersionResponse has neither). Usage: from_json<Catalog>(value).
template <class X>
Result<X> from_json(const Json& value);

template <>
Result<CatalogRequestMessage> from_json(const Json& value);
template <>
Result<Catalog> from_json(const Json& value);
template <>
Result<Dataset> from_json(const Json& value);
template <>
Result<CatalogError> from_json(const Json& value);
template <>
Result<ContractRequestMessage> from_json(const Json& value);
template <>
Result<ContractOfferMessage> from_json(const Json& value);
template <>
Result<ContractAgreementMessage> from_json(const Json& value);
template <>
Result<ContractAgreementVerificationMessage> from_json(const Json& value);
template <>
Result<ContractNegotiationEventMessage> from_json(const Json& value);
template <>
Result<ContractNegotiationTerminationMessage> from_json(const Json& value);
template <>
Result<ContractNegotiation> from_json(const Json& value);
template <>
Result<ContractNegotiationError> from_json(const Json& value);
template <>
Result<TransferRequestMessage> from_json(const Json& value);
template <>
Result<TransferStartMessage> from_json(const Json& value);
template <>
Result<TransferSuspensionMessage> from_json(const Json& value);
template <>
Result<TransferCompletionMessage> from_json(const Json& value);
template <>
Result<TransferTerminationMessage> from_json(const Json& value);
template <>
Result<TransferProcess> from_json(const Json& value);
template <>
Result<TransferError> from_json(const Json& value);
template <>
Result<VersionResponse> from_json(const Json& value);

}  // namespace tally::dsp
