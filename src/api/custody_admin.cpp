#include "custody_admin.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "lists.hpp"
#include "members.hpp"

namespace tally::api {

namespace {

// What is looked at takes as long as it is large: the answer does not wait for it.
HttpResponse ordered(const ManagementParts& parts, const Result<void>& done, Lang lang) {
  if (!done) return problem(done.error(), lang);
  return json_response(202, {{"ordered", format_micros(parts->clock.read().at)}});
}

HttpResponse no_custody(Lang lang) {
  return problem(409, {"api.no-custody", {}}, lang);
}

}  // namespace

awaitable<HttpResponse> get_artefacts(ManagementParts parts, Call& call) {
  const auto show = [&](const Row& row) {
    auto item = parts->shown_artefact(row);
    if (!item) return item;
    tell(*item, "reason", call.lang);
    tell(*item, "altered", call.lang);
    return item;
  };
  const Store::Query query{"artefact", call.query("state"), call.query("owner"), {}, 0};
  co_return list_of_rows(call, parts->store, query, show);
}

awaitable<HttpResponse> get_custody(ManagementParts parts, Call& call) {
  if (parts->custody == nullptr) co_return no_custody(call.lang);
  co_return json_response(200, parts->custody->custody(call.lang));
}

awaitable<HttpResponse> post_custody_check(ManagementParts parts, Call& call) {
  if (parts->custody == nullptr) co_return no_custody(call.lang);
  co_return ordered(parts, parts->custody->check({}), call.lang);
}

awaitable<HttpResponse> post_artefact_check(ManagementParts parts, Call& call) {
  if (parts->custody == nullptr) co_return no_custody(call.lang);
  co_return ordered(parts, parts->custody->check(call.parameters.front()), call.lang);
}

awaitable<HttpResponse> post_wrapping_key_rotation(ManagementParts parts, Call& call) {
  if (parts->custody == nullptr) co_return no_custody(call.lang);
  auto begun = co_await parts->custody->rotate_wrapping_key();
  if (!begun) co_return problem(begun.error(), call.lang);
  co_return json_response(202, *begun);
}

}  // namespace tally::api
