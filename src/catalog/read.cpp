#include "read.hpp"

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "tally/dsp/policy_form.hpp"
#include "tally/odrl/compare.hpp"
#include "tally/odrl/terms.hpp"

#include "publish.hpp"

namespace tally::catalog {

namespace {

constexpr std::size_t longest_id = 512;
constexpr int highest_level = 9;
constexpr std::size_t most_keywords = 64;

// The strict reader of one object: collects faults, asks for each member by name and in the end for
// members that nobody asked for.
class Strict {
 public:
  Strict(const Json& object, std::string at, const Document& document, std::vector<Problem>& faults)
      : object_(object), at_(std::move(at)), document_(document), faults_(faults) {
    if (!object_.is_object()) fault({"catalog.not-an-object", {}}, at_);
  }

  const Json* member(std::string_view key) {
    known_.push_back(key);
    if (!object_.is_object()) return nullptr;
    const auto found = object_.find(key);
    return found == object_.end() ? nullptr : &*found;
  }

  const Json* required(std::string_view key) {
    const Json* value = member(key);
    if (!value && object_.is_object()) {
      fault({"catalog.member-missing", {{"member", std::string(key)}}}, at(key));
    }
    return value;
  }

  std::string text(std::string_view key, std::string fallback = {}) {
    return as_text(key, member(key), std::move(fallback));
  }
  std::string required_text(std::string_view key) { return as_text(key, required(key), {}); }

  bool flag(std::string_view key, bool fallback) {
    const Json* value = member(key);
    if (!value) return fallback;
    if (value->is_boolean()) return value->get<bool>();
    wrong_type(key, "true|false");
    return fallback;
  }

  int number(std::string_view key, int fallback, int most) {
    const Json* value = member(key);
    if (!value) return fallback;
    const bool whole = value->is_number_unsigned() &&
                       value->get<std::uint64_t>() <= static_cast<std::uint64_t>(most);
    if (whole) return value->get<int>();
    wrong_type(key, "0…" + std::to_string(most));
    return fallback;
  }

  // One of `words`; anything else is a fault that names the closest.
  std::string word(
      std::string_view key, const std::string& found, const std::vector<std::string_view>& words
  ) {
    if (std::find(words.begin(), words.end(), found) != words.end()) return found;
    std::string list;
    for (const std::string_view one : words) list += (list.empty() ? "" : ", ") + std::string(one);
    fault(
        {"catalog.unknown-value",
         {{"member", std::string(key)}, {"value", found}, {"known", std::move(list)}}},
        at(key)
    );
    return {};
  }

  void wrong_type(std::string_view key, std::string expected) {
    fault(
        {"catalog.member-type", {{"member", std::string(key)}, {"expected", std::move(expected)}}},
        at(key)
    );
  }

  void refuse_others() {
    if (!object_.is_object()) return;
    for (const auto& [key, value] : object_.items()) {
      if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
      const std::string closest = closest_term(key, known_);
      if (closest.empty()) {
        fault({"catalog.unknown-member", {{"member", key}}}, at(key));
      } else {
        fault({"catalog.misspelt-member", {{"member", key}, {"closest", closest}}}, at(key));
      }
    }
  }

  void fault(Message message, std::string pointer) {
    faults_.push_back({document_.name, std::move(pointer), std::move(message)});
  }
  [[nodiscard]] std::string at(std::string_view key) const { return child(at_, key); }

 private:
  std::string as_text(std::string_view key, const Json* value, std::string fallback) {
    if (!value) return fallback;
    if (value->is_string()) return value->get<std::string>();
    wrong_type(key, "string");
    return fallback;
  }

  const Json& object_;
  std::string at_;
  const Document& document_;
  std::vector<Problem>& faults_;
  std::vector<std::string_view> known_;
};

std::optional<Json> parse(
    const Document& document, std::size_t most, std::size_t depth, std::vector<Problem>& faults
) {
  auto value = parse_json(document.bytes, {most, depth});
  if (value) return std::move(*value);
  faults.push_back({document.name, value.error().pointer, value.error().message});
  return std::nullopt;
}

// An id goes into URLs, records and terminals.
bool is_usable_id(std::string_view id) {
  return !id.empty() && id.size() <= longest_id && std::all_of(id.begin(), id.end(), [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && c != 0x7f;
  });
}

// Members of their own for what a catalogue is searched by; published as metadata.
void read_keywords(Strict& in, Json& metadata) {
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

Json read_metadata(Strict& in) {
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

void check_source(Strict& in, const Json& source, const BuildOptions& options) {
  if (!options.check_source) return;
  auto checked = options.check_source(source);
  if (!checked) in.fault(checked.error().message, in.at("source") + checked.error().pointer);
}

// --- policies ----------------------------------------------------------------------------------

// {"O": "…", "OU": "…", "C": "CN"}: what the certificate's subject must say.
void read_subject(
    Strict& in, const Document& document, std::vector<Problem>& faults, SubjectAttributes& out
) {
  const Json* value = in.member("subject");
  if (!value) return;
  // An empty one would widen the audience to the whole domain.
  if (!value->is_object() || value->empty()) return in.wrong_type("subject", "object");
  Strict members(*value, in.at("subject"), document, faults);
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
  Strict in(value, std::move(at), document, faults);
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
    Strict& in, const Document& document, const BuildOptions& options, std::vector<Problem>& faults
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

// An offer travels without its context, so nothing in it may depend on one.
void check_context(Strict& in, const Json& policy) {
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

const Asset* find_target(Strict& in, const Json& policy, const std::map<AssetId, Asset>& assets) {
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
void read_terms(
    Strict& in, const Json& policy, const Asset& asset, const BuildOptions& options, Offer& offer
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
  if ((*loaded)->asks_for(odrl::iri::receipt_before_key, odrl::required_word)) {
    if (asset.delivery == Delivery::call) {
      in.fault({"catalog.receipt-before-key-call", {{"asset", asset.id.value}}}, at);
    }
    if (!options.keeps_keys) in.fault({"catalog.receipt-before-key-wrapping", {}}, at);
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
  const auto value =
      parse(document, options.limits.policy_bytes, options.limits.json_depth, faults);
  if (!value) return tl::unexpected(std::move(faults));
  Strict in(*value, {}, document, faults);
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
  Json metadata = read_metadata(in);
  read_keywords(in, metadata);
  in.refuse_others();
  asset.file = document.name;
  asset.home = document.home;
  asset.digest = digest_text(sha256(to_jcs(*value)));
  if (!faults.empty()) return tl::unexpected(std::move(faults));
  asset.dataset = publish_dataset(asset, description, metadata, options.publisher);
  return asset;
}

Read<Offer> read_policy(
    const Document& document, const std::map<AssetId, Asset>& assets, const BuildOptions& options
) {
  std::vector<Problem> faults;
  const auto value =
      parse(document, options.limits.policy_bytes, options.limits.json_depth, faults);
  if (!value) return tl::unexpected(std::move(faults));
  Strict in(*value, {}, document, faults);
  Offer offer;
  offer.visible_to = read_audiences(in, document, options, faults);
  const std::string decide = in.text("decide", "auto");
  if (decide == "approve" || decide == "hook") {
    in.fault({"catalog.decide-not-yet", {{"decide", decide}}}, in.at("decide"));
  } else {
    in.word("decide", decide, {"auto"});
  }
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
