#include <algorithm>
#include <initializer_list>
#include <utility>

#include "tally/dsp/messages.hpp"

#include "reader.hpp"

namespace tally::dsp {

namespace {

// Runs `read` on the root object after its `@context` and `@type`, and gives its struct or fault.
template <class X, class Read>
Result<X> read_root(const Json& value, std::string_view type, Read read) {
  std::optional<Error> fault;
  Reader in(value, {}, fault);
  in.expect_context();
  in.expect_type(type);
  X out;
  if (!fault) {
    out.id = in.optional_text("@id");
    read(in, out);
  }
  if (fault) return tl::unexpected<Error>(std::move(*fault));
  return out;
}

template <class X>
void read_pids(Reader& in, X& out) {
  out.provider_pid = Pid(in.id("providerPid"));
  out.consumer_pid = Pid(in.id("consumerPid"));
}

template <class X>
Result<X> read_pids_only(const Json& value, std::string_view type) {
  return read_root<X>(value, type, [](Reader& in, X& out) { read_pids(in, out); });
}

template <class X>
Result<X> read_ending(const Json& value, std::string_view type) {
  return read_root<X>(value, type, [](Reader& in, X& out) {
    read_pids(in, out);
    out.code = in.optional_text("code").value_or("");
    out.reason = in.list("reason");
  });
}

// Error bodies are only ever read, never answered, so nothing in them is worth a second error: a
// number for the code, pids that are missing or of a wrong type are taken as they come.
template <class X>
void read_error_members(Reader& in, X& out) {
  if (const Json* code = in.member("code")) {
    if (code->is_string()) out.code = code->get<std::string>();
    if (code->is_number()) out.code = code->dump();
  }
  out.reason = in.list("reason");
}

std::string string_or_empty(const Json* value) {
  return value && value->is_string() ? value->get<std::string>() : std::string{};
}

template <class X>
Result<X> read_process_error(const Json& value, std::string_view type) {
  return read_root<X>(value, type, [](Reader& in, X& out) {
    out.provider_pid = Pid(string_or_empty(in.member("providerPid")));
    out.consumer_pid = Pid(string_or_empty(in.member("consumerPid")));
    read_error_members(in, out);
  });
}

// A policy of a message: an object with an id and, if it says one, the right type. Its form is
// check_wire_policy's business, since a peer's offer without rules must still be readable.
Json read_policy(Reader& in, std::string_view key, std::string_view type) {
  const Json* policy = in.object(key);
  if (!policy) return Json::object();
  Reader inner(*policy, in.at(key), in.fault());
  inner.expect_type_if_present(type);
  inner.id("@id");
  return *policy;
}

Contexts read_contexts(Reader& in) {
  Contexts contexts;
  for (const Json& item : in.list("@context")) {
    if (item.is_string() && item != std::string(context_url)) {
      contexts.push_back(item.get<std::string>());
    }
  }
  return contexts;
}

// Exactly one of the two members: both would be a message of two meanings, none of no meaning.
void expect_one_of(Reader& in, std::string_view first, std::string_view second) {
  const bool has_first = in.member(first) != nullptr;
  const bool has_second = in.member(second) != nullptr;
  if (has_first != has_second) return;
  const Message message{
      has_first ? "dsp.both-members" : "dsp.neither-member",
      {{"first", std::string(first)}, {"second", std::string(second)}}};
  in.fail(message, has_first ? second : std::string_view{});
}

std::optional<Pid> to_pid(std::optional<std::string> text) {
  if (!text) return std::nullopt;
  return Pid(std::move(*text));
}

Json extra_members(const Json& object, std::initializer_list<std::string_view> known) {
  Json extra = Json::object();
  for (const auto& [key, value] : object.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) extra[key] = value;
  }
  return extra;
}

}  // namespace

// --- catalogue ---------------------------------------------------------------------------------

