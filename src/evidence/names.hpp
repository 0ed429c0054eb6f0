// The names of the files in a bundle.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tally::evidence {

inline constexpr std::string_view policy_file = "policy.txt";
inline constexpr std::string_view heads_proof_file = "heads/agreement.heads";
inline constexpr std::string_view agreement_file = "contract/agreement.json";
inline constexpr std::string_view prov_file = "prov.jsonld";
inline constexpr std::string_view guide_file = "VERIFY.txt";
inline constexpr std::string_view theirs_file = "witness/theirs.note";

// Of the partner's witness key in policy.txt.
inline constexpr std::string_view partner_name = "partner";

// "records/00000000000000000007.json": twenty digits, so that names sort as numbers do.
std::string numbered(std::string_view folder, std::uint64_t number, std::string_view ending);
// The number of such a name; nullopt: it is of another form.
std::optional<std::uint64_t> number_of(
    std::string_view name, std::string_view folder, std::string_view ending
);

inline std::string record_file(std::uint64_t seq) {
  return numbered("records/", seq, ".json");
}
inline std::string proof_file(std::uint64_t seq) {
  return numbered("proofs/", seq, ".tlog-proof");
}
// A checkpoint of an earlier size that witnesses cosigned, and that the bundle's one continues it.
inline std::string cosigned_file(std::uint64_t size) {
  return numbered("witness/ours-", size, ".note");
}
inline std::string continued_file(std::uint64_t size) {
  return numbered("witness/ours-", size, ".continued");
}
inline std::string receipt_file(const std::string& hex) {
  return "receipts/" + hex + ".note";
}
inline std::string note_file(const std::string& hex) {
  return "notes/" + hex + ".note";
}

// Whether the `content` of a record of this type is the digest of a signed note.
constexpr bool names_a_note(std::string_view type) {
  return type == "duty.confirmed" || type == "duty.rejected" || type == "duty.withdrawn" ||
         type == "inform.held" || type == "inform.issued" || type == "statement.held" ||
         type == "statement.issued";
}

}  // namespace tally::evidence
