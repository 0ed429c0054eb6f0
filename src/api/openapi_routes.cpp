#include "tally/api/openapi_routes.hpp"

#include <string>
#include <string_view>

#include "tally/core/gzip.hpp"

#include "lists.hpp"
#include "openapi_texts.hpp"

namespace tally::api {

namespace {

std::vector<Route> serving(std::string_view text) {
  RouteHandler described = [text](Call&) -> awaitable<HttpResponse> {
    HttpResponse response;
    response.headers.set("Content-Type", "application/json");
    response.body = text;
    co_return response;
  };
  // Of the text, not of its packed form: whichever of the two somebody has is known by it.
  RouteHandler packed = [whole = conditional(std::move(described))](Call& call
                        ) -> awaitable<HttpResponse> {
    auto response = co_await whole(call);
    if (response.status == 200 && accepts_gzip(call.request.headers)) {
      response.body = gzip(response.body);
      response.headers.set("Content-Encoding", "gzip");
      response.headers.add("Vary", "Accept-Encoding");
    }
    co_return response;
  };
  return {{"GET", "/openapi.json", Role::anyone, Where::connection, std::move(packed)}};
}

}  // namespace

std::vector<Route> management_openapi_routes() {
  return serving(management_description);
}

std::vector<Route> app_openapi_routes() {
  return serving(applications_description);
}

}  // namespace tally::api
