#include "tally/custody/private_facts.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <openssl/crypto.h>

#include "keyed_hash.hpp"
#include "rewrap.hpp"
#include "sealing.hpp"

namespace tally::custody {

namespace {

constexpr std::string_view magic = "TALLYPF1";
constexpr std::size_t subject_bytes = 16;
constexpr std::size_t salt_bytes = 32;
constexpr std::size_t fact_most_bytes = 4096;
constexpr std::size_t file_most_bytes =
    magic.size() + subject_bytes + salt_bytes + fact_most_bytes + tag_bytes;
constexpr std::string_view part_suffix = ".part";
constexpr std::string_view key_suffix = ".key";
constexpr std::string_view fact_suffix = ".fact";
constexpr std::string_view subject_prefix = "subject-";
// What the names of persons are made with: no name of a fact, which are of hex digits.
constexpr std::string_view names_id = "names";
constexpr WrappedKind names_key{"TALLYPN1", sizeof(KeyedHash::State)};

std::string key_name(const std::string& id) {
  return "keys/" + id + std::string(key_suffix);
}
std::string fact_name(const std::string& id) {
  return "blobs/" + id + std::string(fact_suffix);
}

tl::unexpected<Error> damaged(const std::string& id) {
  return fail(ErrorKind::internal, {"custody.damaged", {{"artefact", id}, {"at", "fact"}}});
}

// What is sealed is bound to its place: another name or another person's header does not open it.
Bytes aad_of(std::string_view subject, std::string_view id) {
  Bytes aad;
  for (const auto part : {magic, subject, id}) aad.insert(aad.end(), part.begin(), part.end());
  return aad;
}

}  // namespace

PrivateFacts::PrivateFacts(BlobStore& blobs, KeySource& keys, Random& random)
    : blobs_(blobs), keys_(keys), random_(random) {}

// A key of its own would give persons that are known already new names, so it is the wrapping key
// of the time when it was made, as a hash that gives the same names and gives no key back: it
// outlives that key.
Result<KeyedHash> PrivateFacts::person_names(Missing missing) {
  const std::string name = key_name(std::string(names_id));
  const ArtefactId id{std::string(names_id)};
  KeyedHash::State state{};
  const auto bytes = read(name);
  if (bytes) {
    auto opened = unwrap(names_key, *bytes, keys_, id, state);
    if (!opened) return fail(std::move(opened));
    KeyedHash names(state);
    OPENSSL_cleanse(state.data(), state.size());
    return names;
  }
  if (bytes.error().kind != ErrorKind::not_found) return tl::unexpected(bytes.error());
  const auto wrapping = keys_.current();
  if (!wrapping) return tl::unexpected(wrapping.error());
  const KeyedHash names(wrapping->bytes);
  if (missing == Missing::pass) return names;
  state = names.state();
  Nonce nonce{};
  random_.fill(nonce);
  auto written = put(name, wrap(names_key, state, *wrapping, id, nonce));
  OPENSSL_cleanse(state.data(), state.size());
  if (!written) return fail(std::move(written));
  return names;
}

// A name for the person that the folder alone does not let anybody guess.
Result<std::string> PrivateFacts::subject_id(std::string_view subject, Missing missing) {
  const auto names = person_names(missing);
  if (!names) return tl::unexpected(names.error());
  std::string message("tally-private/subject/1");
  message += '\0';
  message += subject;
  const Digest id = names->of(as_bytes(message));
  return to_hex(std::span(id).first(subject_bytes));
}

// Under its own name only when it is whole.
Result<void> PrivateFacts::put(const std::string& name, std::span<const std::uint8_t> bytes) {
  const std::string part = name + std::string(part_suffix);
  auto file = blobs_.create(part);
  if (!file) return fail(std::move(file));
  if (auto written = (*file)->write_at(0, bytes); !written) return written;
  if (auto synced = (*file)->sync(); !synced) return synced;
  return blobs_.rename(part, name);
}

Result<Bytes> PrivateFacts::read(const std::string& name) {
  auto file = blobs_.open(name);
  if (!file) return fail(std::move(file));
  Bytes bytes(file_most_bytes + 1);
  const auto n = (*file)->read_at(0, bytes);
  if (!n) return tl::unexpected(n.error());
  bytes.resize(*n);
  return bytes;
}

Result<void> PrivateFacts::write_key(
    const std::string& id, const SecretKey& key, const SecretKey& wrapping
) {
  Nonce nonce{};
  random_.fill(nonce);
  return put(key_name(id), wrap_key(key, wrapping, ArtefactId(id), nonce));
}

Result<SecretKey> PrivateFacts::read_key(const std::string& id, const SecretKey& above) {
  auto bytes = read(key_name(id));
  if (!bytes) return fail(std::move(bytes));
  return unwrap_key(*bytes, above, ArtefactId(id));
}

Result<SecretKey> PrivateFacts::subject_key(const std::string& subject, bool make) {
  const std::string id = std::string(subject_prefix) + subject;
  auto bytes = read(key_name(id));
  if (bytes) return unwrap_key(*bytes, keys_, ArtefactId(id));
  if (bytes.error().kind != ErrorKind::not_found || !make) return fail(std::move(bytes));
  const auto wrapping = keys_.current();
  if (!wrapping) return tl::unexpected(wrapping.error());
  SecretKey key;
  random_.fill(key.bytes);
  if (auto written = write_key(id, key, *wrapping); !written) return fail(std::move(written));
  return key;
}

Result<void> PrivateFacts::recover() {
  const std::lock_guard lock(mutex_);
  auto keys = blobs_.list("keys");
  if (!keys) return fail(std::move(keys));
  auto facts = blobs_.list("blobs");
  if (!facts) return fail(std::move(facts));
  bool persons = false;
  // A key without its fact or half overwritten, a fact without its key: what was begun is ended.
  for (const auto& name : *keys) {
    bool whole = name.ends_with(key_suffix);
    if (whole) {
      const auto bytes = read("keys/" + name);
      if (!bytes) return tl::unexpected(bytes.error());
      if (is_wrapped(names_key, *bytes)) continue;
      whole = is_wrapped_key(*bytes);
    }
    if (whole && name.starts_with(subject_prefix)) {
      persons = true;
      continue;
    }
    const std::string fact =
        name.substr(0, name.size() - key_suffix.size()) + std::string(fact_suffix);
    if (whole && std::ranges::binary_search(*facts, fact)) continue;
    if (auto gone = blobs_.shred("keys/" + name); !gone) return gone;
  }
  keys = blobs_.list("keys");
  if (!keys) return fail(std::move(keys));
  for (const auto& name : *facts) {
    const bool whole = name.ends_with(fact_suffix);
    const std::string key =
        name.substr(0, name.size() - (whole ? fact_suffix.size() : 0)) + std::string(key_suffix);
    if (whole && std::ranges::binary_search(*keys, key)) continue;
    if (auto gone = blobs_.shred("blobs/" + name); !gone) return gone;
  }
  if (!persons || std::ranges::binary_search(*keys, std::string(names_id) + ".key")) return {};
  // Persons from before the names had a file: it is made before their wrapping key can go.
  const auto names = person_names(Missing::make);
  return names ? Result<void>() : tl::unexpected(names.error());
}

Result<std::vector<std::string>> PrivateFacts::wrapped() {
  const std::lock_guard lock(mutex_);
  auto names = blobs_.list("keys");
  if (!names) return names;
  // The keys of facts lie under those of persons, and stay as they are.
  std::erase_if(*names, [](const std::string& name) {
    return !name.ends_with(key_suffix) ||
           (!name.starts_with(subject_prefix) && name != std::string(names_id) + ".key");
  });
  return names;
}

Result<Rewrapped> PrivateFacts::rewrap(const std::string& name) {
  if (!name.ends_with(key_suffix)) return Rewrapped::unopened;
  const std::string id = name.substr(0, name.size() - key_suffix.size());
  const std::lock_guard lock(mutex_);
  const auto& kind = id == names_id ? names_key : artefact_key;
  return rewrap_file(blobs_, key_name(id), ArtefactId(id), kind, keys_, random_);
}

Result<Digest> PrivateFacts::keep(std::string_view subject, std::string_view fact) {
  const std::lock_guard lock(mutex_);
  if (subject.empty() || subject.size() > subject_most_bytes || fact.size() > fact_most_bytes) {
    const std::map<std::string, std::string> most = {{"most", std::to_string(subject_most_bytes)}};
    return fail(ErrorKind::invalid, {"custody.subject-too-long", most});
  }
  const auto person = subject_id(subject, Missing::make);
  if (!person) return tl::unexpected(person.error());
  const auto above = subject_key(*person, true);
  if (!above) return tl::unexpected(above.error());

  Bytes plain(salt_bytes);
  random_.fill(plain);
  const Digest commitment = audit::commitment_to(plain, fact);
  const std::string id = to_hex(commitment);
  plain.insert(plain.end(), fact.begin(), fact.end());
  SecretKey key;
  random_.fill(key.bytes);
  if (auto written = write_key(id, key, *above); !written) return fail(std::move(written));
  Bytes file(magic.begin(), magic.end());
  const auto raw = from_hex(*person);
  file.insert(file.end(), raw->begin(), raw->end());
  const std::size_t header = file.size();
  file.resize(header + plain.size() + tag_bytes);
  // One message under this key, ever: the nonce may be zero.
  Aead(key.bytes).seal(Nonce{}, aad_of(*person, id), plain, std::span(file).subspan(header));
  OPENSSL_cleanse(plain.data(), plain.size());
  if (auto written = put(fact_name(id), file); !written) return fail(std::move(written));
  return commitment;
}

Result<audit::Opening> PrivateFacts::open(const Digest& commitment) {
  const std::lock_guard lock(mutex_);
  const std::string id = to_hex(commitment);
  const auto none = [&] { return fail(ErrorKind::not_found, {"custody.no-fact", {}}); };
  const auto file = read(fact_name(id));
  if (!file) {
    if (file.error().kind == ErrorKind::not_found) return none();
    return tl::unexpected(file.error());
  }
  constexpr std::size_t header = magic.size() + subject_bytes;
  if (file->size() < header + salt_bytes + tag_bytes || file->size() > file_most_bytes ||
      !std::ranges::equal(std::span(*file).first(magic.size()), as_bytes(magic))) {
    return damaged(id);
  }
  const std::string person = to_hex(std::span(*file).subspan(magic.size(), subject_bytes));
  const auto above = subject_key(person, false);
  const auto key = above ? read_key(id, *above) : above;
  if (!key) {
    if (key.error().kind == ErrorKind::not_found) return none();
    return tl::unexpected(key.error());
  }
  Bytes plain(file->size() - header - tag_bytes);
  const auto sealed = std::span(*file).subspan(header);
  if (!Aead(key->bytes).open(Nonce{}, aad_of(person, id), sealed, plain)) return damaged(id);
  audit::Opening opening;
  opening.salt.assign(plain.begin(), plain.begin() + salt_bytes);
  opening.fact.assign(plain.begin() + salt_bytes, plain.end());
  OPENSSL_cleanse(plain.data(), plain.size());
  if (audit::commitment_to(opening.salt, opening.fact) != commitment) return damaged(id);
  return opening;
}

Result<std::vector<Digest>> PrivateFacts::list_now() {
  auto names = blobs_.list("blobs");
  if (!names) return fail(std::move(names));
  std::vector<Digest> found;
  for (const auto& name : *names) {
    if (!name.ends_with(fact_suffix)) continue;
    const auto bytes = from_hex(std::string_view(name).substr(0, name.size() - fact_suffix.size()));
    if (!bytes || bytes->size() != sizeof(Digest)) continue;
    Digest commitment{};
    std::ranges::copy(*bytes, commitment.begin());
    found.push_back(commitment);
  }
  return found;
}

Result<std::vector<Digest>> PrivateFacts::list() {
  const std::lock_guard lock(mutex_);
  return list_now();
}

Result<std::vector<Digest>> PrivateFacts::about(std::string_view subject) {
  const std::lock_guard lock(mutex_);
  const auto person = subject_id(subject, Missing::pass);
  if (!person) return tl::unexpected(person.error());
  auto all = list_now();
  if (!all) return all;
  std::vector<Digest> found;
  for (const Digest& commitment : *all) {
    const auto file = read(fact_name(to_hex(commitment)));
    if (!file) return tl::unexpected(file.error());
    if (file->size() < magic.size() + subject_bytes) continue;
    const auto whose = std::span(*file).subspan(magic.size(), subject_bytes);
    if (to_hex(whose) == *person) found.push_back(commitment);
  }
  return found;
}

// The key first: from then on nothing opens what is left.
Result<void> PrivateFacts::destroy_fact(const std::string& id) {
  if (auto gone = blobs_.shred(key_name(id)); !gone) return gone;
  return blobs_.shred(fact_name(id));
}

Result<void> PrivateFacts::destroy(const Digest& commitment) {
  const std::lock_guard lock(mutex_);
  return destroy_fact(to_hex(commitment));
}

Result<void> PrivateFacts::destroy_subject(std::string_view subject) {
  auto facts = about(subject);
  if (!facts) return fail(std::move(facts));
  const std::lock_guard lock(mutex_);
  const auto person = subject_id(subject, Missing::pass);
  if (!person) return tl::unexpected(person.error());
  if (auto gone = blobs_.shred(key_name(std::string(subject_prefix) + *person)); !gone) return gone;
  for (const Digest& commitment : *facts) {
    if (auto gone = destroy_fact(to_hex(commitment)); !gone) return gone;
  }
  return {};
}

}  // namespace tally::custody
