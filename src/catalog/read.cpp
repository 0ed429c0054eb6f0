#include "read.hpp"

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "tally/catalog/strict_object.hpp"
#include "tally/dsp/policy_form.hpp"
#include "tally/odrl/compare.hpp"
#include "tally/odrl/informing.hpp"
#include "tally/odrl/onward.hpp"
#include "tally/odrl/terms.hpp"

#include "publish.hpp"
#include "read_schema.hpp"

namespace tally::catalog {

namespace {

constexpr std::size_t longest_id = 512;
constexpr std::size_t most_keywords = 64;

// An id goes into URLs, records and terminals.
bool is_usable_id(std::string_view id) {
  return !id.empty() && id.size() <= longest_id && std::all_of(id.begin(), id.end(), [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && c != 0x7f;
  });
}

// Members of their own for what a catalogue is searched by; published as metadata.
void read_keywords(StrictObject& in, Json& metadata) {
  const auto take = [&](std::string_view key, const char* published, const char* expected) {
    const Json* value = in.member(key);
    if (!value) return;
    const bool is_list = value->is_array() && key == "keyword";
    const Json list = is_list ? *value : Json::array({*value});
    const bool fits = std::all_of(list.begin(), list.end(), [](const Json& one) {
      return one.is_string() && !one.get_ref<const std::string&>().empty();
    });
    if (!fits || list.size() > most_keywords) return in.wrong_type(key, expected);
    if (metadata.contains(published)) {
      return in.fault({"catalog.metadata-twice", {{"member", std::string(key)}}}, in.at(key));
    }
    if (!list.empty()) metadata[published] = is_list ? list : *value;
  };
  take("keyword", "dcat:keyword", "list of strings");
  take("theme", "dcat:theme", "string");
}

Json read_metadata(StrictObject& in) {
  const Json* metadata = in.member("metadata");
  if (!metadata) return Json::object();
  if (!metadata->is_object()) {
    in.wrong_type("metadata", "object");
    return Json::object();
  }
  for (const auto& [key, value] : metadata->items()) {
    // A bare word means nothing to other readers, and an @word could replace one of the protocol.
    if (key.starts_with('@') || key.find(':') == std::string::npos) {
      in.fault({"catalog.metadata-name", {{"name", key}}}, child(in.at("metadata"), key));
    }
  }
  return *metadata;
}

void check_source(StrictObject& in, const Json& source, const BuildOptions& options) {
  if (!options.check_source) return;
  auto checked = options.check_source(source);
  if (!checked) in.fault(checked.error().message, in.at("source") + checked.error().pointer);
}

// --- policies ----------------------------------------------------------------------------------

// {"O": "…", "OU": "…", "C": "CN"}: what the certificate's subject must say.
void read_subject(
    StrictObject& in, const Document& document, std::vector<Problem>& faults, SubjectAttributes& out
) {
  const Json* value = in.member("subject");
  if (!value) return;
  // An empty one would widen the audience to the whole domain.
  if (!value->is_object() || value->empty()) return in.wrong_type("subject", "object");
  StrictObject members(*value, in.at("subject"), document, faults);
  for (const char* name : {"C", "O", "OU"}) {
    if (members.member(name) == nullptr) continue;
    std::string wanted = members.text(name);
    if (wanted.empty()) {
      members.wrong_type(name, "string");
    } else {
      out.emplace_back(name, std::move(wanted));
    }
  }
  members.refuse_others();
}

std::optional<Audience> read_audience(
    const Json& value,
    std::string at,
    const Document& document,
    const BuildOptions& options,
    std::vector<Problem>& faults
) {
  if (value == "*") return Audience{};
  const std::size_t before = faults.size();
  StrictObject in(value, std::move(at), document, faults);
  Audience audience;
  audience.domain = in.required_text("domain");
  audience.uri = in.text("uri");
  read_subject(in, document, faults, audience.subject);
  in.refuse_others();
  if (faults.size() != before) return std::nullopt;
  // Empty members would widen the audience to a whole domain, or to everybody.
  if (audience.domain.empty()) in.wrong_type("domain", "string");
  if (value.contains("uri") && audience.uri.empty()) in.wrong_type("uri", "string");
  const auto& domains = options.domains;
  const bool known = domains.empty() ||
                     std::find(domains.begin(), domains.end(), audience.domain) != domains.end();
  if (!known) {
    const std::vector<std::string_view> names(domains.begin(), domains.end());
    const std::string closest = closest_term(audience.domain, names);
    Message message{"catalog.unknown-domain", {{"domain", audience.domain}}};
    if (!closest.empty()) {
      message.code = "catalog.misspelt-domain";
      message.params["closest"] = closest;
    }
    in.fault(std::move(message), in.at("domain"));
  }
  if (faults.size() != before) return std::nullopt;
  return audience;
}

std::vector<Audience> read_audiences(
    StrictObject& in,
    const Document& document,
    const BuildOptions& options,
    std::vector<Problem>& faults
) {
  std::vector<Audience> audiences;
  const Json* list = in.required("visibleTo");
  if (!list) return audiences;
  if (!list->is_array()) {
    in.wrong_type("visibleTo", "list");
    return audiences;
  }
  for (std::size_t i = 0; i < list->size(); ++i) {
    auto audience =
        read_audience((*list)[i], child(in.at("visibleTo"), i), document, options, faults);
    if (audience) audiences.push_back(std::move(*audience));
  }
  return audiences;
}

// Who decides what fits the offer, and which program where one does.
void read_decide(StrictObject& in, const BuildOptions& options, Offer& offer) {
  const std::string decide =
      in.word("decide", in.text("decide", "auto"), {"auto", "approve", "hook"});
  if (decide == "approve") offer.decide = Decide::approve;
  if (decide != "hook") {
    // A decision that nobody is asked for would be taken for one that is.
    if (in.member("hook")) in.fault({"catalog.hook-not-asked", {}}, in.at("hook"));
    return;
  }
  offer.decide = Decide::hook;
  offer.hook = in.required_text("hook");
  const auto& hooks = options.hooks;
  if (offer.hook.empty() || std::find(hooks.begin(), hooks.end(), offer.hook) != hooks.end())
    return;
  const std::string closest = closest_term(offer.hook, {hooks.begin(), hooks.end()});
  Message message{"catalog.unknown-hook", {{"hook", offer.hook}}};
  if (!closest.empty()) {
    message.code = "catalog.misspelt-hook";
    message.params["closest"] = closest;
  }
  in.fault(std::move(message), in.at("hook"));
}

// An offer travels without its context, so nothing in it may depend on one.
void check_context(StrictObject& in, const Json& policy) {
  const auto context = policy.find("@context");
  if (context == policy.end()) return;
  const std::string at = child(in.at("policy"), "@context");
  const bool inlined =
      context->is_object() ||
      (context->is_array() && std::any_of(context->begin(), context->end(), [](const Json& item) {
         return item.is_object();
       }));
  if (inlined) in.fault({"catalog.policy-context", {}}, at);
}

const Asset* find_target(
    StrictObject& in, const Json& policy, const std::map<AssetId, Asset>& assets
) {
  const std::string at = child(in.at("policy"), "target");
  const auto target = policy.find("target");
  if (target == policy.end() || !target->is_string()) {
    in.fault({"catalog.policy-target", {}}, at);
    return nullptr;
  }
  const AssetId id(target->get<std::string>());
  const auto asset = assets.find(id);
  if (asset != assets.end()) return &asset->second;
  std::vector<std::string_view> names;
  names.reserve(assets.size());
  for (const auto& [known, ignored] : assets) names.push_back(known.value);
  const std::string closest = closest_term(id.value, names);
  if (closest.empty()) {
    in.fault({"catalog.unknown-asset", {{"asset", id.value}}}, at);
  } else {
    in.fault({"catalog.misspelt-asset", {{"asset", id.value}, {"closest", closest}}}, at);
  }
  return nullptr;
}

// Loads, publishes and checks the policy of an offer; the faults' pointers are those of the
// document.
// An offer that names its assignee is for that party alone. The agreement names who negotiated it,
// so nobody else may come so far.
void keep_to_assignee(
    StrictObject& in, const Json& policy, const odrl::CompiledPolicy& loaded, Offer& offer
) {
  if (!policy.contains("assignee")) return;
  const std::string& assignee = loaded.assignee();
  const bool shown = !offer.visible_to.empty();
  std::erase_if(offer.visible_to, [&](const Audience& audience) {
    // Anybody could be that party: an IRI says nothing without who vouches for it.
    if (audience.domain.empty()) return true;
    return !audience.uri.empty() && audience.uri != assignee;
  });
  if (assignee.empty() || (shown && offer.visible_to.empty())) {
    in.fault(
        {"catalog.assignee-not-visible",
         {{"assignee", assignee.empty() ? policy.at("assignee").dump() : assignee}}},
        child(in.at("policy"), "assignee")
    );
    return;
  }
  for (Audience& audience : offer.visible_to) audience.uri = assignee;
}

void read_terms(
    StrictObject& in,
    const Json& policy,
    const Asset& asset,
    const BuildOptions& options,
    Offer& offer
) {
  const std::string at = in.at("policy");
  odrl::LoadOptions load;
  load.limits = options.limits;
  load.default_owner = counting_side(asset.delivery);
  load.required_type = odrl::PolicyType::offer;
  const auto loaded = odrl::load_policy(policy, load);
  if (!loaded) {
    for (const odrl::Problem& problem : loaded.error()) {
      in.fault(problem.message, at + problem.pointer);
    }
    return;
  }
  keep_to_assignee(in, policy, **loaded, offer);
  for (const auto operand : (*loaded)->operands()) {
    const auto term = odrl::find_operand(operand);
    if (asset.delivery != Delivery::call || !term) continue;
    if (!odrl::known_operands()[*term].of_custody) continue;
    // Nobody could ever vouch for it here: each call would be refused.
    in.fault(
        {"catalog.operand-call",
         {{"asset", asset.id.value}, {"operand", std::string(odrl::local_name(operand))}}},
        at
    );
  }
  if ((*loaded)->asks_for(odrl::iri::receipt_before_key, odrl::required_word)) {
    if (asset.delivery == Delivery::call) {
      in.fault({"catalog.receipt-before-key-call", {{"asset", asset.id.value}}}, at);
    }
    if (!options.keeps_keys) in.fault({"catalog.receipt-before-key-wrapping", {}}, at);
  }
  for (const auto& duty : odrl::informing_of(**loaded)) {
    const bool known = duty.party.empty() || duty.party == options.publisher.participant_id ||
                       (options.informs && options.informs(duty.party));
    if (known) continue;
    in.fault(
        {"catalog.informed-party-unknown", {{"duty", duty.duty.value}, {"party", duty.party}}}, at
    );
  }
  const auto groups = std::ranges::any_of((*loaded)->rules(), [](const odrl::RuleSummary& rule) {
    return std::ranges::any_of(rule.actions, [](const std::string& action) {
      return odrl::is_or_below(action, odrl::iri::aggregate);
    });
  });
  // What is pulled is counted at the consumer, and only the provider can answer about groups.
  if (groups && asset.delivery != Delivery::call) {
    in.fault({"catalog.aggregate-not-called", {{"asset", asset.id.value}}}, at);
  }
  if (const auto bound = options.bound_by ? options.bound_by(asset.source) : nullptr) {
    // What may be passed on is passed on under no wider terms.
    // The provider may have said on which.
    const auto attached = odrl::onward_policies(*bound, options.limits);
    for (const auto& next : attached) {
      const auto wide = next ? odrl::widens(*next, **loaded) : std::nullopt;
      if (next && !wide) continue;
      in.fault(
          {"catalog.onward-not-next",
           {{"agreement", bound->uid()}, {"found", wide ? render(wide->message, Lang::en) : "-"}}},
          wide ? at + wide->pointer : at
      );
      return;
    }
    const auto wide = attached.empty() ? odrl::widens(*bound, **loaded) : std::nullopt;
    if (wide) {
      in.fault(
          {"catalog.onward-wider", {{"policy", bound->uid()}, {"found", wide->found}}},
          at + wide->pointer
      );
      return;
    }
  }
  if (options.check_shape) {
    const auto faults = options.check_shape(**loaded, asset.schema ? &*asset.schema : nullptr);
    for (const odrl::Problem& fault : faults) in.fault(fault.message, at + fault.pointer);
    if (!faults.empty()) return;
  }
  const Json published = publish(policy, load.default_owner);
  const auto form = dsp::check_wire_policy(
      published, dsp::PolicyForm::catalogue_offer, at, dsp::PolicyOrigin::own
  );
  if (!form) {
    in.fault(form.error().message, form.error().pointer);
    return;
  }
  offer.id = OfferId(published.at("@id").get<std::string>());
  if (!is_usable_id(offer.id.value)) in.fault({"catalog.bad-id", {}}, child(at, "@id"));
  offer.warnings = (*loaded)->warnings();
  for (auto& concern : odrl::concerns(**loaded)) offer.warnings.push_back(std::move(concern));
  for (auto& warning : offer.warnings) warning.pointer.insert(0, at);
  offer.not_after = (*loaded)->not_after();
  offer.policy = to_jcs(published);
  offer.policy.shrink_to_fit();
}

}  // namespace

Read<Asset> read_asset(const Document& document, const BuildOptions& options) {
  std::vector<Problem> faults;
  const auto value = parse_document(document, options.limits, faults);
  if (!value) return tl::unexpected(std::move(faults));
  StrictObject in(*value, {}, document, faults);
  Asset asset;
  asset.id = AssetId(in.required_text("id"));
  if (faults.empty() && !is_usable_id(asset.id.value))
    in.fault({"catalog.bad-id", {}}, in.at("id"));
  asset.title = in.text("title", asset.id.value);
  const std::string description = in.text("description");
  asset.media_type = in.text("mediaType", "application/octet-stream");
  asset.version = in.text("version", "1");
  asset.level = in.number("level", 0, highest_level);
  asset.class_ = in.text("class");
  if (const Json* delivery = in.required("delivery"); delivery && !delivery->is_string()) {
    in.wrong_type("delivery", "custody|call");
  } else if (delivery) {
    const auto word = in.word("delivery", delivery->get<std::string>(), {"custody", "call"});
    asset.delivery = word == "call" ? Delivery::call : Delivery::custody;
  }
  if (const Json* source = in.required("source"); source && !source->is_object()) {
    in.wrong_type("source", "object");
  } else if (source) {
    asset.source = *source;
    check_source(in, asset.source, options);
  }
  const std::size_t before = faults.size();
  asset.schema = read_schema(in, asset.media_type, asset.level, document, faults);
  const bool schema_known = faults.size() == before;
  if (schema_known) asset.parameters = read_parameters(in, asset.schema, document, faults);
  if (!asset.parameters.empty() && asset.delivery != Delivery::call) {
    in.fault({"catalog.parameter-delivery", {}}, in.at("parameters"));
  }
  Json metadata = read_metadata(in);
  read_keywords(in, metadata);
  in.refuse_others();
  asset.file = document.name;
  asset.home = document.home;
  asset.digest = digest_text(sha256(to_jcs(*value)));
  if (!faults.empty()) return tl::unexpected(std::move(faults));
  asset.dataset = publish_dataset(asset, description, metadata);
  return asset;
}

Read<Offer> read_policy(
    const Document& document, const std::map<AssetId, Asset>& assets, const BuildOptions& options
) {
  std::vector<Problem> faults;
  const auto value = parse_document(document, options.limits, faults);
  if (!value) return tl::unexpected(std::move(faults));
  StrictObject in(*value, {}, document, faults);
  Offer offer;
  offer.visible_to = read_audiences(in, document, options, faults);
  read_decide(in, options, offer);
  offer.require_signature = in.flag("requireSignature", true);
  offer.accept_unconfirmed = in.flag("acceptUnconfirmed", false);
  const Json* policy = in.required("policy");
  in.refuse_others();
  if (policy && !policy->is_object()) {
    in.wrong_type("policy", "object");
  } else if (policy) {
    check_context(in, *policy);
    if (const Asset* asset = find_target(in, *policy, assets)) {
      offer.asset = asset->id;
      read_terms(in, *policy, *asset, options, offer);
    }
  }
  offer.file = document.name;
  offer.home = document.home;
  offer.digest = digest_text(sha256(to_jcs(*value)));
  if (!faults.empty()) return tl::unexpected(std::move(faults));
  return offer;
}

}  // namespace tally::catalog
