#include "tally/custody/kept_data_keys.hpp"

#include <algorithm>
#include <utility>

#include "tally/core/aead.hpp"
#include "tally/custody/puller.hpp"

#include "rewrap.hpp"
#include "sealing.hpp"

namespace tally::custody {

namespace {

constexpr std::string_view key_suffix = ".key";
constexpr std::string_view part_suffix = ".part";
constexpr std::size_t key_bytes = 16;
constexpr WrappedKind payload_key{"TALLYDK1", key_bytes + sizeof(Digest)};

std::string file_name(const ArtefactId& id) {
  return "keys/" + id.value + std::string(key_suffix);
}

tl::unexpected<Error> gone() {
  return fail(ErrorKind::not_found, {"transfer.key-gone", {}});
}

}  // namespace

// What a file holds: the key, and the SHA-256 of the version of the source that it belongs to.
struct KeptDataKeys::Secret {
  transfer::DataKey key;
  Digest version{};
};

KeptDataKeys::KeptDataKeys(BlobStore& files, KeySource& wrapping, Worker& worker, Random& random)
    : files_(files), wrapping_(wrapping), worker_(worker), random_(random) {}

Result<void> KeptDataKeys::load() {
  const auto names = files_.list("keys");
  if (!names) return tl::unexpected(names.error());
  for (const std::string& name : *names) {
    const std::string path = "keys/" + name;
    auto file = files_.open(path);
    if (!file) return fail(std::move(file));
    std::array<std::uint8_t, 256> bytes{};
    const auto n = (*file)->read_at(0, bytes);
    if (!n) return tl::unexpected(n.error());
    // Half written or half overwritten: no byte went out under it, or it was being destroyed.
    if (!name.ends_with(key_suffix) || !is_wrapped(payload_key, std::span(bytes).first(*n))) {
      if (auto shredded = files_.shred(path); !shredded) return shredded;
      continue;
    }
    known_.insert(name.substr(0, name.size() - key_suffix.size()));
  }
  return {};
}

Result<KeptDataKeys::Secret> KeptDataKeys::read(const ArtefactId& id) {
  auto file = files_.open(file_name(id));
  if (!file && file.error().kind == ErrorKind::not_found) return gone();
  if (!file) return fail(std::move(file));
  std::array<std::uint8_t, 256> bytes{};
  const auto n = (*file)->read_at(0, bytes);
  if (!n) return tl::unexpected(n.error());
  std::array<std::uint8_t, payload_key.secret_bytes> plain{};
  auto opened = unwrap(payload_key, std::span(bytes).first(*n), wrapping_, id, plain);
  if (!opened) return fail(std::move(opened));
  Secret secret;
  std::copy_n(plain.begin(), key_bytes, secret.key.bytes.begin());
  std::copy(plain.begin() + key_bytes, plain.end(), secret.version.begin());
  wipe(plain);
  return secret;
}

// Under its own name only when it is whole, and durable before anybody has the key.
Result<KeptDataKeys::Secret> KeptDataKeys::make(const ArtefactId& id, const Digest& version) {
  const auto wrapping = wrapping_.current();
  if (!wrapping) return tl::unexpected(wrapping.error());
  Secret secret;
  secret.version = version;
  random_.fill(secret.key.bytes);
  Nonce nonce{};
  random_.fill(nonce);
  std::array<std::uint8_t, payload_key.secret_bytes> plain{};
  std::copy(secret.key.bytes.begin(), secret.key.bytes.end(), plain.begin());
  std::copy(version.begin(), version.end(), plain.begin() + key_bytes);
  const Bytes wrapped = wrap(payload_key, plain, *wrapping, id, nonce);
  wipe(plain);
  const std::string name = file_name(id);
  const std::string part = name + std::string(part_suffix);
  if (auto removed = files_.remove(part); !removed) return fail(std::move(removed));
  auto file = files_.create(part);
  if (!file) return fail(std::move(file));
  if (auto written = (*file)->write_at(0, wrapped); !written) return fail(std::move(written));
  if (auto synced = (*file)->sync(); !synced) return fail(std::move(synced));
  if (auto renamed = files_.rename(part, name); !renamed) return fail(std::move(renamed));
  const std::lock_guard guard(known_mutex_);
  known_.insert(id.value);
  return secret;
}

Result<KeptDataKeys::Secret> KeptDataKeys::key_for_now(
    const ArtefactId& id, const Digest& version
) {
  const std::lock_guard guard(working_);
  auto known = read(id);
  if (known && known->version == version) return known;
  if (!known && known.error().kind != ErrorKind::not_found) return known;
  if (known) {
    if (auto destroyed = destroy_now(id); !destroyed) return fail(std::move(destroyed));
  }
  return make(id, version);
}

Result<void> KeptDataKeys::destroy_now(const ArtefactId& id) {
  if (auto shredded = files_.shred(file_name(id)); !shredded) return shredded;
  const std::lock_guard guard(known_mutex_);
  known_.erase(id.value);
  return {};
}

awaitable<Result<transfer::DataKey>> KeptDataKeys::key_for(Pid process, std::string version) {
  const ArtefactId id = artefact_of(process);
  const Digest digest = sha256(version);
  Result<Secret> found;
  std::function<void()> job = [&] { found = key_for_now(id, digest); };
  co_await worker_.run(std::move(job));
  if (!found) co_return fail(std::move(found));
  co_return found->key;
}

awaitable<Result<transfer::DataKey>> KeptDataKeys::find(Pid process) {
  const ArtefactId id = artefact_of(process);
  Result<Secret> found;
  std::function<void()> job = [&] {
    const std::lock_guard guard(working_);
    found = read(id);
  };
  co_await worker_.run(std::move(job));
  if (!found) co_return fail(std::move(found));
  co_return found->key;
}

awaitable<Result<void>> KeptDataKeys::destroy(Pid process) {
  const ArtefactId id = artefact_of(process);
  Result<void> done;
  std::function<void()> job = [&] {
    const std::lock_guard guard(working_);
    done = destroy_now(id);
  };
  co_await worker_.run(std::move(job));
  co_return done;
}

Result<std::vector<std::string>> KeptDataKeys::wrapped() {
  const std::lock_guard guard(working_);
  auto names = files_.list("keys");
  if (names) std::erase_if(*names, [](const auto& name) { return !name.ends_with(key_suffix); });
  return names;
}

Result<Rewrapped> KeptDataKeys::rewrap(const std::string& name) {
  if (!name.ends_with(key_suffix)) return Rewrapped::unopened;
  const ArtefactId id(name.substr(0, name.size() - key_suffix.size()));
  const std::lock_guard guard(working_);
  return rewrap_file(files_, file_name(id), id, payload_key, wrapping_, random_);
}

bool KeptDataKeys::holds(const Pid& process) const {
  const std::lock_guard guard(known_mutex_);
  return known_.contains(artefact_of(process).value);
}

}  // namespace tally::custody