namespace {

std::vector<Json> read_offers(Reader& in, std::string_view key) {
  std::vector<Json> offers = in.list(key);
  for (std::size_t i = 0; i < offers.size(); ++i) {
    Reader inner(offers[i], child(in.at(key), i), in.fault());
    inner.expect_type_if_present("Offer");
    inner.id("@id");
  }
  return offers;
}

DataService read_service(const Json& value, std::string at, std::optional<Error>& fault) {
  Reader in(value, std::move(at), fault);
  DataService service;
  in.expect_type_if_present("DataService");
  service.id = in.id("@id");
  service.endpoint_url = in.text("endpointURL");
  if (!fault) service.extra = extra_members(value, {"@id", "@type", "endpointURL"});
  return service;
}

Distribution read_distribution(const Json& value, std::string at, std::optional<Error>& fault) {
  Reader in(value, std::move(at), fault);
  Distribution distribution;
  in.expect_type_if_present("Distribution");
  distribution.format = in.text("format");
  const Json* service = in.member("accessService");
  if (service && service->is_object()) {
    distribution.access_service = read_service(*service, in.at("accessService"), fault);
  } else {
    distribution.access_service = in.id("accessService");
  }
  distribution.has_policy = read_offers(in, "hasPolicy");
  if (!fault) {
    distribution.extra = extra_members(value, {"@type", "format", "accessService", "hasPolicy"});
  }
  return distribution;
}

template <class Item, class Read>
std::vector<Item> read_items(Reader& in, std::string_view key, Read read) {
  std::vector<Item> items;
  const std::vector<Json> values = in.list(key);
  for (std::size_t i = 0; i < values.size() && !in.failed(); ++i) {
    items.push_back(read(values[i], child(in.at(key), i), in.fault()));
  }
  return items;
}

Dataset read_dataset(const Json& value, std::string at, std::optional<Error>& fault) {
  Reader in(value, std::move(at), fault);
  Dataset dataset;
  in.expect_type_if_present("Dataset");
  dataset.id = in.id("@id");
  dataset.has_policy = read_offers(in, "hasPolicy");
  dataset.distribution = read_items<Distribution>(in, "distribution", read_distribution);
  if (dataset.has_policy.empty()) {
    in.fail({"dsp.member-missing", {{"member", "hasPolicy"}}}, "hasPolicy");
  }
  if (dataset.distribution.empty()) {
    in.fail({"dsp.member-missing", {{"member", "distribution"}}}, "distribution");
  }
  if (!fault) {
    dataset.extra = extra_members(value, {"@context", "@id", "@type", "hasPolicy", "distribution"});
  }
  return dataset;
}

Catalog read_catalog(const Json& value, std::string at, std::optional<Error>& fault) {
  Reader in(value, std::move(at), fault);
  Catalog catalog;
  in.expect_type("Catalog");
  catalog.id = in.id("@id");
  if (in.member("hasPolicy")) in.fail({"dsp.catalog-has-policy", {}}, "hasPolicy");
  catalog.participant_id = in.optional_text("participantId").value_or("");
  catalog.dataset = read_items<Dataset>(in, "dataset", read_dataset);
  catalog.catalog = read_items<Catalog>(in, "catalog", read_catalog);
  catalog.service = read_items<DataService>(in, "service", read_service);
  catalog.distribution = read_items<Distribution>(in, "distribution", read_distribution);
  if (!fault) {
    catalog.extra = extra_members(
        value,
        {"@context",
         "@id",
         "@type",
         "participantId",
         "dataset",
         "catalog",
         "service",
         "distribution"}
    );
  }
  return catalog;
}

}  // namespace

template <>
Result<CatalogRequestMessage> from_json(const Json& value) {
  return read_root<CatalogRequestMessage>(
      value,
      "CatalogRequestMessage",
      [](Reader& in, CatalogRequestMessage& out) { out.filter = in.list("filter"); }
  );
}

template <>
Result<Catalog> from_json(const Json& value) {
  std::optional<Error> fault;
  Reader in(value, {}, fault);
  in.expect_context();
  Catalog catalog;
  if (!fault) catalog = read_catalog(value, {}, fault);
  if (!fault) in.id("participantId");
  if (fault) return tl::unexpected<Error>(std::move(*fault));
  return catalog;
}

template <>
Result<Dataset> from_json(const Json& value) {
  std::optional<Error> fault;
  Reader in(value, {}, fault);
  in.expect_context();
  Dataset dataset;
  if (!fault) dataset = read_dataset(value, {}, fault);
  if (fault) return tl::unexpected<Error>(std::move(*fault));
  return dataset;
}

template <>
Result<CatalogError> from_json(const Json& value) {
  return read_root<CatalogError>(value, "CatalogError", [](Reader& in, CatalogError& out) {
    read_error_members(in, out);
  });
}

const DataService* find_service(
    const Distribution& distribution, const std::vector<DataService>& services
) {
  if (const auto* inlined = std::get_if<DataService>(&distribution.access_service)) return inlined;
  const auto& id = std::get<std::string>(distribution.access_service);
  const auto found = std::find_if(
      services.begin(), services.end(), [&](const DataService& service) { return service.id == id; }
  );
  return found == services.end() ? nullptr : &*found;
}

