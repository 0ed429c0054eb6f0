#include "tally/custody/custody.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include <openssl/crypto.h>

#include "rewrap.hpp"
#include "sealing.hpp"

namespace tally::custody {

namespace {

constexpr std::string_view part_suffix = ".part";
constexpr std::string_view sealed_suffix = ".sealed";
constexpr std::string_view held_suffix = ".blob";
constexpr std::string_view key_suffix = ".key";

std::string key_name(const ArtefactId& id) {
  return "keys/" + id.value + std::string(key_suffix);
}
std::string blob_name(const ArtefactId& id, std::string_view suffix) {
  return "blobs/" + id.value + std::string(suffix);
}

// "x.part" → "x" for ".part"; nullopt for another suffix.
std::optional<std::string> stem(const std::string& name, std::string_view suffix) {
  if (!name.ends_with(suffix)) return std::nullopt;
  return name.substr(0, name.size() - suffix.size());
}

tl::unexpected<Error> unknown(const ArtefactId& id) {
  return fail(ErrorKind::not_found, {"custody.unknown-artefact", {{"artefact", id.value}}});
}
tl::unexpected<Error> destroyed(const ArtefactId& id) {
  return fail(ErrorKind::not_found, {"custody.destroyed", {{"artefact", id.value}}});
}
tl::unexpected<Error> damaged(const ArtefactId& id, std::uint64_t chunk) {
  return fail(
      ErrorKind::internal,
      {"custody.damaged", {{"artefact", id.value}, {"at", std::to_string(chunk)}}}
  );
}

// What an open reader and the destruction of its artefact share.
struct Opened {
  Opened(const SecretKey& key, bool is_use_) : is_use(is_use_), aead(std::in_place, key.bytes) {}
  const bool is_use;  // else somebody looks whether it is whole
  std::mutex mutex;
  std::optional<Aead> aead;  // mutex; empty: destroyed
};

}  // namespace

bool is_valid_id(const ArtefactId& id) {
  const std::string& text = id.value;
  if (text.empty() || text.size() > 100 || text.front() == '.') return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

struct Custody::State : std::enable_shared_from_this<Custody::State> {
  State(BlobStore& blobs_, KeySource& keys_, Worker& worker_, Random& random_)
      : blobs(blobs_), keys(keys_), worker(worker_), random(random_) {}

  BlobStore& blobs;
  KeySource& keys;
  Worker& worker;
  Random& random;

  // One at a time makes, reads, wraps anew or destroys a key's file: a key that is made while the
  // wrapping key changes lies under one that stays, and nobody reads what is being overwritten.
  std::mutex key_files;

  mutable std::mutex mutex;
  std::multimap<std::string, std::weak_ptr<Opened>> opened;  // mutex

  // Runs a blocking job that gives a Result.
  template <class Job>
  auto off_loop(Job job) -> awaitable<decltype(job())> {
    decltype(job()) result{};
    std::function<void()> wrapped = [&job, &result] { result = job(); };
    co_await worker.run(std::move(wrapped));
    co_return result;
  }

  Result<SecretKey> read_key(const ArtefactId& id);
  Result<std::unique_ptr<BlobFile>> start_blob(
      const ArtefactId& id, const SecretKey& key, const Nonce& nonce
  );
  Result<void> destroy_now(const ArtefactId& id);
  Result<Recovered> recover_now();
  void close_readers(const ArtefactId& id);
};

// --- blocking halves ---

Result<SecretKey> Custody::State::read_key(const ArtefactId& id) {
  const std::string name = key_name(id);
  const std::lock_guard guard(key_files);
  auto file = blobs.open(name);
  if (!file) {
    if (file.error().kind == ErrorKind::not_found) return unknown(id);
    return fail(std::move(file));
  }
  std::array<std::uint8_t, 256> bytes{};
  const auto n = (*file)->read_at(0, bytes);
  if (!n) return tl::unexpected(n.error());
  return unwrap_key(std::span(bytes).first(*n), keys, id);
}

// The key is durable before the first byte that it opens is written.
Result<std::unique_ptr<BlobFile>> Custody::State::start_blob(
    const ArtefactId& id, const SecretKey& key, const Nonce& nonce
) {
  for (const std::string_view suffix : {part_suffix, sealed_suffix, held_suffix}) {
    const auto there = blobs.exists(blob_name(id, suffix));
    if (!there) return tl::unexpected(there.error());
    if (*there) return fail(ErrorKind::conflict, {"custody.exists", {{"artefact", id.value}}});
  }
  {
    const std::lock_guard guard(key_files);
    const auto wrapping = keys.current();
    if (!wrapping) return tl::unexpected(wrapping.error());
    const Bytes wrapped = wrap_key(key, *wrapping, id, nonce);
    auto key_file = blobs.create(key_name(id));
    if (!key_file) return key_file;
    if (auto written = (*key_file)->write_at(0, wrapped); !written) return fail(std::move(written));
    if (auto synced = (*key_file)->sync(); !synced) return fail(std::move(synced));
  }
  auto blob = blobs.create(blob_name(id, part_suffix));
  if (!blob) return blob;
  const auto header = blob_header();
  if (auto written = (*blob)->write_at(0, header); !written) return fail(std::move(written));
  return blob;
}

Result<void> Custody::State::destroy_now(const ArtefactId& id) {
  close_readers(id);
  {
    const std::lock_guard guard(key_files);
    if (auto shredded = blobs.shred(key_name(id)); !shredded) return shredded;
  }
  for (const std::string_view suffix : {held_suffix, sealed_suffix, part_suffix}) {
    if (auto removed = blobs.remove(blob_name(id, suffix)); !removed) return removed;
  }
  return {};
}

Result<Recovered> Custody::State::recover_now() {
  const auto key_names = blobs.list("keys");
  if (!key_names) return tl::unexpected(key_names.error());
  const auto blob_names = blobs.list("blobs");
  if (!blob_names) return tl::unexpected(blob_names.error());
  std::set<std::string> with_key;
  std::set<std::string> with_blob;
  Recovered found;
  for (const std::string& name : *key_names) {
    if (const auto id = stem(name, key_suffix); id && is_valid_id(ArtefactId(*id))) {
      with_key.insert(*id);
    } else if (name.ends_with(rewrap_suffix)) {
      if (auto gone = blobs.shred("keys/" + name); !gone) return fail(std::move(gone));
    } else {
      found.unknown.push_back("keys/" + name);
    }
  }
  std::set<std::string> incomplete;
  for (const std::string& name : *blob_names) {
    bool known = false;
    for (const std::string_view suffix : {part_suffix, sealed_suffix, held_suffix}) {
      const auto id = stem(name, suffix);
      if (!id || !is_valid_id(ArtefactId(*id))) continue;
      (suffix == part_suffix ? incomplete : with_blob).insert(*id);
      known = true;
    }
    if (!known) found.unknown.push_back("blobs/" + name);
  }
  for (const std::string& id : incomplete) {
    if (auto gone = destroy_now(ArtefactId(id)); !gone) return fail(std::move(gone));
    found.incomplete.push_back(id);
    with_key.erase(id);
    with_blob.erase(id);
  }
  for (const std::string& id : with_blob) {
    if (with_key.erase(id) > 0) {
      found.there.emplace_back(id);
      continue;
    }
    if (auto gone = destroy_now(ArtefactId(id)); !gone) return fail(std::move(gone));
    found.shredded.push_back(id);
  }
  for (const std::string& id : with_key) {
    if (auto gone = destroy_now(ArtefactId(id)); !gone) return fail(std::move(gone));
    found.stray_keys.push_back(id);
  }
  return found;
}

void Custody::State::close_readers(const ArtefactId& id) {
  std::vector<std::shared_ptr<Opened>> open_now;
  {
    const std::lock_guard guard(mutex);
    const auto [begin, end] = opened.equal_range(id.value);
    for (auto it = begin; it != end; ++it) {
      if (auto one = it->second.lock()) open_now.push_back(std::move(one));
    }
  }
  for (const auto& one : open_now) {
    const std::lock_guard guard(one->mutex);
    one->aead.reset();
  }
}

// --- writing ---

namespace {

class Writer final : public ArtefactWriter {
 public:
  Writer(
      std::shared_ptr<Custody::State> state,
      ArtefactId id,
      const SecretKey& key,
      std::unique_ptr<BlobFile> file
  )
      : state_(std::move(state)), id_(std::move(id)), aead_(key.bytes), file_(std::move(file)) {
    plain_.reserve(chunk_bytes);
    sealed_.resize(chunk_bytes + tag_bytes);
  }
  ~Writer() override { OPENSSL_cleanse(plain_.data(), plain_.size()); }

  awaitable<Result<void>> write(std::span<const std::uint8_t> bytes) override {
    if (broken_) co_return broken();
    co_return co_await state_->off_loop([this, bytes] { return take(bytes); });
  }

  [[nodiscard]] std::uint64_t bytes() const override { return taken_; }

  awaitable<Result<Sealed>> finish() override {
    if (broken_) co_return fail(broken());
    co_return co_await state_->off_loop([this] { return seal(); });
  }

  awaitable<Result<void>> abandon() override {
    broken_ = true;
    co_return co_await state_->off_loop([this] { return state_->destroy_now(id_); });
  }

 private:
  [[nodiscard]] Result<void> broken() const {
    return fail(ErrorKind::unavailable, {"custody.write-failed", {{"artefact", id_.value}}});
  }

  Result<void> take(std::span<const std::uint8_t> bytes) {
    broken_ = true;  // until all went well
    sha_.update(bytes);
    taken_ += bytes.size();
    while (!bytes.empty()) {
      // A full chunk is written once it is known not to be the last.
      if (plain_.size() == chunk_bytes) {
        if (auto written = write_chunk(false); !written) return written;
      }
      const auto piece = bytes.first(std::min(bytes.size(), chunk_bytes - plain_.size()));
      plain_.insert(plain_.end(), piece.begin(), piece.end());
      bytes = bytes.subspan(piece.size());
    }
    broken_ = false;
    return {};
  }

  // No index is ever sealed twice under one key, whatever fails: a writer that broke stays broken,
  // and an artefact that is begun anew has a new key.
  Result<void> write_chunk(bool last) {
    const auto out = std::span(sealed_).first(plain_.size() + tag_bytes);
    aead_.seal(numbered_nonce(next_), chunk_aad(id_, next_, last), plain_, out);
    if (auto written = file_->write_at(chunk_offset(next_), out); !written) return written;
    ++next_;
    plain_.clear();
    return {};
  }

  Result<Sealed> seal() {
    broken_ = true;
    if (auto written = write_chunk(true); !written) return fail(std::move(written));
    if (auto synced = file_->sync(); !synced) return fail(std::move(synced));
    const std::string part = blob_name(id_, part_suffix);
    auto renamed = state_->blobs.rename(part, blob_name(id_, sealed_suffix));
    if (!renamed) return fail(std::move(renamed));
    return Sealed{digest_text(sha_.finish()), taken_};
  }

  std::shared_ptr<Custody::State> state_;
  const ArtefactId id_;
  Aead aead_;
  std::unique_ptr<BlobFile> file_;
  Bytes plain_;
  Bytes sealed_;
  Sha256 sha_;
  std::uint64_t next_ = 0;
  std::uint64_t taken_ = 0;
  bool broken_ = false;
};

// --- reading ---

class Reader final : public BodyReader {
 public:
  Reader(
      std::shared_ptr<Custody::State> state,
      ArtefactId id,
      std::shared_ptr<Opened> opened,
      std::unique_ptr<BlobFile> file,
      BlobShape shape,
      std::uint64_t offset
  )
      : state_(std::move(state)),
        id_(std::move(id)),
        opened_(std::move(opened)),
        file_(std::move(file)),
        shape_(shape),
        at_(offset) {}

  ~Reader() override {
    OPENSSL_cleanse(plain_.data(), plain_.size());
    const std::lock_guard guard(state_->mutex);
    const auto [begin, end] = state_->opened.equal_range(id_.value);
    for (auto it = begin; it != end; ++it) {
      if (it->second.lock() != opened_) continue;
      state_->opened.erase(it);
      break;
    }
  }

  awaitable<Result<std::size_t>> read(std::span<std::uint8_t> out) override {
    if (at_ >= shape_.plain || out.empty()) co_return std::size_t{0};
    // What is decrypted already is handed out without a wait: a small artefact after its opening.
    if (loaded_ == at_ / chunk_bytes) {
      const auto within = static_cast<std::size_t>(at_ % chunk_bytes);
      co_return fill(out.first(std::min(out.size(), plain_.size() - within)));
    }
    co_return co_await state_->off_loop([this, out] { return fill(out); });
  }

  Result<void> check_header() {
    std::array<std::uint8_t, header_bytes> header{};
    const auto n = file_->read_at(0, header);
    if (!n) return tl::unexpected(n.error());
    if (*n != header.size() || !is_blob_header(header)) return damaged(id_, 0);
    return {};
  }

  // The length is believed once the chunk that says "last" has proved to be it.
  Result<void> check_end() { return load(shape_.chunks - 1); }

 private:
  Result<std::size_t> fill(std::span<std::uint8_t> out) {
    std::size_t done = 0;
    while (done < out.size() && at_ < shape_.plain) {
      if (auto loaded = load(at_ / chunk_bytes); !loaded) return fail(std::move(loaded));
      const auto within = static_cast<std::size_t>(at_ % chunk_bytes);
      const std::size_t n = std::min(out.size() - done, plain_.size() - within);
      std::memcpy(out.data() + done, plain_.data() + within, n);
      done += n;
      at_ += n;
    }
    return done;
  }

  Result<void> load(std::uint64_t index) {
    const std::lock_guard guard(opened_->mutex);
    if (!opened_->aead) return destroyed(id_);
    if (loaded_ == index) return {};
    loaded_.reset();
    const std::size_t size = shape_.plain_of(index);
    sealed_.resize(size + tag_bytes);
    const auto n = file_->read_at(chunk_offset(index), sealed_);
    if (!n) return tl::unexpected(n.error());
    plain_.resize(size);
    const Bytes aad = chunk_aad(id_, index, index + 1 == shape_.chunks);
    if (*n != sealed_.size() || !opened_->aead->open(numbered_nonce(index), aad, sealed_, plain_)) {
      return damaged(id_, index);
    }
    loaded_ = index;
    return {};
  }

  std::shared_ptr<Custody::State> state_;
  const ArtefactId id_;
  std::shared_ptr<Opened> opened_;
  std::unique_ptr<BlobFile> file_;
  const BlobShape shape_;
  std::uint64_t at_;
  std::optional<std::uint64_t> loaded_;  // the chunk that plain_ holds
  Bytes plain_;
  Bytes sealed_;
};

Result<OpenedArtefact> open_now(
    const std::shared_ptr<Custody::State>& state,
    const ArtefactId& id,
    std::string_view suffix,
    std::uint64_t offset,
    bool is_use = true
) {
  if (!is_valid_id(id)) return unknown(id);
  auto key = state->read_key(id);
  if (!key) return fail(std::move(key));
  auto opened = std::make_shared<Opened>(*key, is_use);
  {
    // Registered before the bytes are looked for: a destruction from here on reaches the reader.
    const std::lock_guard guard(state->mutex);
    state->opened.emplace(id.value, opened);
  }
  auto file = state->blobs.open(blob_name(id, suffix));
  Result<std::uint64_t> size = file ? (*file)->size() : tl::unexpected(file.error());
  const auto shape = size ? blob_shape(*size) : std::nullopt;
  auto reader = std::make_unique<Reader>(
      state, id, opened, file ? std::move(*file) : nullptr, shape.value_or(BlobShape{}), offset
  );
  if (!size) {
    if (size.error().kind == ErrorKind::not_found) return unknown(id);
    return fail(std::move(size));
  }
  if (!shape) return damaged(id, 0);
  if (auto whole = reader->check_header(); !whole) return fail(std::move(whole));
  if (auto end = reader->check_end(); !end) return fail(std::move(end));
  OpenedArtefact out;
  out.length = shape->plain;
  out.body = std::move(reader);
  return out;
}

}  // namespace

// --- the face ---

Custody::Custody(BlobStore& blobs, KeySource& keys, Worker& worker, Random& random)
    : state_(std::make_shared<State>(blobs, keys, worker, random)) {}
Custody::~Custody() = default;

awaitable<Result<Recovered>> Custody::recover() {
  auto state = state_;
  co_return co_await state->off_loop([state] { return state->recover_now(); });
}

awaitable<Result<std::unique_ptr<ArtefactWriter>>> Custody::begin(ArtefactId id) {
  if (!is_valid_id(id)) {
    co_return fail(ErrorKind::invalid, Message{"custody.bad-id", {{"artefact", id.value}}});
  }
  auto state = state_;
  SecretKey key;
  Nonce nonce{};
  state->random.fill(key.bytes);
  state->random.fill(nonce);
  auto job = [&state, &id, &key, &nonce] { return state->start_blob(id, key, nonce); };
  auto file = co_await state->off_loop(job);
  if (!file) co_return fail(std::move(file));
  std::unique_ptr<ArtefactWriter> writer =
      std::make_unique<Writer>(state, id, key, std::move(*file));
  co_return writer;
}

awaitable<Result<void>> Custody::publish(ArtefactId id) {
  if (!is_valid_id(id)) co_return unknown(id);
  auto state = state_;
  auto job = [&state, &id]() -> Result<void> {
    const auto key = state->blobs.exists(key_name(id));
    if (!key) return tl::unexpected(key.error());
    if (!*key) return unknown(id);
    const auto already = state->blobs.exists(blob_name(id, held_suffix));
    if (!already) return tl::unexpected(already.error());
    if (*already) return {};
    const std::string sealed = blob_name(id, sealed_suffix);
    auto renamed = state->blobs.rename(sealed, blob_name(id, held_suffix));
    if (!renamed && renamed.error().kind == ErrorKind::not_found) return unknown(id);
    return renamed;
  };
  co_return co_await state->off_loop(job);
}

awaitable<Result<void>> Custody::destroy(ArtefactId id) {
  if (!is_valid_id(id)) co_return unknown(id);
  auto state = state_;
  auto job = [&state, &id] { return state->destroy_now(id); };
  co_return co_await state->off_loop(job);
}

awaitable<Result<OpenedArtefact>> Custody::open(ArtefactId id, std::uint64_t offset) {
  auto state = state_;
  auto job = [&state, &id, offset] { return open_now(state, id, held_suffix, offset); };
  co_return co_await state->off_loop(job);
}

awaitable<Result<OpenedArtefact>> Custody::open_to_check(ArtefactId id) {
  auto state = state_;
  auto job = [&state, &id] { return open_now(state, id, held_suffix, 0, false); };
  co_return co_await state->off_loop(job);
}

awaitable<Result<OpenedArtefact>> Custody::open_sealed(ArtefactId id) {
  auto state = state_;
  auto job = [&state, &id] { return open_now(state, id, sealed_suffix, 0); };
  co_return co_await state->off_loop(job);
}

awaitable<Result<bool>> Custody::key_exists(ArtefactId id) {
  if (!is_valid_id(id)) co_return false;
  auto state = state_;
  auto job = [&state, &id] { return state->blobs.exists(key_name(id)); };
  co_return co_await state->off_loop(job);
}

awaitable<Result<bool>> Custody::held(ArtefactId id) {
  if (!is_valid_id(id)) co_return false;
  auto state = state_;
  auto job = [&state, &id]() -> Result<bool> {
    auto key = state->blobs.exists(key_name(id));
    if (!key || !*key) return key;
    return state->blobs.exists(blob_name(id, held_suffix));
  };
  co_return co_await state->off_loop(job);
}

awaitable<Result<std::vector<ArtefactId>>> Custody::list() {
  auto state = state_;
  auto job = [&state]() -> Result<std::vector<ArtefactId>> {
    const auto names = state->blobs.list("blobs");
    if (!names) return tl::unexpected(names.error());
    std::vector<ArtefactId> ids;
    for (const std::string& name : *names) {
      if (auto id = stem(name, held_suffix)) ids.emplace_back(std::move(*id));
    }
    return ids;
  };
  co_return co_await state->off_loop(job);
}

bool Custody::in_use(const ArtefactId& id) const {
  const std::lock_guard guard(state_->mutex);
  const auto [begin, end] = state_->opened.equal_range(id.value);
  return std::any_of(begin, end, [](const auto& entry) {
    const auto one = entry.second.lock();
    return one && one->is_use;
  });
}

Result<std::vector<std::string>> Custody::wrapped() {
  const std::lock_guard guard(state_->key_files);
  auto names = state_->blobs.list("keys");
  if (names) std::erase_if(*names, [](const auto& name) { return !name.ends_with(key_suffix); });
  return names;
}

Result<Rewrapped> Custody::rewrap(const std::string& name) {
  const ArtefactId id(stem(name, key_suffix).value_or(""));
  if (!is_valid_id(id)) return Rewrapped::unopened;
  const std::lock_guard guard(state_->key_files);
  return rewrap_file(state_->blobs, key_name(id), id, artefact_key, state_->keys, state_->random);
}

}  // namespace tally::custody
