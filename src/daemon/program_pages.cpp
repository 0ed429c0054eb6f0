#include "program_pages.hpp"

#include <cstdint>
#include <fstream>
#include <string>

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

namespace tally::daemon {

namespace {

// Whether the loader has written into the code.
bool has_relocated_code(const dl_phdr_info& object) {
  for (int i = 0; i < object.dlpi_phnum; ++i) {
    if (object.dlpi_phdr[i].p_type != PT_DYNAMIC) continue;
    const auto at = object.dlpi_addr + object.dlpi_phdr[i].p_vaddr;
    for (const auto* entry = reinterpret_cast<const ElfW(Dyn)*>(at); entry->d_tag != DT_NULL;
         ++entry) {
      if (entry->d_tag == DT_TEXTREL) return true;
      if (entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_TEXTREL) != 0) return true;
    }
  }
  return false;
}

// A debugger writes its breakpoints into the code.
bool is_traced() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("TracerPid:")) return line.find_first_of("123456789") != line.npos;
  }
  return true;
}

// What is mapped from a file and never written, so that dropping it loses nothing. Relocated data
// is in a segment that is writable when it is loaded.
int give_back(dl_phdr_info* object, std::size_t, void*) {
  if (has_relocated_code(*object)) return 0;
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const auto& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    // Whole pages only: the last one of a segment may be the first of the next.
    const auto begin = (object->dlpi_addr + segment.p_vaddr + page - 1) / page * page;
    const auto end = (object->dlpi_addr + segment.p_vaddr + segment.p_filesz) / page * page;
    if (begin >= end) continue;
    // What cannot be given back stays, as it would have.
    madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  }
  return 0;
}

}  // namespace

void give_back_program_pages() {
  if (!is_traced()) dl_iterate_phdr(give_back, nullptr);
}

}  // namespace tally::daemon
