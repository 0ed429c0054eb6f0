#include "sim/disk.hpp"

#include <algorithm>

namespace tally::sim {

struct SimDisk::Inode {
  std::vector<std::uint8_t> cached;
  std::vector<std::uint8_t> durable;
  std::set<std::uint64_t> dirty;  // numbers of pages that differ or may differ
  bool size_is_dirty = false;
};

const char* name_of(DiskFault fault) {
  switch (fault) {
    case DiskFault::io:
      return "input/output error";
    case DiskFault::no_space:
      return "no space left";
    case DiskFault::exists:
      return "exists";
    case DiskFault::missing:
      return "missing";
    case DiskFault::dead:
      return "power is off";
  }
  return "?";
}

namespace {

tl::unexpected<DiskFault> broken(DiskFault fault) {
  return tl::unexpected<DiskFault>(fault);
}

// Copies [from, to) of `source` over `target`, growing it with zeros.
void copy_range(
    std::vector<std::uint8_t>& target,
    const std::vector<std::uint8_t>& source,
    std::uint64_t from,
    std::uint64_t to
) {
  to = std::min<std::uint64_t>(to, source.size());
  if (from >= to) return;
  if (target.size() < to) target.resize(to, 0);
  std::copy(
      source.begin() + static_cast<std::ptrdiff_t>(from),
      source.begin() + static_cast<std::ptrdiff_t>(to),
      target.begin() + static_cast<std::ptrdiff_t>(from)
  );
}

}  // namespace

bool SimDisk::alive(const File& file) const {
  return on_ && file.inode != nullptr && file.power == power_;
}

bool SimDisk::strikes(Fault& fault) {
  if (fault.at == 0) return false;
  if (fault.at > 1) {
    --fault.at;
    return false;
  }
  if (!fault.stay) fault.at = 0;
  return true;
}

DiskResult<SimDisk::File> SimDisk::open(const std::string& path) {
  if (!on_) return broken(DiskFault::dead);
  const auto found = names_.find(path);
  if (found == names_.end()) return broken(DiskFault::missing);
  return File{found->second, power_};
}

DiskResult<SimDisk::File> SimDisk::create(const std::string& path) {
  if (!on_) return broken(DiskFault::dead);
  if (names_.contains(path)) return broken(DiskFault::exists);
  const auto inode = std::make_shared<Inode>();
  names_[path] = inode;
  unsynced_names_.push_back({path, inode});
  return File{inode, power_};
}

DiskResult<std::uint64_t> SimDisk::size(const File& file) {
  if (!alive(file)) return broken(DiskFault::dead);
  return file.inode->cached.size();
}

DiskResult<std::size_t> SimDisk::read_at(
    const File& file, std::uint64_t offset, std::span<std::uint8_t> out
) {
  if (!alive(file)) return broken(DiskFault::dead);
  const auto& bytes = file.inode->cached;
  if (offset >= bytes.size()) return std::size_t{0};
  const std::size_t count = std::min<std::size_t>(out.size(), bytes.size() - offset);
  std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset), count, out.begin());
  return count;
}

DiskResult<void> SimDisk::write_at(
    const File& file, std::uint64_t offset, std::span<const std::uint8_t> bytes
) {
  if (!alive(file)) return broken(DiskFault::dead);
  ++writes_;
  std::optional<DiskFault> fault;
  if (strikes(write_fault_)) {
    fault = DiskFault::io;
    bytes = bytes.first(chance_.below(bytes.size() + 1));
  }
  Inode& inode = *file.inode;
  const std::uint64_t end = offset + bytes.size();
  const std::uint64_t grows = end > inode.cached.size() ? end - inode.cached.size() : 0;
  if (free_ && grows > *free_) {
    fault = DiskFault::no_space;
    const std::uint64_t too_much = grows - *free_;
    bytes = bytes.first(too_much >= bytes.size() ? 0 : bytes.size() - too_much);
  }
  if (!bytes.empty()) {
    const std::uint64_t reached = offset + bytes.size();
    if (reached > inode.cached.size()) {
      if (free_) *free_ -= std::min(*free_, reached - inode.cached.size());
      inode.cached.resize(reached, 0);
      inode.size_is_dirty = true;
    }
    std::copy(
        bytes.begin(), bytes.end(), inode.cached.begin() + static_cast<std::ptrdiff_t>(offset)
    );
    for (std::uint64_t at = offset / page; at <= (reached - 1) / page; ++at) inode.dirty.insert(at);
  }
  if (fault) return broken(*fault);
  return {};
}

DiskResult<void> SimDisk::truncate(const File& file, std::uint64_t size) {
  if (!alive(file)) return broken(DiskFault::dead);
  Inode& inode = *file.inode;
  const std::uint64_t before = inode.cached.size();
  if (size > before) {
    if (free_ && size - before > *free_) return broken(DiskFault::no_space);
    if (free_) *free_ -= size - before;
  } else if (free_) {
    *free_ += before - size;
  }
  inode.cached.resize(size, 0);
  inode.size_is_dirty = true;
  return {};
}

DiskResult<void> SimDisk::sync(const File& file) {
  if (!alive(file)) return broken(DiskFault::dead);
  ++syncs_;
  Inode& inode = *file.inode;
  if (strikes(sync_fault_)) {
    // As Linux does: some pages went out, the others are marked clean all the same.
    for (const std::uint64_t at : inode.dirty) {
      if (chance_.happens(0.5)) copy_range(inode.durable, inode.cached, at * page, (at + 1) * page);
    }
    inode.dirty.clear();
    return broken(DiskFault::io);
  }
  for (const std::uint64_t at : inode.dirty) {
    copy_range(inode.durable, inode.cached, at * page, (at + 1) * page);
  }
  inode.durable.resize(inode.cached.size(), 0);
  inode.dirty.clear();
  inode.size_is_dirty = false;
  return {};
}

