#include "tally/api/use_receipt_routes.hpp"

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/api/peer_routes.hpp"
#include "tally/audit/use_receipt.hpp"
#include "tally/core/number.hpp"
#include "tally/negotiation/agreement.hpp"

namespace tally::api {

namespace {

using Parts = std::shared_ptr<const UseReceiptParts>;

HttpResponse absent(const Call& call) {
  return problem(404, {"api.unknown-use", {}}, call.lang);
}

// The bytes of a record. Errors: not_found, unavailable. Blocks.
Result<std::string> record_at(const audit::LogTree& tree, std::uint64_t seq) {
  const Error unknown{ErrorKind::not_found, {"api.unknown-use", {}}, {}};
  const std::uint64_t size = tree.size();
  if (seq >= size) return tl::unexpected(unknown);
  audit::Tile tile{true, 0, seq / audit::tile_width};
  tile.width = static_cast<unsigned>(
      std::min<std::uint64_t>(audit::tile_width, size - tile.index * audit::tile_width)
  );
  const auto bytes = tree.tile(tile);
  if (!bytes) return tl::unexpected(bytes.error());
  const std::string_view text(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  const auto entries = audit::decode_bundle(text, tile.width);
  if (!entries) return tl::unexpected(entries.error());
  return std::string((*entries)[seq % audit::tile_width]);
}

// The receipt, the record and the proof, under a checkpoint that covers all records. Blocks.
Result<std::string> prove(
    const UseReceiptParts& parts, const audit::UseReceipt& use, std::string record
) {
  audit::ProvenUse proven;
  auto receipt = parts.receipts.sign(use);
  if (!receipt) return receipt;
  proven.receipt = std::move(*receipt);
  proven.record = std::move(record);
  auto released = parts.tree.checkpoint();
  if (!released) return fail(std::move(released));
  auto hashes = parts.tree.inclusion_proof(use.seq, released->checkpoint.size);
  if (!hashes) return fail(std::move(hashes));
  proven.proof.index = use.seq;
  proven.proof.hashes = std::move(*hashes);
  proven.proof.checkpoint = std::move(released->note);
  return proven.print();
}

// Whether the use of this record was the caller's.
using IsTheirs = std::function<Result<bool>(const Json& record, const Call& call)>;

awaitable<HttpResponse> get_receipt(Parts parts, IsTheirs is_theirs, Call& call) {
  const auto seq = whole_number(call.parameters.front());
  if (!seq) co_return absent(call);
  std::optional<Result<std::string>> text;
  auto read = [&parts, &text, seq = *seq] { text = record_at(parts->tree, seq); };
  co_await parts->worker.run(std::move(read));
  if (!*text) co_return problem(text->error(), call.lang);
  std::string record = std::move(**text);
  const auto use = audit::receipt_of(record);
  if (!use) co_return absent(call);  // of another type
  const auto theirs = is_theirs(Json::parse(record, nullptr, false), call);
  if (!theirs) co_return problem(theirs.error(), call.lang);
  // Somebody else's use and no use look the same.
  if (!*theirs) co_return absent(call);
  auto sign = [&parts, &text, &use, &record] { text = prove(*parts, *use, std::move(record)); };
  co_await parts->worker.run(std::move(sign));
  if (!*text) co_return problem(text->error(), call.lang);
  HttpResponse response;
  response.headers.set("Content-Type", "text/plain; charset=utf-8");
  response.headers.set("Cache-Control", "no-store");
  response.body = std::move(**text);
  co_return response;
}

RouteHandler receipt_handler(UseReceiptParts given, IsTheirs is_theirs) {
  auto parts = std::make_shared<const UseReceiptParts>(given);
  return [parts, is_theirs = std::move(is_theirs)](Call& call) {
    return get_receipt(parts, is_theirs, call);
  };
}

}  // namespace

std::vector<Route> peer_use_receipt_routes(UseReceiptParts parts) {
  IsTheirs is_theirs = [&store =
                            parts.store](const Json& record, const Call& call) -> Result<bool> {
    if (record.contains("app")) return false;  // of a local application
    const AgreementId id(record.value("agreement", ""));
    const auto agreement = negotiation::find_agreement(store, id);
    if (!agreement) return tl::unexpected(agreement.error());
    return *agreement && (*agreement)->our_side == odrl::Side::provider &&
           (*agreement)->consumer == call.caller.peer->party;
  };
  const RouteHandler handler = receipt_handler(parts, std::move(is_theirs));
  const std::string path = std::string(tally_base_path) + "/use-receipts/:seq";
  return {{"GET", path, Role::peer, Where::home, handler}};
}

std::vector<Route> app_use_receipt_routes(UseReceiptParts parts) {
  IsTheirs is_theirs = [](const Json& record, const Call& call) -> Result<bool> {
    return record.value("app", "") == call.principal;
  };
  const RouteHandler handler = receipt_handler(parts, std::move(is_theirs));
  return {{"GET", "/api/v1/use-receipts/:seq", Role::app, Where::home, handler}};
}

}  // namespace tally::api
