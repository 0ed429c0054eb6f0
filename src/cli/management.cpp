#include "management.hpp"

#include <cstdlib>

#include <nlohmann/json.hpp>

#include "files.hpp"

namespace tally::cli {

namespace {

// Where `listener` of the connector in `folder` listens, as its configuration says.
struct Place {
  std::string url;
  std::string socket;
};
Result<Place> place_of(const std::filesystem::path& folder, const std::string& listener) {
  const auto text = read_text(folder / "tally.json");
  if (!text) return fail(ErrorKind::invalid, {"cli.no-connector", {{"folder", folder.string()}}});
  const auto config = Json::parse(*text, nullptr, false);
  const auto pointer = Json::json_pointer("/listeners/" + listener);
  if (config.is_discarded() || !config.contains(pointer)) {
    return fail(
        ErrorKind::invalid, {"cli.config-malformed", {{"file", (folder / "tally.json").string()}}}
    );
  }
  const auto& at = config[pointer];
  Place place;
  place.url = "http://" + at.value("address", std::string("127.0.0.1")) + ":" +
              std::to_string(at.value("port", 0));
  if (at.contains("socket")) place.socket = (folder / at.value("socket", std::string())).string();
  return place;
}

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

}  // namespace

Management::Management(std::string url, net::LocalClient client, Lang lang)
    : url_(std::move(url)), client_(std::move(client)), lang_(lang) {}

Result<Management> Management::open(const Connection& connection, Lang lang) {
  Place place{connection.url, {}};
  if (place.url.empty()) {
    auto found = place_of(connection.folder, "management");
    if (!found) return fail(std::move(found));
    place = std::move(*found);
  }
  net::LocalClientConfig config;
  config.unix_socket = place.socket;
  config.bearer_token = connection.token;
  if (config.bearer_token.empty()) {
    if (const char* variable = std::getenv("TALLY_TOKEN")) config.bearer_token = variable;
  }
  if (config.bearer_token.empty()) {
    const auto token = read_text(connection.folder / "operator.token");
    if (!token) {
      return fail(
          ErrorKind::invalid,
          {"cli.no-token", {{"file", (connection.folder / "operator.token").string()}}}
      );
    }
    config.bearer_token = trimmed(*token);
  }
  return Management(place.url, net::LocalClient(std::move(config)), lang);
}

Result<Management> Management::open_apps(const Connection& connection, Lang lang) {
  Place place{connection.url, {}};
  if (place.url.empty()) {
    auto found = place_of(connection.folder, "apps");
    if (!found) return fail(std::move(found));
    place = std::move(*found);
  }
  net::LocalClientConfig config;
  config.unix_socket = place.socket;
  config.bearer_token = connection.token;
  if (config.bearer_token.empty()) {
    if (const char* variable = std::getenv("TALLY_APP_TOKEN")) config.bearer_token = variable;
  }
  if (config.bearer_token.empty()) return fail(ErrorKind::invalid, {"cli.no-app-token", {}});
  return Management(place.url, net::LocalClient(std::move(config)), lang);
}

Result<PeerAnswer> Management::raw(HttpRequest request, const std::string& path) {
  request.headers.set("Accept-Language", lang_ == Lang::zh ? "zh" : "en");
  return client_.call(url_ + path, std::move(request));
}

Error error_of(const PeerAnswer& answer) {
  const auto body = Json::parse(answer.body, nullptr, false);
  if (!body.is_object() || !body.contains("code") || !body["code"].is_string()) {
    return {
        ErrorKind::unavailable,
        {"cli.answer-unexpected", {{"status", std::to_string(answer.status)}}},
        {}};
  }
  Error error;
  error.kind = answer.status == 404   ? ErrorKind::not_found
               : answer.status == 403 ? ErrorKind::forbidden
               : answer.status == 409 ? ErrorKind::conflict
               : answer.status >= 500 ? ErrorKind::unavailable
                                      : ErrorKind::invalid;
  error.message.code = body["code"].get<std::string>();
  if (body.contains("params") && body["params"].is_object()) {
    for (const auto& [key, value] : body["params"].items()) {
      if (value.is_string()) error.message.params[key] = value.get<std::string>();
    }
  }
  if (body.contains("pointer") && body["pointer"].is_string()) {
    error.pointer = body["pointer"].get<std::string>();
  }
  return error;
}

Result<Json> Management::call(
    const std::string& method, const std::string& path, const Json& body
) {
  HttpRequest request;
  request.method = method;
  if (!body.is_null()) {
    request.headers.set("Content-Type", "application/json");
    request.body = body.dump();
  }
  auto answer = raw(std::move(request), path);
  if (!answer) return fail(std::move(answer));
  if (answer->status >= 400) return tl::unexpected(error_of(*answer));
  if (answer->body.empty()) return Json();
  auto parsed = Json::parse(answer->body, nullptr, false);
  if (parsed.is_discarded()) {
    return fail(
        ErrorKind::unavailable,
        {"cli.answer-unexpected", {{"status", std::to_string(answer->status)}}}
    );
  }
  return parsed;
}

Result<Json> Management::get(const std::string& path) {
  // Pages are as large as they may be: whoever asks here wants all of them.
  const std::string more = path + (path.find('?') == std::string::npos ? '?' : '&');
  auto whole = call("GET", path, nullptr);
  while (whole && whole->is_object() && whole->contains("items") && whole->contains("next")) {
    const std::string after = percent_encode_segment(whole->value("next", std::string()));
    auto page = call("GET", more + "limit=1000&after=" + after, nullptr);
    if (!page) return page;
    for (auto& item : (*page)["items"]) (*whole)["items"].push_back(std::move(item));
    whole->erase("next");
    if (const auto next = page->find("next"); next != page->end()) (*whole)["next"] = *next;
  }
  return whole;
}

}  // namespace tally::cli
