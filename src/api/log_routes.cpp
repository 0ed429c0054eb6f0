#include "tally/api/log_routes.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "tally/audit/tiles.hpp"

namespace tally::api {

namespace {

constexpr std::string_view log_path = "/log/";

// Which part of the log a caller may see.
enum class Shown { everything, hashes };

HttpResponse absent(const Call& call) {
  return problem(404, {"api.unknown-path", {}}, call.lang);
}

HttpResponse note_response(std::string note) {
  HttpResponse response;
  response.headers.set("Content-Type", "text/plain; charset=utf-8");
  response.headers.set("Cache-Control", "no-store");
  response.body = std::move(note);
  return response;
}

awaitable<HttpResponse> get_checkpoint(LogApiParts parts, Call& call) {
  std::optional<Result<std::string>> note;
  auto job = [&parts, &note] { note = parts.tree.shown_checkpoint(); };
  co_await parts.worker.run(std::move(job));
  if (!*note) co_return problem(note->error(), call.lang);
  co_return note_response(std::move(**note));
}

awaitable<HttpResponse> get_cosigned(LogApiParts parts, Call& call) {
  auto note = parts.tree.cosigned();
  if (note.empty()) co_return problem(404, {"api.never-cosigned", {}}, call.lang);
  co_return note_response(std::move(note));
}

awaitable<HttpResponse> get_tile(LogApiParts parts, Shown shown, Call& call) {
  // As it was sent: the standard knows one spelling of a path, without an escape.
  std::string_view path = call.request.target;
  path = path.substr(0, path.find('?'));
  if (!path.starts_with(log_path)) co_return absent(call);
  const auto tile = audit::parse_tile_path(path.substr(log_path.size()));
  if (!tile || (tile->entries && shown == Shown::hashes)) co_return absent(call);
  std::optional<Result<Bytes>> bytes;
  auto job = [&parts, &tile, &bytes] { bytes = parts.tree.tile(*tile); };
  co_await parts.worker.run(std::move(job));
  if (!*bytes) co_return problem(bytes->error(), call.lang);
  HttpResponse response;
  response.headers.set("Content-Type", "application/octet-stream");
  // A full tile never changes. It is for this caller only: a shared cache knows no roles.
  const bool full = tile->width == audit::tile_width;
  response.headers.set(
      "Cache-Control", full ? "private, max-age=31536000, immutable" : "private, no-cache"
  );
  response.body.assign((*bytes)->begin(), (*bytes)->end());
  co_return response;
}

RouteHandler checkpoint_handler(const LogApiParts& parts) {
  return [parts](Call& call) { return get_checkpoint(parts, call); };
}

RouteHandler cosigned_handler(const LogApiParts& parts) {
  return [parts](Call& call) { return get_cosigned(parts, call); };
}

RouteHandler tile_handler(const LogApiParts& parts, Shown shown) {
  return [parts, shown](Call& call) { return get_tile(parts, shown, call); };
}

// The handler for partners, and nothing for anybody else.
RouteHandler for_partners(IsPartner is_partner, RouteHandler handler) {
  return [is_partner = std::move(is_partner),
          handler = std::move(handler)](Call& call) -> awaitable<HttpResponse> {
    const auto partner = is_partner(call.caller.peer->party);
    if (!partner) co_return problem(partner.error(), call.lang);
    if (!*partner) co_return absent(call);
    co_return co_await handler(call);
  };
}

}  // namespace

std::vector<Route> log_routes(const LogApiParts& parts) {
  return {
      {"GET", "/log/checkpoint", Role::auditor, Where::connection, checkpoint_handler(parts)},
      {"GET", "/log/cosigned", Role::auditor, Where::connection, cosigned_handler(parts)},
      {"GET",
       "/log/tile/*",
       Role::auditor,
       Where::connection,
       tile_handler(parts, Shown::everything)},
  };
}

std::vector<Route> peer_log_routes(const LogApiParts& parts, IsPartner is_partner) {
  std::vector<Route> routes;
  routes.push_back(
      {"GET",
       std::string(log_path) + "checkpoint",
       Role::peer,
       Where::home,
       for_partners(is_partner, checkpoint_handler(parts))}
  );
  routes.push_back(
      {"GET",
       std::string(log_path) + "cosigned",
       Role::peer,
       Where::home,
       for_partners(is_partner, cosigned_handler(parts))}
  );
  routes.push_back(
      {"GET",
       std::string(log_path) + "tile/*",
       Role::peer,
       Where::home,
       for_partners(std::move(is_partner), tile_handler(parts, Shown::hashes))}
  );
  return routes;
}

}  // namespace tally::api
