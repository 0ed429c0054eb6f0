// The management API as `tally` calls it: where it listens, with which token, and one call.
#pragma once

#include <filesystem>
#include <string>

#include "tally/net/local_client.hpp"

#include "console.hpp"

namespace tally::cli {

struct Connection {
  std::filesystem::path folder = ".";  // --connector: its tally.json and operator.token
  std::string url;                     // --url: instead of what the folder says
  std::string token;                   // --token, or TALLY_TOKEN
};

class Management {
 public:
  // Errors: invalid (cli.*): no folder, no token.
  static Result<Management> open(const Connection& connection, Lang lang);
  // The application API of the same connector, with an application's token.
  static Result<Management> open_apps(const Connection& connection, Lang lang);

  // The answer's JSON. A problem answer comes back as an Error with the code and the parameters
  // that the connector gave, so that the sentence is rendered here, in the operator's language.
  Result<Json> call(const std::string& method, const std::string& path, const Json& body);
  // Of a list all pages, as one.
  Result<Json> get(const std::string& path);
  // The answer as it is.
  Result<PeerAnswer> raw(HttpRequest request, const std::string& path);

 private:
  Management(std::string url, net::LocalClient client, Lang lang);
  std::string url_;
  net::LocalClient client_;
  Lang lang_;
};

// What a problem answer (RFC 9457) of the connector says.
Error error_of(const PeerAnswer& answer);

}  // namespace tally::cli
