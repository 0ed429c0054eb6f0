#include <utility>

#include "tally/dsp/messages.hpp"

namespace tally::dsp {

namespace {

Json typed(std::string_view type) {
  return Json{{"@type", type}};
}

Json root(std::string_view type, const MessageId& id) {
  Json out = typed(type);
  out["@context"] = Json::array({context_url});
  if (id) out["@id"] = *id;
  return out;
}

template <class X>
Json root_with_pids(std::string_view type, const X& message) {
  Json out = root(type, message.id);
  out["providerPid"] = message.provider_pid.value;
  out["consumerPid"] = message.consumer_pid.value;
  return out;
}

// The protocol's own first: it may not be given another meaning by what follows (its terms are
// protected), and some readers look at the first alone.
void put_contexts(Json& out, const Contexts& contexts) {
  for (const auto& url : contexts) out["@context"].push_back(url);
}

// The schemas refuse empty arrays: a list of nothing is left out.
void put_list(Json& out, std::string_view key, const std::vector<Json>& items) {
  if (!items.empty()) out[key] = items;
}

template <class Item, class Write>
void put_items(Json& out, std::string_view key, const std::vector<Item>& items, Write write) {
  if (items.empty()) return;
  Json& list = out[key] = Json::array();
  for (const Item& item : items) list.push_back(write(item));
}

template <class X>
Json with_reason(Json out, const X& message) {
  if (!message.code.empty()) out["code"] = message.code;
  put_list(out, "reason", message.reason);
  return out;
}

// Members that the protocol names win over extra ones of the same name.
Json with_extra(Json out, const Json& extra) {
  for (const auto& [key, value] : extra.items()) {
    if (!out.contains(key)) out[key] = value;
  }
  return out;
}

Json service_json(const DataService& service) {
  Json out = typed("DataService");
  out["@id"] = service.id;
  out["endpointURL"] = service.endpoint_url;
  return with_extra(std::move(out), service.extra);
}

Json distribution_json(const Distribution& distribution) {
  Json out = typed("Distribution");
  out["format"] = distribution.format;
  if (const auto* service = std::get_if<DataService>(&distribution.access_service)) {
    out["accessService"] = service_json(*service);
  } else {
    out["accessService"] = std::get<std::string>(distribution.access_service);
  }
  put_list(out, "hasPolicy", distribution.has_policy);
  return with_extra(std::move(out), distribution.extra);
}

Json nested_catalog_json(const Catalog& catalog) {
  Json out = typed("Catalog");
  out["@id"] = catalog.id;
  if (!catalog.participant_id.empty()) out["participantId"] = catalog.participant_id;
  put_items(out, "dataset", catalog.dataset, [](const Dataset& d) { return to_nested_json(d); });
  put_items(out, "catalog", catalog.catalog, nested_catalog_json);
  put_items(out, "service", catalog.service, service_json);
  put_items(out, "distribution", catalog.distribution, distribution_json);
  return with_extra(std::move(out), catalog.extra);
}

Json with_context(Json out) {
  out["@context"] = Json::array({context_url});
  return out;
}

}  // namespace

Json to_nested_json(const Dataset& dataset) {
  Json out = typed("Dataset");
  out["@id"] = dataset.id;
  put_list(out, "hasPolicy", dataset.has_policy);
  put_items(out, "distribution", dataset.distribution, distribution_json);
  return with_extra(std::move(out), dataset.extra);
}

Json to_nested_json(const DataAddress& address) {
  Json out = typed("DataAddress");
  out["endpointType"] = address.endpoint_type;
  if (address.endpoint) out["endpoint"] = *address.endpoint;
  put_items(
      out,
      "endpointProperties",
      address.endpoint_properties,
      [](const EndpointProperty& property) {
        Json item = typed("EndpointProperty");
        item["name"] = property.name;
        item["value"] = property.value;
        return item;
      }
  );
  return out;
}

// --- catalogue ---------------------------------------------------------------------------------

Json to_json(const CatalogRequestMessage& message) {
  Json out = root("CatalogRequestMessage", message.id);
  put_list(out, "filter", message.filter);
  return out;
}

Json to_json(const Catalog& catalog) {
  return with_context(nested_catalog_json(catalog));
}

Json to_json(const Dataset& dataset) {
  return with_context(to_nested_json(dataset));
}

Json to_json(const CatalogError& error) {
  return with_reason(root("CatalogError", error.id), error);
}

// --- negotiation -------------------------------------------------------------------------------

Json to_json(const ContractRequestMessage& message) {
  Json out = root("ContractRequestMessage", message.id);
  out["consumerPid"] = message.consumer_pid.value;
  if (message.provider_pid) out["providerPid"] = message.provider_pid->value;
  // Never both: a peer that validates refuses such a message.
  if (message.callback_address && !message.provider_pid) {
    out["callbackAddress"] = *message.callback_address;
  }
  out["offer"] = message.offer;
  put_contexts(out, message.contexts);
  return out;
}

Json to_json(const ContractOfferMessage& message) {
  Json out = root("ContractOfferMessage", message.id);
  out["providerPid"] = message.provider_pid.value;
  if (message.consumer_pid) out["consumerPid"] = message.consumer_pid->value;
  if (message.callback_address && !message.consumer_pid) {
    out["callbackAddress"] = *message.callback_address;
  }
  out["offer"] = message.offer;
  put_contexts(out, message.contexts);
  return out;
}

Json to_json(const ContractAgreementMessage& message) {
  Json out = root_with_pids("ContractAgreementMessage", message);
  out["agreement"] = message.agreement;
  put_contexts(out, message.contexts);
  return out;
}

Json to_json(const ContractAgreementVerificationMessage& message) {
  return root_with_pids("ContractAgreementVerificationMessage", message);
}

Json to_json(const ContractNegotiationEventMessage& message) {
  Json out = root_with_pids("ContractNegotiationEventMessage", message);
  out["eventType"] = message.event_type == EventType::accepted ? "ACCEPTED" : "FINALIZED";
  return out;
}

Json to_json(const ContractNegotiationTerminationMessage& message) {
  return with_reason(root_with_pids("ContractNegotiationTerminationMessage", message), message);
}

Json to_json(const ContractNegotiation& negotiation) {
  Json out = root_with_pids("ContractNegotiation", negotiation);
  out["state"] = to_string(negotiation.state);
  return out;
}

Json to_json(const ContractNegotiationError& error) {
  return with_reason(root_with_pids("ContractNegotiationError", error), error);
}

// --- transfer ----------------------------------------------------------------------------------

Json to_json(const TransferRequestMessage& message) {
  Json out = root("TransferRequestMessage", message.id);
  out["consumerPid"] = message.consumer_pid.value;
  out["agreementId"] = message.agreement_id.value;
  out["format"] = message.format;
  out["callbackAddress"] = message.callback_address;
  if (message.data_address) out["dataAddress"] = to_nested_json(*message.data_address);
  return out;
}

Json to_json(const TransferStartMessage& message) {
  Json out = root_with_pids("TransferStartMessage", message);
  if (message.data_address) out["dataAddress"] = to_nested_json(*message.data_address);
  return out;
}

Json to_json(const TransferSuspensionMessage& message) {
  return with_reason(root_with_pids("TransferSuspensionMessage", message), message);
}

Json to_json(const TransferCompletionMessage& message) {
  return root_with_pids("TransferCompletionMessage", message);
}

Json to_json(const TransferTerminationMessage& message) {
  return with_reason(root_with_pids("TransferTerminationMessage", message), message);
}

Json to_json(const TransferProcess& process) {
  Json out = root_with_pids("TransferProcess", process);
  out["state"] = to_string(process.state);
  return out;
}

Json to_json(const TransferError& error) {
  return with_reason(root_with_pids("TransferError", error), error);
}

// --- version metadata --------------------------------------------------------------------------

Json to_json(const VersionResponse& response) {
  Json versions = Json::array();
  for (const Version& version : response.protocol_versions) {
    Json item{{"version", version.version}, {"path", version.path}, {"binding", version.binding}};
    if (version.service_id) item["serviceId"] = *version.service_id;
    if (version.identifier_type) item["identifierType"] = *version.identifier_type;
    if (version.auth) {
      item["auth"] = {{"protocol", version.auth->protocol}, {"version", version.auth->version}};
      if (!version.auth->profile.empty()) item["auth"]["profile"] = version.auth->profile;
    }
    versions.push_back(std::move(item));
  }
  Json out{{"protocolVersions", std::move(versions)}};
  if (response.tally) {
    out["tally"] = {{"version", response.tally->version}, {"path", response.tally->path}};
  }
  return out;
}

}  // namespace tally::dsp
