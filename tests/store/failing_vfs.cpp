#include "failing_vfs.hpp"

#include <map>

#include <sqlite3.h>
#include <unistd.h>

namespace tally::testing {

namespace {

DiskFaults faults;
sqlite3_vfs* base = nullptr;
sqlite3_vfs failing;

// The methods of the real file with two replaced; the file object itself is the real one. The main
// file and the WAL have different ones.
struct Methods : sqlite3_io_methods {
  const sqlite3_io_methods* real = nullptr;
};
std::map<const sqlite3_io_methods*, Methods> methods;

const sqlite3_io_methods* real_of(sqlite3_file* file) {
  return static_cast<const Methods*>(file->pMethods)->real;
}

bool spent(std::atomic<long>& left) {
  if (left < 0) return false;
  if (left == 0) return true;
  --left;
  return false;
}

int write(sqlite3_file* file, const void* data, int size, sqlite3_int64 at) {
  const std::string& healing = faults.heal_when_missing;
  if (!healing.empty() && ::access(healing.c_str(), F_OK) != 0) faults.writes_left = -1;
  if (spent(faults.writes_left)) return faults.full ? SQLITE_FULL : SQLITE_IOERR_WRITE;
  return real_of(file)->xWrite(file, data, size, at);
}

int sync(sqlite3_file* file, int flags) {
  if (spent(faults.syncs_left)) return SQLITE_IOERR_FSYNC;
  ++faults.syncs;
  return real_of(file)->xSync(file, flags);
}

int open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out) {
  const int code = base->xOpen(base, name, file, flags, out);
  if (code != SQLITE_OK || file->pMethods == nullptr) return code;
  Methods& replaced = methods[file->pMethods];
  if (replaced.real == nullptr) {
    static_cast<sqlite3_io_methods&>(replaced) = *file->pMethods;
    replaced.real = file->pMethods;
    replaced.xWrite = write;
    replaced.xSync = sync;
  }
  file->pMethods = &replaced;
  return SQLITE_OK;
}

}  // namespace

DiskFaults& disk_faults() {
  if (base == nullptr) {
    base = sqlite3_vfs_find(nullptr);
    failing = *base;
    failing.zName = "tally-failing";
    failing.xOpen = open;
    sqlite3_vfs_register(&failing, 0);
  }
  return faults;
}

}  // namespace tally::testing
