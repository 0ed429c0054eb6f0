// The table-driven CRC-32C, apart from `crc32c` so that a test can hold it against the hardware's.
#pragma once

#include <cstdint>
#include <span>

namespace tally {

std::uint32_t crc32c_portable(std::span<const std::uint8_t> bytes, std::uint32_t seed = 0);

}  // namespace tally