// --- negotiation -------------------------------------------------------------------------------

template <>
Result<ContractRequestMessage> from_json(const Json& value) {
  return read_root<ContractRequestMessage>(
      value,
      "ContractRequestMessage",
      [](Reader& in, ContractRequestMessage& out) {
        expect_one_of(in, "callbackAddress", "providerPid");
        out.consumer_pid = Pid(in.id("consumerPid"));
        out.provider_pid = to_pid(in.optional_id("providerPid"));
        out.callback_address = in.optional_text("callbackAddress");
        out.offer = read_policy(in, "offer", "Offer");
        out.contexts = read_contexts(in);
      }
  );
}

template <>
Result<ContractOfferMessage> from_json(const Json& value) {
  return read_root<ContractOfferMessage>(
      value,
      "ContractOfferMessage",
      [](Reader& in, ContractOfferMessage& out) {
        expect_one_of(in, "callbackAddress", "consumerPid");
        out.provider_pid = Pid(in.id("providerPid"));
        out.consumer_pid = to_pid(in.optional_id("consumerPid"));
        out.callback_address = in.optional_text("callbackAddress");
        out.offer = read_policy(in, "offer", "Offer");
        out.contexts = read_contexts(in);
      }
  );
}

template <>
Result<ContractAgreementMessage> from_json(const Json& value) {
  return read_root<ContractAgreementMessage>(
      value,
      "ContractAgreementMessage",
      [](Reader& in, ContractAgreementMessage& out) {
        read_pids(in, out);
        out.agreement = read_policy(in, "agreement", "Agreement");
        out.contexts = read_contexts(in);
      }
  );
}

template <>
Result<ContractAgreementVerificationMessage> from_json(const Json& value) {
  return read_pids_only<ContractAgreementVerificationMessage>(
      value, "ContractAgreementVerificationMessage"
  );
}

template <>
Result<ContractNegotiationEventMessage> from_json(const Json& value) {
  return read_root<ContractNegotiationEventMessage>(
      value,
      "ContractNegotiationEventMessage",
      [](Reader& in, ContractNegotiationEventMessage& out) {
        read_pids(in, out);
        const std::string type = in.text("eventType");
        if (type == "ACCEPTED") {
          out.event_type = EventType::accepted;
        } else if (type == "FINALIZED") {
          out.event_type = EventType::finalized;
        } else {
          in.fail({"dsp.unknown-event", {{"event", type}}}, "eventType");
        }
      }
  );
}

template <>
Result<ContractNegotiationTerminationMessage> from_json(const Json& value) {
  return read_ending<ContractNegotiationTerminationMessage>(
      value, "ContractNegotiationTerminationMessage"
  );
}

template <>
Result<ContractNegotiation> from_json(const Json& value) {
  return read_root<ContractNegotiation>(
      value,
      "ContractNegotiation",
      [](Reader& in, ContractNegotiation& out) {
        read_pids(in, out);
        const std::string text = in.text("state");
        const auto state = parse_negotiation_state(text);
        if (state) out.state = *state;
        if (!state) in.fail({"dsp.unknown-state", {{"state", text}}}, "state");
      }
  );
}

template <>
Result<ContractNegotiationError> from_json(const Json& value) {
  return read_process_error<ContractNegotiationError>(value, "ContractNegotiationError");
}

// --- transfer ----------------------------------------------------------------------------------

namespace {

DataAddress read_data_address(const Json& value, std::string at, std::optional<Error>& fault) {
  Reader in(value, std::move(at), fault);
  DataAddress address;
  in.expect_type_if_present("DataAddress");
  address.endpoint_type = in.text("endpointType");
  address.endpoint = in.optional_text("endpoint");
  address.endpoint_properties = read_items<EndpointProperty>(
      in,
      "endpointProperties",
      [](const Json& item, std::string item_at, std::optional<Error>& item_fault) {
        Reader property(item, std::move(item_at), item_fault);
        property.expect_type_if_present("EndpointProperty");
        EndpointProperty out;
        out.name = property.text("name");
        out.value = property.text("value");
        return out;
      }
  );
  return address;
}

std::optional<DataAddress> read_optional_address(Reader& in) {
  const Json* value = in.member("dataAddress");
  if (!value) return std::nullopt;
  return read_data_address(*value, in.at("dataAddress"), in.fault());
}

}  // namespace