void SimDisk::drop_cache(const File& file) {
  if (!alive(file)) return;
  Inode& inode = *file.inode;
  for (std::uint64_t at = 0; at * page < inode.cached.size(); ++at) {
    if (inode.dirty.contains(at)) continue;
    const std::uint64_t end = std::min<std::uint64_t>((at + 1) * page, inode.cached.size());
    for (std::uint64_t i = at * page; i < end; ++i) {
      inode.cached[i] = i < inode.durable.size() ? inode.durable[i] : 0;
    }
  }
}

void SimDisk::apply(NameChange change) {
  if (change.inode) {
    names_[change.path] = change.inode;
  } else {
    names_.erase(change.path);
  }
  unsynced_names_.push_back(std::move(change));
}

DiskResult<void> SimDisk::rename(const std::string& from, const std::string& to) {
  if (!on_) return broken(DiskFault::dead);
  const auto found = names_.find(from);
  if (found == names_.end()) return broken(DiskFault::missing);
  const auto inode = found->second;
  apply({to, inode, true});
  apply({from, nullptr});
  return {};
}

DiskResult<void> SimDisk::exchange(const std::string& one, const std::string& other) {
  if (!on_) return broken(DiskFault::dead);
  const auto first = names_.find(one);
  const auto second = names_.find(other);
  if (first == names_.end() || second == names_.end()) return broken(DiskFault::missing);
  const auto of_one = first->second;
  const auto of_other = second->second;
  apply({one, of_other, true});
  apply({other, of_one});
  return {};
}

DiskResult<void> SimDisk::remove(const std::string& path) {
  if (!on_) return broken(DiskFault::dead);
  const auto found = names_.find(path);
  if (found == names_.end()) return broken(DiskFault::missing);
  if (free_) *free_ += found->second->cached.size();
  apply({path, nullptr});
  return {};
}

DiskResult<void> SimDisk::sync_names() {
  if (!on_) return broken(DiskFault::dead);
  ++syncs_;
  if (strikes(sync_fault_)) return broken(DiskFault::io);
  durable_names_ = names_;
  unsynced_names_.clear();
  return {};
}

std::vector<std::string> SimDisk::list(const std::string& folder) const {
  const std::string prefix = folder + "/";
  std::vector<std::string> found;
  for (const auto& [path, inode] : names_) {
    if (!path.starts_with(prefix)) continue;
    const std::string name = path.substr(prefix.size());
    if (name.find('/') == name.npos) found.push_back(name);
  }
  return found;
}

DiskResult<std::uint64_t> SimDisk::free_bytes() {
  if (!on_) return broken(DiskFault::dead);
  return free_.value_or(std::uint64_t{1} << 40);
}

// What the platter holds of one file once the power has gone.
void SimDisk::settle(Inode& inode) {
  const std::uint64_t old_size = inode.durable.size();
  std::uint64_t new_size = old_size;
  if (inode.size_is_dirty) {
    const std::uint64_t other = inode.cached.size();
    const std::uint64_t least = std::min(old_size, other);
    const std::uint64_t most = std::max(old_size, other);
    switch (chance_.below(3)) {
      case 0:
        new_size = old_size;
        break;
      case 1:
        new_size = other;
        break;
      default:
        new_size = std::min(most, least + chance_.below((most - least) / page + 1) * page);
    }
  }
  for (const std::uint64_t at : inode.dirty) {
    if (chance_.happens(0.5)) continue;
    std::uint64_t end = (at + 1) * page;
    if (chance_.happens(0.25)) end = at * page + chance_.below(page / sector) * sector;
    copy_range(inode.durable, inode.cached, at * page, end);
  }
  inode.durable.resize(new_size, 0);
  inode.cached = inode.durable;
  inode.dirty.clear();
  inode.size_is_dirty = false;
}

void SimDisk::cut_power() {
  if (!on_) return;
  on_ = false;
  std::uint64_t kept = chance_.below(unsynced_names_.size() + 1);
  for (std::size_t i = 0; i < unsynced_names_.size() && kept > 0; ++i, --kept) {
    const NameChange& change = unsynced_names_[i];
    if (change.inode) {
      durable_names_[change.path] = change.inode;
    } else {
      durable_names_.erase(change.path);
    }
    if (change.with_next && kept == 1) ++kept;  // a rename is one change, an exchange too
  }
  unsynced_names_.clear();
  names_ = durable_names_;
  std::set<Inode*> settled;
  for (const auto& [path, inode] : names_) {
    if (settled.insert(inode.get()).second) settle(*inode);
  }
}

void SimDisk::power_on() {
  if (on_) return;
  on_ = true;
  ++power_;
  locks_.clear();
  mend();
}

void SimDisk::fail_write(std::uint64_t nth, bool stay) {
  write_fault_ = {nth, stay};
}
void SimDisk::fail_sync(std::uint64_t nth, bool stay) {
  sync_fault_ = {nth, stay};
}

std::optional<std::vector<std::uint8_t>> SimDisk::contents(const std::string& path) const {
  const auto found = names_.find(path);
  if (found == names_.end()) return std::nullopt;
  return found->second->cached;
}

void SimDisk::overwrite(const std::string& path, std::vector<std::uint8_t> bytes) {
  auto& inode = names_[path];
  if (!inode) inode = std::make_shared<Inode>();
  durable_names_[path] = inode;
  inode->cached = inode->durable = std::move(bytes);
  inode->dirty.clear();
  inode->size_is_dirty = false;
}

}  // namespace tally::sim
