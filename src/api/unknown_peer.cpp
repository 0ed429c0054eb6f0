#include "tally/api/unknown_peer.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "tally/api/peer_routes.hpp"
#include "tally/dsp/binding.hpp"
#include "tally/dsp/error_body.hpp"

namespace tally::api {

namespace {

HttpResponse challenge(HttpResponse response) {
  // RFC 9110, 15.5.2. The scheme is a matter of what the two operators agreed on.
  response.headers.set("WWW-Authenticate", "Bearer");
  return response;
}

}  // namespace

std::optional<HttpResponse> refuse_unknown_peer(const HttpRequest& request, const Message& why) {
  const Lang lang = parse_lang(request.headers.get("Accept-Language").value_or(""));
  const auto target = parse_target(request.target);
  if (!target) return problem(400, {"api.target-malformed", {}}, lang);
  const auto version = parse_target(dsp::version_path);
  if (version && target->path == version->path) return std::nullopt;

  const auto base = parse_target(dsp_base_path);
  const std::size_t depth = base ? base->path.size() : 0;
  const auto& path = target->path;
  const bool is_dsp = depth > 0 && path.size() > depth &&
                      std::equal(base->path.begin(), base->path.end(), path.begin());
  if (!is_dsp) return challenge(problem(401, why, lang));
  const auto& what = path[depth];
  // As the services themselves say it of a pid that nobody knows. What begins a process has none.
  const bool begins = request.method == "POST" && path.size() == depth + 2;
  const bool has_pid = !begins && path.size() > depth + 1;
  const dsp::KnownPids pids{Pid(has_pid ? path[depth + 1] : std::string()), {}};
  if (what == "negotiations") {
    return json_response(
        404,
        dsp::error_body(dsp::Family::negotiation, 404, {"negotiation.unknown-process", {}}, pids)
    );
  }
  if (what == "transfers") {
    return json_response(
        404, dsp::error_body(dsp::Family::transfer, 404, {"transfer.unknown-process", {}}, pids)
    );
  }
  return challenge(json_response(401, dsp::error_body(dsp::Family::catalog, 401, why, {})));
}

}  // namespace tally::api