const std::string* DataAddress::property(std::string_view name) const {
  const std::string* by_last_segment = nullptr;
  for (const EndpointProperty& property : endpoint_properties) {
    if (property.name == name) return &property.value;
    const std::size_t cut = property.name.find_last_of("/#");
    if (by_last_segment || cut == std::string::npos) continue;
    if (std::string_view(property.name).substr(cut + 1) == name) by_last_segment = &property.value;
  }
  return by_last_segment;
}

template <>
Result<TransferRequestMessage> from_json(const Json& value) {
  return read_root<TransferRequestMessage>(
      value,
      "TransferRequestMessage",
      [](Reader& in, TransferRequestMessage& out) {
        out.consumer_pid = Pid(in.id("consumerPid"));
        out.agreement_id = AgreementId(in.id("agreementId"));
        out.format = in.text("format");
        out.callback_address = in.text("callbackAddress");
        out.data_address = read_optional_address(in);
      }
  );
}

template <>
Result<TransferStartMessage> from_json(const Json& value) {
  return read_root<TransferStartMessage>(
      value,
      "TransferStartMessage",
      [](Reader& in, TransferStartMessage& out) {
        read_pids(in, out);
        out.data_address = read_optional_address(in);
      }
  );
}

template <>
Result<TransferSuspensionMessage> from_json(const Json& value) {
  return read_ending<TransferSuspensionMessage>(value, "TransferSuspensionMessage");
}

template <>
Result<TransferCompletionMessage> from_json(const Json& value) {
  return read_pids_only<TransferCompletionMessage>(value, "TransferCompletionMessage");
}

template <>
Result<TransferTerminationMessage> from_json(const Json& value) {
  return read_ending<TransferTerminationMessage>(value, "TransferTerminationMessage");
}

template <>
Result<TransferProcess> from_json(const Json& value) {
  return read_root<TransferProcess>(value, "TransferProcess", [](Reader& in, TransferProcess& out) {
    read_pids(in, out);
    const std::string text = in.text("state");
    const auto state = parse_transfer_state(text);
    if (state) out.state = *state;
    if (!state) in.fail({"dsp.unknown-state", {{"state", text}}}, "state");
  });
}

template <>
Result<TransferError> from_json(const Json& value) {
  return read_process_error<TransferError>(value, "TransferError");
}

// --- version metadata --------------------------------------------------------------------------

namespace {

VersionAuth read_auth(const Json& value, std::string at, std::optional<Error>& fault) {
  Reader in(value, std::move(at), fault);
  VersionAuth auth;
  auth.protocol = in.text("protocol");
  auth.version = in.text("version");
  for (const Json& profile : in.list("profile")) {
    if (profile.is_string()) auth.profile.push_back(profile.get<std::string>());
  }
  return auth;
}

Version read_version(const Json& value, std::string at, std::optional<Error>& fault) {
  Reader in(value, std::move(at), fault);
  Version version;
  version.version = in.text("version");
  version.path = in.text("path");
  version.binding = in.text("binding");
  version.service_id = in.optional_text("serviceId");
  version.identifier_type = in.optional_text("identifierType");
  if (const Json* auth = in.member("auth")) version.auth = read_auth(*auth, in.at("auth"), fault);
  return version;
}

}  // namespace

template <>
Result<VersionResponse> from_json(const Json& value) {
  std::optional<Error> fault;
  Reader in(value, {}, fault);
  VersionResponse response;
  response.protocol_versions = read_items<Version>(in, "protocolVersions", read_version);
  if (response.protocol_versions.empty()) {
    in.fail({"dsp.member-missing", {{"member", "protocolVersions"}}}, "protocolVersions");
  }
  // Not the protocol's: a `tally` of another shape is somebody else's word and is passed over.
  const Json* tally = in.member("tally");
  if (tally && tally->is_object()) {
    const std::string version =
        string_or_empty(tally->contains("version") ? &(*tally)["version"] : nullptr);
    const std::string path = string_or_empty(tally->contains("path") ? &(*tally)["path"] : nullptr);
    if (!version.empty() && !path.empty()) response.tally = TallyApi{version, path};
  }
  if (fault) return tl::unexpected<Error>(std::move(*fault));
  return response;
}

VersionResponse our_versions(std::string path) {
  Version version;
  version.version = std::string(protocol_version);
  version.path = std::move(path);
  return {{std::move(version)}, TallyApi{"1", "/tally/v1"}};
}

}  // namespace tally::dsp
