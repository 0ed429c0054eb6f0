#include "rewrap.hpp"

#include <array>
#include <utility>

namespace tally::custody {

namespace {

// The new one is whole and durable under another name before the two change places; the one before
// is overwritten, not merely forgotten.
Result<void> put_in_place(BlobStore& files, const std::string& name, const Bytes& wrapped) {
  const std::string beside = name + std::string(rewrap_suffix);
  if (auto cleared = files.shred(beside); !cleared) return cleared;
  {
    auto file = files.create(beside);
    if (!file) return fail(std::move(file));
    if (auto written = (*file)->write_at(0, wrapped); !written) return written;
    if (auto synced = (*file)->sync(); !synced) return synced;
  }
  if (auto changed = files.exchange(beside, name); !changed) return changed;
  return files.shred(beside);
}

}  // namespace

Result<Rewrapped> rewrap_file(
    BlobStore& files,
    const std::string& name,
    const ArtefactId& id,
    const WrappedKind& kind,
    KeySource& keys,
    Random& random
) {
  std::array<std::uint8_t, 256> bytes{};
  std::size_t size = 0;
  {
    auto file = files.open(name);
    if (!file && file.error().kind == ErrorKind::not_found) return Rewrapped::gone;
    if (!file && file.error().kind == ErrorKind::invalid) return Rewrapped::unopened;
    if (!file) return fail(std::move(file));
    const auto n = (*file)->read_at(0, bytes);
    if (!n) return tl::unexpected(n.error());
    size = *n;
  }
  const auto wrapped = std::span<const std::uint8_t>(bytes).first(size);
  const auto under = wrapped_under(kind, wrapped);
  if (!under) return Rewrapped::unopened;
  const auto current = keys.current();
  if (!current) return tl::unexpected(current.error());
  if (*under == name_of(*current)) return Rewrapped::already;
  Bytes secret(kind.secret_bytes);
  auto opened = unwrap(kind, wrapped, keys, id, secret);
  if (!opened) {
    if (opened.error().kind == ErrorKind::unavailable) return fail(std::move(opened));
    return Rewrapped::unopened;
  }
  Nonce nonce{};
  random.fill(nonce);
  const Bytes anew = wrap(kind, secret, *current, id, nonce);
  wipe(secret);
  if (auto placed = put_in_place(files, name, anew); !placed) return fail(std::move(placed));
  return Rewrapped::done;
}

}  // namespace tally::custody
