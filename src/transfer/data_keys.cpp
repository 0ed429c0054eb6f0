#include "tally/transfer/data_keys.hpp"

#include "tally/core/digest.hpp"

namespace tally::transfer {

std::string key_commitment(const DataKey& key, const OpenedContent& opens) {
  Sha256 sha;
  sha.update("tally/key-commitment/1\n");
  sha.update(key.bytes);
  sha.update(opens.content + "\n" + std::to_string(opens.bytes));
  return digest_text(sha.finish());
}

}  // namespace tally::transfer
