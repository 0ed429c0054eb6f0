// One file with a wrapped secret gets a new wrapping.
#pragma once

#include <string>

#include "tally/core/clock.hpp"
#include "tally/custody/blob_store.hpp"
#include "tally/custody/wrapped_keys.hpp"

#include "sealing.hpp"

namespace tally::custody {

// What lies beside a key file while it is wrapped anew; of no use after a crash, whichever of the
// two it is: the owner's recovery overwrites and removes it.
inline constexpr std::string_view rewrap_suffix = ".rewrap";

// `name` is "keys/<file>". The caller keeps everybody else off the file.
Result<Rewrapped> rewrap_file(
    BlobStore& files,
    const std::string& name,
    const ArtefactId& id,
    const WrappedKind& kind,
    KeySource& keys,
    Random& random
);

}  // namespace tally::custody
