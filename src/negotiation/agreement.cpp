#include "tally/negotiation/agreement.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "tally/core/digest.hpp"
#include "tally/identity/contract_key.hpp"
#include "tally/identity/enrolment.hpp"
#include "tally/negotiation/exchange.hpp"

namespace tally::negotiation {

namespace {

constexpr std::string_view kind = "agreement";

tl::unexpected<Error> unreadable(const Row& row) {
  const Message message{"negotiation.row-unreadable", {{"kind", row.kind}, {"id", row.id}}};
  return fail(ErrorKind::internal, message);
}

}  // namespace

std::string_view to_string(AgreementStatus status) {
  switch (status) {
    case AgreementStatus::agreed:
      return "agreed";
    case AgreementStatus::active:
      return "active";
    case AgreementStatus::suspended:
      return "suspended";
    case AgreementStatus::expired:
      return "expired";
    case AgreementStatus::terminated:
      break;
  }
  return "terminated";
}

std::optional<AgreementStatus> parse_agreement_status(std::string_view text) {
  for (const auto status :
       {AgreementStatus::agreed,
        AgreementStatus::active,
        AgreementStatus::suspended,
        AgreementStatus::expired,
        AgreementStatus::terminated}) {
    if (to_string(status) == text) return status;
  }
  return std::nullopt;
}

Digest Agreement::digest() const {
  return sha256(document);
}

std::optional<Bytes> Agreement::peer_key() const {
  const auto& archive = our_side == odrl::Side::provider ? consumer_signature : provider_signature;
  if (archive.empty()) return std::nullopt;
  const auto parsed = parse_json(archive);
  if (!parsed || !parsed->is_object()) return std::nullopt;
  const auto chain = parsed->find("chain");
  if (chain == parsed->end() || !chain->is_array() || chain->empty()) return std::nullopt;
  if (!chain->front().is_string()) return std::nullopt;
  const auto leaf = from_base64(chain->front().get_ref<const std::string&>());
  if (!leaf) return std::nullopt;
  const auto key = identity::certificate_ed25519_key(*leaf);
  if (!key) return std::nullopt;
  return Bytes(key->begin(), key->end());
}

std::optional<identity::KeyStatement> Agreement::peer_statement() const {
  const auto& archive = our_side == odrl::Side::provider ? consumer_signature : provider_signature;
  if (archive.empty()) return std::nullopt;
  const auto parsed = parse_json(archive);
  if (!parsed || !parsed->is_object()) return std::nullopt;
  const auto jcs = from_base64(text_of(parsed->value("keyStatement", Json::object()), "statement"));
  if (!jcs || jcs->empty()) return std::nullopt;
  auto statement = identity::parse_key_statement(std::string(jcs->begin(), jcs->end()));
  if (!statement) return std::nullopt;
  return *std::move(statement);
}

Result<Agreement> parse_agreement(const Row& row) {
  const auto json = parse_row(row);
  const auto status = parse_agreement_status(row.state);
  if (!json || !status || row.kind != kind) return unreadable(row);
  Agreement agreement;
  agreement.version = row.version;
  agreement.id = AgreementId(row.id);
  agreement.status = *status;
  agreement.document = text_of(*json, "document");
  agreement.reading = dsp::policy_reading_from_json(json->value("reading", Json()));
  agreement.our_side = text_of(*json, "ourSide") == odrl::to_string(odrl::Side::provider)
                           ? odrl::Side::provider
                           : odrl::Side::consumer;
  agreement.provider = party_from_json(json->value("provider", Json::object()));
  agreement.consumer = party_from_json(json->value("consumer", Json::object()));
  agreement.asset = AssetId(text_of(*json, "asset"));
  agreement.asset_version = text_of(*json, "assetVersion");
  const auto level = json->find("assetLevel");
  if (level != json->end() && level->is_number_integer()) agreement.asset_level = level->get<int>();
  agreement.asset_class = text_of(*json, "assetClass");
  agreement.offer = OfferId(text_of(*json, "offer"));
  agreement.negotiation = Pid(text_of(*json, "negotiation"));
  agreement.peer_base = text_of(*json, "peerBase");
  for (const auto& purpose : json->value("purposes", Json::array())) {
    if (purpose.is_string()) agreement.purposes.push_back(purpose.get<std::string>());
  }
  agreement.made_at = text_of(*json, "madeAt");
  agreement.finalized_at = text_of(*json, "finalizedAt");
  agreement.provider_signature = text_of(*json, "providerSignature");
  agreement.consumer_signature = text_of(*json, "consumerSignature");
  agreement.confirmed = json->value("confirmed", false);
  agreement.imported = json->value("imported", false);
  if (agreement.document.empty() || agreement.peer().empty()) return unreadable(row);
  return agreement;
}

Row to_row(const Agreement& agreement) {
  Row row;
  row.kind = kind;
  row.id = agreement.id.value;
  row.version = agreement.version;
  row.state = to_string(agreement.status);
  row.owner = to_string(agreement.peer());
  Json body = {
      {"document", agreement.document},
      {"ourSide", odrl::to_string(agreement.our_side)},
      {"provider", to_json(agreement.provider)},
      {"consumer", to_json(agreement.consumer)},
      {"asset", agreement.asset.value},
      {"assetVersion", agreement.asset_version},
      {"offer", agreement.offer.value},
      {"negotiation", agreement.negotiation.value},
      {"peerBase", agreement.peer_base},
      {"purposes", agreement.purposes},
      {"madeAt", agreement.made_at},
      {"finalizedAt", agreement.finalized_at},
      {"providerSignature", agreement.provider_signature},
      {"consumerSignature", agreement.consumer_signature},
      {"confirmed", agreement.confirmed},
      {"imported", agreement.imported},
  };
  if (!agreement.reading.is_plain()) body["reading"] = dsp::to_json(agreement.reading);
  if (agreement.asset_level) body["assetLevel"] = *agreement.asset_level;
  if (!agreement.asset_class.empty()) body["assetClass"] = agreement.asset_class;
  row.body = body.dump();
  return row;
}

Result<std::optional<Agreement>> find_agreement(Store& store, const AgreementId& id) {
  auto row = store.row(kind, id.value);
  if (!row) return fail(std::move(row));
  if (!*row) return std::nullopt;
  auto agreement = parse_agreement(**row);
  if (!agreement) return fail(std::move(agreement));
  return std::move(*agreement);
}

std::string signed_in(const std::string& archive) {
  const auto parsed = archive.empty() ? Json() : Json::parse(archive, nullptr, false);
  const auto pointer = Json::json_pointer("/chain/0");
  if (!parsed.is_object() || !parsed.contains(pointer) || !parsed.at(pointer).is_string()) {
    return {};
  }
  const auto leaf = from_base64(parsed.at(pointer).get_ref<const std::string&>());
  return leaf ? identity::country_of(*leaf) : std::string();
}

Result<usage::AgreementTerms> terms_of(const Agreement& agreement) {
  auto document = parse_json(agreement.document);
  if (!document) return tl::unexpected(document.error());
  odrl::LoadOptions options;
  // Where the consumer confirmed nothing, what is handed out counts where it is handed out.
  if (!agreement.confirmed) options.sole_owner = odrl::Side::provider;
  options.required_type = odrl::PolicyType::agreement;
  auto policy = odrl::load_policy(dsp::as_read(*std::move(document), agreement.reading), options);
  if (!policy) {
    const auto& first = policy.error().front();
    return fail(ErrorKind::invalid, first.message, first.pointer);
  }
  usage::AgreementTerms terms;
  terms.id = agreement.id;
  terms.our_side = agreement.our_side;
  terms.provider = agreement.provider;
  terms.consumer = agreement.consumer;
  terms.asset = agreement.asset;
  terms.asset_class = agreement.asset_class;
  terms.consumer_country = signed_in(agreement.consumer_signature);
  if (const auto since = parse_date_time(agreement.finalized_at)) {
    terms.active_since = since->instant;
  }
  terms.policy = std::move(*policy);
  return terms;
}

Digest enforces_digest(const odrl::CompiledPolicy& policy) {
  Json rules = Json::array();
  for (const auto& rule : policy.rules()) rules.push_back(rule.id.value);
  for (const auto& duty : policy.duties()) rules.push_back(duty.duty.value);
  return sha256(to_jcs(rules));
}

}  // namespace tally::negotiation
