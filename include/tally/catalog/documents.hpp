// An asset and an offer, as an operator writes them into a file or through the API
// (docs/assets-and-offers.md). Reading is strict: a member that is not known is an error that names
// the closest one. Values; pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/catalog/schema.hpp"
#include "tally/core/digest.hpp"
#include "tally/core/ids.hpp"
#include "tally/core/instant.hpp"
#include "tally/core/json.hpp"
#include "tally/core/limits.hpp"
#include "tally/core/viewer.hpp"
#include "tally/odrl/policy.hpp"

namespace tally::catalog {

enum class Home { file, api };

// One document as it was found.
struct Document {
  std::string name;  // the file's name; for the API what people should read instead
  std::string bytes;
  Home home = Home::file;
};

// How the data reaches a consumer, which also says on whose side a use is counted.
enum class Delivery {
  custody,  // pulled once into the consumer's custody; uses are counted at the consumer
  call,     // each read is served by the provider and counted there
};
std::string_view to_string(Delivery delivery);  // "custody", "call"
std::string_view format_of(Delivery delivery);  // "HttpData-PULL", "HttpData-QUERY"
std::string_view action_of(Delivery delivery);  // IRI: odrl archive, odrl read
odrl::Side counting_side(Delivery delivery);

struct Asset {
  AssetId id;
  std::string title;  // the id if none was written
  std::string media_type;
  std::string version;
  int level = 0;       // security level of the data, 0 (not rated) to 9
  std::string class_;  // its class in the owner's own scheme, or empty
  Delivery delivery = Delivery::custody;
  Json source;  // opaque here: {"type": "file", "path": …}
  // Of what can be handed out in rows and columns; absent: bytes that nobody looks into.
  std::optional<Schema> schema;
  std::vector<Parameter> parameters;  // of an asset that is called
  // The Dataset as it is published, but for its distribution and offers: JSON text that ends in a
  // comma, since of thousands of assets a tree each would be most of the memory. Holds description
  // and metadata.
  std::string dataset;
  std::string file;  // Document::name
  Home home = Home::file;
  std::string digest;  // digest_text of the document in JCS
};

// Who may see an offer. An empty uri: every party of the domain. Both empty: everybody. All of
// `subject` must stand in the subject of the asker's certificate.
struct Audience {
  std::string domain;
  std::string uri;
  SubjectAttributes subject;
  [[nodiscard]] bool holds(const Viewer& viewer) const;
  auto operator<=>(const Audience&) const = default;
};

// Who decides a request that fits the offer.
enum class Decide { automatic, approve, hook };

struct Offer {
  OfferId id;
  AssetId asset;
  std::vector<Audience> visible_to;  // any of them; none: nobody
  Decide decide = Decide::automatic;
  std::string hook;  // of Decide::hook: the name of the program that decides
  bool require_signature = true;
  bool accept_unconfirmed = false;
  std::optional<Instant> not_after;  // from then on nothing is permitted, and nothing offered
  std::string policy;  // the Offer as published, in JCS: full IRIs, countedBy, no target
  std::string file;    // Document::name
  Home home = Home::file;
  std::string digest;  // digest_text of the document in JCS
  // Of the document; `build` hands them on and leaves none here.
  std::vector<odrl::Problem> warnings;

  [[nodiscard]] bool visible_to_viewer(const Viewer& viewer) const;
  [[nodiscard]] bool is_over(Instant now) const { return not_after && now >= *not_after; }
  // The Offer of a message: the published one with its target.
  [[nodiscard]] Json message_offer() const;
};

}  // namespace tally::catalog
