#include "sealing.hpp"

#include <algorithm>
#include <utility>

namespace tally::custody {

namespace {

constexpr std::string_view blob_magic = "TALLYCU1";

void append(Bytes& out, std::string_view text) {
  out.insert(out.end(), text.begin(), text.end());
}

template <class Integer>
void append_big_endian(Bytes& out, Integer value) {
  for (int shift = static_cast<int>(sizeof value) * 8 - 8; shift >= 0; shift -= 8) {
    out.push_back(static_cast<std::uint8_t>(value >> shift));
  }
}

Bytes wrapped_aad(const WrappedKind& kind, const KeyName& name, const ArtefactId& id) {
  Bytes aad;
  append(aad, kind.magic);
  aad.insert(aad.end(), name.begin(), name.end());
  append(aad, id.value);
  return aad;
}

std::size_t file_bytes(const WrappedKind& kind) {
  return kind.magic.size() + sizeof(KeyName) + sizeof(Nonce) + kind.secret_bytes + tag_bytes;
}

}  // namespace

Bytes wrap(
    const WrappedKind& kind,
    std::span<const std::uint8_t> secret,
    const SecretKey& wrapping,
    const ArtefactId& id,
    const Nonce& nonce
) {
  const KeyName name = name_of(wrapping);
  Bytes file;
  file.reserve(file_bytes(kind));
  append(file, kind.magic);
  file.insert(file.end(), name.begin(), name.end());
  file.insert(file.end(), nonce.begin(), nonce.end());
  const std::size_t at = file.size();
  file.resize(at + secret.size() + tag_bytes);
  Aead(wrapping.bytes)
      .seal(nonce, wrapped_aad(kind, name, id), secret, std::span(file).subspan(at));
  return file;
}

bool is_wrapped(const WrappedKind& kind, std::span<const std::uint8_t> file) {
  const auto magic = as_bytes(kind.magic);
  return file.size() == file_bytes(kind) && std::equal(magic.begin(), magic.end(), file.begin());
}

std::optional<KeyName> wrapped_under(const WrappedKind& kind, std::span<const std::uint8_t> file) {
  if (!is_wrapped(kind, file)) return std::nullopt;
  KeyName name{};
  std::copy_n(
      file.begin() + static_cast<std::ptrdiff_t>(kind.magic.size()), name.size(), name.begin()
  );
  return name;
}

Result<void> unwrap(
    const WrappedKind& kind,
    std::span<const std::uint8_t> file,
    KeySource& keys,
    const ArtefactId& id,
    std::span<std::uint8_t> secret
) {
  const auto name = wrapped_under(kind, file);
  if (!name) {
    return fail(ErrorKind::internal, {"custody.damaged", {{"artefact", id.value}, {"at", "key"}}});
  }
  const auto wrapping = keys.find(*name);
  if (wrapping) return unwrap(kind, file, *wrapping, id, secret);
  if (wrapping.error().kind != ErrorKind::not_found) return tl::unexpected(wrapping.error());
  return fail(
      ErrorKind::invalid, {"custody.wrong-key", {{"artefact", id.value}, {"key", to_text(*name)}}}
  );
}

Result<void> unwrap(
    const WrappedKind& kind,
    std::span<const std::uint8_t> file,
    const SecretKey& wrapping,
    const ArtefactId& id,
    std::span<std::uint8_t> secret
) {
  const auto damaged = [&] {
    return fail(ErrorKind::internal, {"custody.damaged", {{"artefact", id.value}, {"at", "key"}}});
  };
  const auto under = wrapped_under(kind, file);
  if (!under) return damaged();
  const KeyName name = name_of(wrapping);
  if (*under != name) {
    return fail(
        ErrorKind::invalid,
        {"custody.wrong-key", {{"artefact", id.value}, {"key", to_text(*under)}}}
    );
  }
  const auto rest = file.subspan(kind.magic.size() + name.size());
  Nonce nonce{};
  std::copy_n(rest.begin(), nonce.size(), nonce.begin());
  Aead aead(wrapping.bytes);
  const Bytes aad = wrapped_aad(kind, name, id);
  if (!aead.open(nonce, aad, rest.subspan(nonce.size()), secret)) return damaged();
  return {};
}

Bytes wrap_key(
    const SecretKey& key, const SecretKey& wrapping, const ArtefactId& id, const Nonce& nonce
) {
  return wrap(artefact_key, key.bytes, wrapping, id, nonce);
}

bool is_wrapped_key(std::span<const std::uint8_t> file) {
  return is_wrapped(artefact_key, file);
}

Result<SecretKey> unwrap_key(
    std::span<const std::uint8_t> file, KeySource& keys, const ArtefactId& id
) {
  SecretKey key;
  auto opened = unwrap(artefact_key, file, keys, id, key.bytes);
  if (!opened) return fail(std::move(opened));
  return key;
}

Result<SecretKey> unwrap_key(
    std::span<const std::uint8_t> file, const SecretKey& wrapping, const ArtefactId& id
) {
  SecretKey key;
  auto opened = unwrap(artefact_key, file, wrapping, id, key.bytes);
  if (!opened) return fail(std::move(opened));
  return key;
}

std::array<std::uint8_t, header_bytes> blob_header() {
  Bytes header;
  append(header, blob_magic);
  append_big_endian(header, static_cast<std::uint32_t>(chunk_bytes));
  append_big_endian(header, std::uint32_t{0});
  std::array<std::uint8_t, header_bytes> out{};
  std::copy(header.begin(), header.end(), out.begin());
  return out;
}

bool is_blob_header(std::span<const std::uint8_t> bytes) {
  const auto wanted = blob_header();
  return std::equal(bytes.begin(), bytes.end(), wanted.begin(), wanted.end());
}

Bytes chunk_aad(const ArtefactId& id, std::uint64_t index, bool last) {
  Bytes aad;
  const auto header = blob_header();
  aad.insert(aad.end(), header.begin(), header.end());
  append_big_endian(aad, index);
  aad.push_back(last ? 1 : 0);
  append(aad, id.value);
  return aad;
}

std::size_t BlobShape::plain_of(std::uint64_t index) const {
  return static_cast<std::size_t>(std::min<std::uint64_t>(chunk_bytes, plain - index * chunk_bytes)
  );
}

std::optional<BlobShape> blob_shape(std::uint64_t size) {
  constexpr std::uint64_t sealed_chunk = chunk_bytes + tag_bytes;
  if (size < header_bytes + tag_bytes) return std::nullopt;
  const std::uint64_t body = size - header_bytes;
  const std::uint64_t chunks = (body + sealed_chunk - 1) / sealed_chunk;
  const std::uint64_t last = body - (chunks - 1) * sealed_chunk;
  // Only an artefact of no bytes has a last chunk of none.
  if (last < tag_bytes || (last == tag_bytes && chunks > 1)) return std::nullopt;
  return BlobShape{chunks, body - chunks * tag_bytes};
}

}  // namespace tally::custody
