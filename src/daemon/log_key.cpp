#include "log_key.hpp"

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tally/core/descriptor.hpp"
#include "tally/identity/enrolment.hpp"

#include "keys.hpp"

namespace tally::daemon {

namespace {

namespace fs = std::filesystem;

fs::path next_of(const fs::path& file) {
  return file.string() + ".new";
}
fs::path former_of(const fs::path& file) {
  return file.string() + ".old";
}

tl::unexpected<Error> failed(const fs::path& file, std::string action) {
  return fail(
      ErrorKind::unavailable,
      {"daemon.log-key-file",
       {{"file", file.string()}, {"action", std::move(action)}, {"reason", std::strerror(errno)}}}
  );
}

Result<void> sync_folder(const fs::path& file) {
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  const Descriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.get() < 0 || ::fsync(opened.get()) != 0) return failed(folder, "sync");
  return {};
}

bool write_all(int to, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(to, bytes.data(), bytes.size());
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

// What a disk does with a place that is written again is its own business; a file system that
// copies on writing keeps the old one for a while.
Result<void> erase(const fs::path& file) {
  {
    const Descriptor opened(::open(file.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
    if (opened.get() < 0) return errno == ENOENT ? Result<void>{} : failed(file, "open");
    struct stat facts {};
    if (::fstat(opened.get(), &facts) != 0) return failed(file, "open");
    if (!write_all(opened.get(), std::string(static_cast<std::size_t>(facts.st_size), '\0')) ||
        ::fsync(opened.get()) != 0) {
      return failed(file, "overwrite");
    }
  }
  if (::unlink(file.c_str()) != 0) return failed(file, "remove");
  return sync_folder(file);
}

}  // namespace

Result<LogSigner> load_log_signer(const fs::path& file, const std::string& origin) {
  const auto pem = read_key_file(file);
  if (!pem) return tl::unexpected(pem.error());
  auto secret = identity::ed25519_seed(*pem);
  const auto public_key = secret ? audit::ed25519_public_key(as_bytes(*secret)) : Result<Bytes>();
  if (!secret || !public_key) {
    return fail(ErrorKind::invalid, {"daemon.log-key-malformed", {{"file", file.string()}}});
  }
  LogSigner out;
  out.key = audit::make_verifier_key(origin, *public_key);
  // One copy of the key, however often the signer is handed on.
  out.signer = [key = std::make_shared<const Secret>(*std::move(secret))](
                   std::span<const std::uint8_t> bytes
               ) { return audit::ed25519_sign(*key, bytes); };
  return out;
}

Result<LogSigner> make_next_log_key(const fs::path& file, const std::string& origin) {
  std::error_code ignored;
  if (fs::exists(former_of(file), ignored)) {
    return fail(
        ErrorKind::conflict, {"daemon.log-key-overlap", {{"file", former_of(file).string()}}}
    );
  }
  const auto pem = identity::generate_key_pem(identity::KeyKind::ed25519);
  if (!pem) return tl::unexpected(pem.error());
  const fs::path next = next_of(file);
  if (auto gone = erase(next); !gone) return fail(std::move(gone));
  {
    const Descriptor opened(::open(next.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (opened.get() < 0) return failed(next, "create");
    if (!write_all(opened.get(), *pem) || ::fsync(opened.get()) != 0) return failed(next, "write");
  }
  if (auto synced = sync_folder(next); !synced) return fail(std::move(synced));
  return load_log_signer(next, origin);
}

Result<void> drop_next_log_key(const fs::path& file) {
  return erase(next_of(file));
}

Result<void> take_next_log_key(const fs::path& file) {
  const fs::path former = former_of(file);
  if (::link(file.c_str(), former.c_str()) != 0 && errno != EEXIST) return failed(former, "link");
  if (auto synced = sync_folder(file); !synced) return synced;
  if (::rename(next_of(file).c_str(), file.c_str()) != 0) return failed(file, "rename");
  return sync_folder(file);
}

Result<void> erase_former_log_key(const fs::path& file) {
  return erase(former_of(file));
}

Result<void> settle_log_key(const fs::path& file, const audit::LogKeys& keys) {
  const audit::VerifierKey& current = keys.current();
  auto here = load_log_signer(file, current.name);
  if (!here) return fail(std::move(here));
  std::error_code ignored;
  const bool waiting = fs::exists(next_of(file), ignored);
  if (here->key == current) {
    // What is left of a rotation belongs to the log before, when this one has had one key alone.
    if (keys.entries().size() == 1) {
      if (auto erased = erase_former_log_key(file); !erased) return erased;
    }
    return waiting ? drop_next_log_key(file) : Result<void>{};
  }
  const auto next = waiting ? load_log_signer(next_of(file), current.name) : here;
  if (next && next->key == current) return take_next_log_key(file);
  return fail(
      ErrorKind::conflict,
      {"daemon.log-key-other", {{"file", file.string()}, {"expected", current.text()}}}
  );
}

Result<std::optional<LogSigner>> former_log_key(const fs::path& file, const audit::LogKeys& keys) {
  const auto& entries = keys.entries();
  std::error_code ignored;
  if (entries.size() < 2 || !fs::exists(former_of(file), ignored)) return std::nullopt;
  auto former = load_log_signer(former_of(file), keys.current().name);
  if (!former) return fail(std::move(former));
  if (former->key != entries[entries.size() - 2].key) return std::nullopt;
  return *std::move(former);
}

}  // namespace tally::daemon
