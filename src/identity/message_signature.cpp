#include "tally/identity/message_signature.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "tally/core/json.hpp"
#include "tally/core/letters.hpp"

#include "structured_field.hpp"

namespace tally::identity {

namespace {

constexpr std::string_view label = "tally";
constexpr std::string_view tag = "tally-agreement";
constexpr std::size_t most_certificates = 6;

tl::unexpected<Error> refuse(std::string code, std::map<std::string, std::string> params = {}) {
  return fail(ErrorKind::unauthenticated, {std::move(code), std::move(params)});
}

tl::unexpected<Error> malformed(std::string_view header) {
  return refuse("identity.signature-malformed", {{"header", std::string(header)}});
}

// A field that occurs exactly once. Joining several, as RFC 9421 would, is of no use to us and has
// been the way round signatures before.
std::optional<std::string_view> single(const Headers& headers, std::string_view name) {
  std::optional<std::string_view> found;
  for (const auto& [field, value] : headers.all()) {
    if (!same_name(field, name)) continue;
    if (found) return std::nullopt;
    found = value;
  }
  return found;
}

// A field that is known to be there.
std::string field_text(const Headers& headers, std::string_view name) {
  return std::string(single(headers, name).value_or(std::string_view{}));
}

bool has(const Headers& headers, std::string_view name) {
  return headers.get(name).has_value();
}

std::string bytes_item(std::span<const std::uint8_t> bytes) {
  return ":" + to_base64(bytes) + ":";
}

std::string signature_base(
    std::string_view method,
    std::string_view digest,
    std::string_view agreement,
    std::optional<std::string_view> enforces,
    std::string_view params
) {
  std::string base;
  const auto line = [&base](std::string_view name, std::string_view value) {
    base.append("\"").append(name).append("\": ").append(value).append("\n");
  };
  line("@method", method);
  line("content-digest", digest);
  line("tally-agreement", agreement);
  if (enforces) line("tally-enforces", *enforces);
  base.append("\"@signature-params\": ").append(params);
  return base;
}

SfInnerList covered_components(bool enforces) {
  SfInnerList list;
  list.items.push_back({std::string("@method"), {}});
  list.items.push_back({std::string("content-digest"), {}});
  list.items.push_back({std::string("tally-agreement"), {}});
  if (enforces) list.items.push_back({std::string("tally-enforces"), {}});
  return list;
}

std::optional<Digest> digest_of(const SfItem& item) {
  const Bytes* bytes = std::get_if<Bytes>(&item.value);
  if (bytes == nullptr || bytes->size() != Digest{}.size()) return std::nullopt;
  Digest digest{};
  std::copy(bytes->begin(), bytes->end(), digest.begin());
  return digest;
}

Result<Digest> digest_header(const Headers& headers, std::string_view name) {
  const auto text = single(headers, name);
  const auto item = text ? parse_item(*text) : std::nullopt;
  const auto digest = item && item->params.empty() ? digest_of(*item) : std::nullopt;
  if (!digest) return malformed(name);
  return *digest;
}

// The one signature of the message that is ours: its label and what it says it covers.
struct Ours {
  std::string label;
  SfInnerList input;
};

Result<Ours> our_signature(const Headers& headers) {
  const auto text = single(headers, "Signature-Input");
  const auto dictionary = text ? parse_dictionary(*text) : std::nullopt;
  if (!dictionary) return malformed("Signature-Input");
  std::optional<Ours> found;
  for (const auto& [name, member] : *dictionary) {
    const auto* list = std::get_if<SfInnerList>(&member);
    if (list == nullptr) return malformed("Signature-Input");
    const auto* its_tag = param<std::string>(list->params, "tag");
    if (its_tag == nullptr || *its_tag != tag) continue;
    if (found) return malformed("Signature-Input");
    found = Ours{name, *list};
  }
  if (!found) return refuse("identity.signature-missing");
  return *found;
}

Result<Ed25519Signature> signature_bytes(const Headers& headers, const std::string& name) {
  const auto text = single(headers, "Signature");
  const auto dictionary = text ? parse_dictionary(*text) : std::nullopt;
  if (!dictionary) return malformed("Signature");
  for (const auto& [key, member] : *dictionary) {
    if (key != name) continue;
    const auto* item = std::get_if<SfItem>(&member);
    const auto* bytes = item != nullptr ? std::get_if<Bytes>(&item->value) : nullptr;
    if (bytes == nullptr || bytes->size() != Ed25519Signature{}.size()) break;
    Ed25519Signature signature{};
    std::copy(bytes->begin(), bytes->end(), signature.begin());
    return signature;
  }
  return malformed("Signature");
}

Result<std::vector<Bytes>> chain_header(const Headers& headers) {
  const auto text = single(headers, contract_chain_header);
  auto items = text ? parse_list(*text) : std::nullopt;
  if (!items || items->size() > most_certificates) return malformed(contract_chain_header);
  std::vector<Bytes> chain;
  for (SfItem& item : *items) {
    Bytes* der = std::get_if<Bytes>(&item.value);
    if (der == nullptr) return malformed(contract_chain_header);
    chain.push_back(std::move(*der));
  }
  return chain;
}

Result<void> check_body_digest(const HttpRequest& request, const Digest& body) {
  const auto text = single(request.headers, "Content-Digest");
  const auto dictionary = text ? parse_dictionary(*text) : std::nullopt;
  if (!dictionary) return malformed("Content-Digest");
  for (const auto& [algorithm, member] : *dictionary) {
    if (algorithm != "sha-256") continue;
    const auto* item = std::get_if<SfItem>(&member);
    if (item == nullptr || digest_of(*item) != body) {
      return refuse("identity.signature-wrong-digest");
    }
    return {};
  }
  return malformed("Content-Digest");
}

Result<void> check_key_statement(
    const HttpRequest& request,
    const Ed25519PublicKey& key,
    const PartyId& party,
    Instant now,
    MessageSignature& result
) {
  if (!has(request.headers, key_statement_header)) return {};
  const auto text = single(request.headers, key_statement_header);
  const auto item = text ? parse_item(*text) : std::nullopt;
  const auto* jcs = item ? std::get_if<Bytes>(&item->value) : nullptr;
  const auto* signature = item ? param<Bytes>(item->params, "sig") : nullptr;
  if (jcs == nullptr || signature == nullptr) return malformed(key_statement_header);
  if (!verify_ed25519(key, *jcs, *signature)) return refuse("identity.key-statement-wrong");
  SignedKeyStatement signed_statement;
  signed_statement.jcs.assign(jcs->begin(), jcs->end());
  std::copy(signature->begin(), signature->end(), signed_statement.signature.begin());
  auto statement = parse_key_statement(signed_statement.jcs);
  if (!statement) return refuse("identity.key-statement-malformed");
  if (statement->party != party.uri) return refuse("identity.key-statement-other-party");
  if (statement->not_after < now || statement->not_before > now + signature_clock_skew) {
    return refuse("identity.key-statement-validity");
  }
  result.key_statement = std::move(*statement);
  result.signed_key_statement = std::move(signed_statement);
  return {};
}

}  // namespace

std::string content_digest(std::string_view body) {
  return "sha-256=" + bytes_item(sha256(body));
}

bool has_message_signature(const HttpRequest& request) {
  return has(request.headers, agreement_header) || our_signature(request.headers).has_value();
}

MessageSignature sign_message(
    HttpRequest& request, const ContractSigner& signer, const SigningInput& input
) {
  MessageSignature result;
  result.agreement = input.agreement;
  result.enforces = input.enforces;
  result.created = {input.created.seconds, 0};
  result.keyid = signer.keyid();
  result.nonce = input.nonce;
  result.method = request.method;
  result.body = sha256(request.body);
  result.chain = signer.chain();
  result.content_digest = "sha-256=" + bytes_item(result.body);

  const std::string agreement = bytes_item(input.agreement);
  std::optional<std::string> enforces;
  if (input.enforces) enforces = bytes_item(*input.enforces);

  SfInnerList list = covered_components(enforces.has_value());
  list.params.emplace_back("created", input.created.seconds);
  list.params.emplace_back("keyid", signer.keyid());
  list.params.emplace_back("nonce", input.nonce);
  list.params.emplace_back("tag", std::string(tag));
  const std::string params = serialise(list);

  result.signature_base =
      signature_base(request.method, result.content_digest, agreement, enforces, params);
  const Ed25519Signature signature = signer.sign(result.signature_base);
  result.signature_input = std::string(label) + "=" + params;
  result.signature = std::string(label) + "=" + bytes_item(signature);

  std::string chain;
  for (const Bytes& der : signer.chain()) {
    if (!chain.empty()) chain += ", ";
    chain += bytes_item(der);
  }
  request.headers.set("Content-Digest", result.content_digest);
  request.headers.set(std::string(agreement_header), agreement);
  if (enforces) request.headers.set(std::string(enforces_header), *enforces);
  request.headers.set(std::string(contract_chain_header), chain);
  if (input.key_statement) {
    const SignedKeyStatement& statement = *input.key_statement;
    request.headers.set(
        std::string(key_statement_header),
        bytes_item(as_bytes(statement.jcs)) + ";sig=" + bytes_item(statement.signature)
    );
    result.signed_key_statement = statement;
    if (auto parsed = parse_key_statement(statement.jcs)) result.key_statement = std::move(*parsed);
  }
  request.headers.set("Signature-Input", result.signature_input);
  request.headers.set("Signature", result.signature);
  return result;
}

Result<MessageSignature> verify_message(
    const HttpRequest& request, const TrustStore& trust, const PartyId& expected, Instant now
) {
  const Headers& headers = request.headers;
  if (!has(headers, "Signature-Input")) return refuse("identity.signature-missing");
  const auto ours = our_signature(headers);
  if (!ours) return fail(ErrorKind::unauthenticated, ours.error().message);

  // What must be covered is covered, and what is there and could be covered is not left out.
  const bool enforces = has(headers, enforces_header);
  const SfInnerList wanted = covered_components(enforces);
  SfInnerList covered = ours->input;
  covered.params.clear();
  if (serialise(covered) != serialise(wanted)) return refuse("identity.signature-not-covered");

  const SfParams& params = ours->input.params;
  const auto* created = param<std::int64_t>(params, "created");
  const auto* keyid = param<std::string>(params, "keyid");
  const auto* nonce = param<std::string>(params, "nonce");
  if (created == nullptr || keyid == nullptr || nonce == nullptr) {
    return malformed("Signature-Input");
  }
  for (const auto& [name, value] : params) {
    if (name == "alg") {
      const auto* algorithm = std::get_if<std::string>(&value);
      if (algorithm == nullptr || *algorithm != "ed25519") return malformed("Signature-Input");
    } else if (name != "created" && name != "keyid" && name != "nonce" && name != "tag") {
      return malformed("Signature-Input");
    }
  }

  MessageSignature result;
  result.created = {*created, 0};
  result.keyid = *keyid;
  result.nonce = *nonce;
  result.method = request.method;
  result.body = sha256(request.body);
  if (result.created > now + signature_clock_skew) return refuse("identity.signature-in-future");
  if (result.created + signature_max_age < now) return refuse("identity.signature-too-old");

  auto body = check_body_digest(request, result.body);
  if (!body) return fail(std::move(body));
  const auto agreement = digest_header(headers, agreement_header);
  if (!agreement) return fail(ErrorKind::unauthenticated, agreement.error().message);
  result.agreement = *agreement;
  if (enforces) {
    const auto digest = digest_header(headers, enforces_header);
    if (!digest) return fail(ErrorKind::unauthenticated, digest.error().message);
    result.enforces = *digest;
  }

  auto chain = chain_header(headers);
  if (!chain) return fail(std::move(chain));
  result.chain = std::move(*chain);
  auto signer = trust.verify(result.chain, Purpose::contract, now);
  if (!signer) return fail(std::move(signer));
  if (signer->party != expected) {
    return refuse(
        "identity.signature-other-party",
        {{"signer", to_string(signer->party)}, {"expected", to_string(expected)}}
    );
  }
  if (*keyid != signer->certificate_sha256) return refuse("identity.signature-key-mismatch");

  result.content_digest = field_text(headers, "Content-Digest");
  std::optional<std::string_view> enforces_text;
  if (enforces) enforces_text = single(headers, enforces_header);
  result.signature_base = signature_base(
      request.method,
      result.content_digest,
      field_text(headers, agreement_header),
      enforces_text,
      serialise(ours->input)
  );
  const auto signature = signature_bytes(headers, ours->label);
  if (!signature) return fail(ErrorKind::unauthenticated, signature.error().message);
  const auto& key = signer->contract_key;
  if (!key || !verify_ed25519(*key, as_bytes(result.signature_base), *signature)) {
    return refuse("identity.signature-wrong");
  }
  auto statement = check_key_statement(request, *key, expected, now, result);
  if (!statement) return fail(std::move(statement));

  result.signer = signer->party;
  result.chain_not_after = signer->not_after;
  result.crl_state = signer->crl_state;
  result.lists = std::move(signer->lists);
  result.signature_input = field_text(headers, "Signature-Input");
  result.signature = field_text(headers, "Signature");
  return result;
}

std::string to_archive_json(const MessageSignature& signature) {
  Json chain = Json::array();
  for (const Bytes& der : signature.chain) chain.push_back(to_base64(der));
  Json document{
      {"domain", signature.signer.domain},
      {"party", signature.signer.uri},
      {"agreement", digest_text(signature.agreement)},
      {"created", format_seconds(signature.created)},
      {"keyid", signature.keyid},
      {"nonce", signature.nonce},
      {"method", signature.method},
      {"body", digest_text(signature.body)},
      {"contentDigest", signature.content_digest},
      {"signatureInput", signature.signature_input},
      {"signature", signature.signature},
      {"signatureBase", to_base64(as_bytes(signature.signature_base))},
      {"chain", std::move(chain)},
      {"crlState", signature.crl_state},
  };
  std::size_t list_bytes = 0;
  for (const Bytes& der : signature.lists) list_bytes += der.size();
  if (!signature.lists.empty() && list_bytes <= most_archived_list_bytes) {
    Json& lists = document["lists"] = Json::array();
    for (const Bytes& der : signature.lists) lists.push_back(to_base64(der));
  }
  if (signature.enforces) document["enforces"] = digest_text(*signature.enforces);
  if (signature.signed_key_statement) {
    const SignedKeyStatement& statement = *signature.signed_key_statement;
    document["keyStatement"] = {
        {"statement", to_base64(as_bytes(statement.jcs))},
        {"signature", to_base64(statement.signature)},
    };
  }
  return tally::to_jcs(document);
}

namespace {

constexpr std::size_t most_archive_bytes = 1 << 20;

tl::unexpected<Error> archive_malformed(std::string_view member) {
  return fail(
      ErrorKind::invalid, {"identity.archive-malformed", {{"member", std::string(member)}}}
  );
}

tl::unexpected<Error> archive_wrong(std::string_view what) {
  return fail(ErrorKind::invalid, {"identity.archive-wrong", {{"what", std::string(what)}}});
}

std::optional<std::vector<Bytes>> bytes_list(const Json& document, const char* key) {
  std::vector<Bytes> out;
  const auto list = document.find(key);
  if (list == document.end()) return out;
  if (!list->is_array() || list->size() > most_certificates) return std::nullopt;
  for (const Json& item : *list) {
    auto bytes = item.is_string() ? from_base64(item.get_ref<const std::string&>()) : std::nullopt;
    if (!bytes) return std::nullopt;
    out.push_back(*std::move(bytes));
  }
  return out;
}

Result<void> read_statement(const Json& document, MessageSignature& into) {
  const auto found = document.find("keyStatement");
  if (found == document.end()) return {};
  if (!found->is_object()) return archive_malformed("keyStatement");
  const auto text = string_member(*found, "statement", "");
  const auto sig = string_member(*found, "signature", "");
  const auto jcs = text ? from_base64(*text) : std::nullopt;
  const auto signature = sig ? from_base64(*sig) : std::nullopt;
  if (!jcs || !signature || signature->size() != Ed25519Signature{}.size()) {
    return archive_malformed("keyStatement");
  }
  SignedKeyStatement signed_statement;
  signed_statement.jcs.assign(jcs->begin(), jcs->end());
  std::copy(signature->begin(), signature->end(), signed_statement.signature.begin());
  auto statement = parse_key_statement(signed_statement.jcs);
  if (!statement) return archive_malformed("keyStatement");
  into.key_statement = *std::move(statement);
  into.signed_key_statement = std::move(signed_statement);
  return {};
}

}  // namespace

Result<MessageSignature> verify_archive(std::string_view json) {
  const auto document = parse_json(json, {.bytes = most_archive_bytes, .depth = 4});
  if (!document || !document->is_object() || tally::to_jcs(*document) != json) {
    return archive_malformed("");
  }
  MessageSignature result;
  std::string agreement;
  std::string created;
  std::string base;
  for (const auto& [key, into] : std::initializer_list<std::pair<const char*, std::string*>>{
           {"domain", &result.signer.domain},
           {"party", &result.signer.uri},
           {"agreement", &agreement},
           {"created", &created},
           {"keyid", &result.keyid},
           {"nonce", &result.nonce},
           {"method", &result.method},
           {"contentDigest", &result.content_digest},
           {"signatureInput", &result.signature_input},
           {"signature", &result.signature},
           {"signatureBase", &base},
           {"crlState", &result.crl_state}}) {
    auto text = string_member(*document, key, "");
    if (!text) return archive_malformed(key);
    *into = *std::move(text);
  }
  const auto digest = parse_digest_text(agreement);
  if (!digest) return archive_malformed("agreement");
  result.agreement = *digest;
  if (document->contains("enforces")) {
    const auto text = string_member(*document, "enforces", "");
    result.enforces = text ? parse_digest_text(*text) : std::nullopt;
    if (!result.enforces) return archive_malformed("enforces");
  }
  const auto at = parse_date_time(created);
  if (!at || format_seconds(at->instant) != created) return archive_malformed("created");
  result.created = at->instant;
  auto chain = bytes_list(*document, "chain");
  if (!chain || chain->empty()) return archive_malformed("chain");
  result.chain = *std::move(chain);
  auto lists = bytes_list(*document, "lists");
  if (!lists) return archive_malformed("lists");
  result.lists = *std::move(lists);
  if (auto read = read_statement(*document, result); !read) return fail(std::move(read));

  // From here on nothing is taken from the archive's own words that the signature can tell.
  Headers headers;
  headers.set("Signature-Input", result.signature_input);
  headers.set("Signature", result.signature);
  const auto ours = our_signature(headers);
  if (!ours) return archive_malformed("signatureInput");
  SfInnerList covered = ours->input;
  covered.params.clear();
  if (serialise(covered) != serialise(covered_components(result.enforces.has_value()))) {
    return archive_wrong("signatureInput");
  }
  const auto* when = param<std::int64_t>(ours->input.params, "created");
  const auto* keyid = param<std::string>(ours->input.params, "keyid");
  const auto* nonce = param<std::string>(ours->input.params, "nonce");
  if (when == nullptr || *when != result.created.seconds) return archive_wrong("created");
  if (keyid == nullptr || *keyid != result.keyid ||
      result.keyid != to_hex(sha256(result.chain.front()))) {
    return archive_wrong("keyid");
  }
  if (nonce == nullptr || *nonce != result.nonce) return archive_wrong("nonce");
  std::optional<std::string> enforces;
  if (result.enforces) enforces = bytes_item(*result.enforces);
  result.signature_base = signature_base(
      result.method,
      result.content_digest,
      bytes_item(result.agreement),
      enforces,
      serialise(ours->input)
  );
  if (to_base64(as_bytes(result.signature_base)) != base) return archive_wrong("signatureBase");
  const auto signature = signature_bytes(headers, ours->label);
  if (!signature) return archive_malformed("signature");
  const auto key = certificate_ed25519_key(result.chain.front());
  if (!key || !verify_ed25519(*key, as_bytes(result.signature_base), *signature)) {
    return archive_wrong("signature");
  }
  if (result.signed_key_statement) {
    const SignedKeyStatement& statement = *result.signed_key_statement;
    if (!verify_ed25519(*key, as_bytes(statement.jcs), statement.signature)) {
      return archive_wrong("keyStatement");
    }
  }
  return result;
}

}  // namespace tally::identity
