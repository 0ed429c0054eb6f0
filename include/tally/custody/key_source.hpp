// Where wrapping keys come from: the keys under which the keys of everything held lie. Apart from
// the data, so that a copy of the data folder alone opens nothing. A key ring in a file today
// (key_ring.hpp); a hardware module or a key service is another implementation.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "tally/core/result.hpp"
#include "tally/core/secret.hpp"

namespace tally::custody {

using SecretKey = FixedSecret<32>;

// Names a wrapping key without telling it: the first 16 bytes of
// SHA-256("tally-custody/wrapping-key/1" ‖ key). What lies under a key says its name.
using KeyName = std::array<std::uint8_t, 16>;
KeyName name_of(const SecretKey& key);
std::string to_text(const KeyName& name);  // 32 hex digits

class KeySource {
 public:
  virtual ~KeySource() = default;
  // Under which whatever is new is wrapped. Any thread.
  virtual Result<SecretKey> current() = 0;
  // To open what lies under the key of this name. Errors: not_found (custody.no-such-key {key}):
  // it was destroyed, or never was here. Any thread.
  virtual Result<SecretKey> find(const KeyName& name) = 0;
};

}  // namespace tally::custody
