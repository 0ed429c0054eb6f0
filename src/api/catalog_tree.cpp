#include "catalog_tree.hpp"

#include <map>
#include <set>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "tally/negotiation/exchange.hpp"

namespace tally::api {

namespace {

// Where a nested catalogue says that it can be asked for, or empty.
std::string place_of(const Json& catalog) {
  for (const Json& service : as_list(catalog, "service")) {
    if (service.is_object()) return negotiation::text_of(service, "endpointURL");
  }
  return {};
}

class Tree {
 public:
  Tree(RemotePeers wire, Json filter, Lang lang)
      : wire_(wire), filter_(std::move(filter)), lang_(lang), budget_(budget_of(wire)) {}

  awaitable<Result<Json>> fetch(PartyId party) {
    asked_.insert(party);
    auto fetching = fetch_catalog(wire_, std::move(party), filter_, budget_);
    co_return co_await std::move(fetching);
  }

  // Puts the content of each nested catalogue of `catalog` into its place. `depth`: of `catalog`.
  awaitable<void> follow(Json& catalog, std::size_t depth) {
    Json nested = as_list(catalog, "catalog");
    if (nested.empty()) co_return;
    for (Json& entry : nested) {
      if (!entry.is_object()) continue;
      const std::string place = place_of(entry);
      // One that brought its content along needs nobody to ask.
      if (!place.empty() && !entry.contains("dataset")) {
        auto asking = ask(entry, place, depth);
        const bool asked = co_await std::move(asking);
        if (!asked) continue;
      }
      auto going_on = follow(entry, depth + 1);
      co_await std::move(going_on);
    }
    catalog["catalog"] = std::move(nested);
  }

 private:
  awaitable<bool> ask(Json& entry, std::string place, std::size_t depth) {
    const auto party = wire_.directory.party_at(place);
    const std::map<std::string, std::string> params{{"url", place.substr(0, 200)}};
    Message why;
    if (!party) {
      why = {"api.nested-stranger", params};
    } else if (asked_.contains(*party)) {
      why = {"api.nested-again", params};
    } else if (depth >= wire_.limits.catalog_depth || asked_.size() > wire_.limits.catalog_nested) {
      why = {"api.nested-bound", params};
    } else {
      auto fetching = fetch(*party);
      auto fetched = co_await std::move(fetching);
      if (fetched) {
        entry = std::move(*fetched);
        entry.erase("@context");
        co_return true;
      }
      why = fetched.error().message;
    }
    entry[not_followed] = {{"code", why.code}, {"text", render(why, lang_)}};
    co_return false;
  }

  RemotePeers wire_;
  const Json filter_;
  const Lang lang_;
  CatalogBudget budget_;
  std::set<PartyId> asked_;
};

}  // namespace

Result<void> read_wishes(const Json& body, CatalogOrder& order) {
  const auto wrong = [](const char* member, const char* expected, const Json& found) {
    return fail(
        ErrorKind::invalid,
        {"core.member-type",
         {{"member", member}, {"expected", expected}, {"found", found.type_name()}}},
        child("", member)
    );
  };
  if (const auto filter = body.find("filter"); filter != body.end()) {
    if (!filter->is_array()) return wrong("filter", "array", *filter);
    order.filter = *filter;
  }
  if (const auto follow = body.find("follow"); follow != body.end()) {
    if (!follow->is_boolean()) return wrong("follow", "boolean", *follow);
    order.follow = follow->get<bool>();
  }
  return {};
}

awaitable<Result<Json>> fetch_catalog_tree(RemotePeers wire, CatalogOrder order, Lang lang) {
  Tree tree(wire, std::move(order.filter), lang);
  auto fetching = tree.fetch(std::move(order.party));
  auto catalog = co_await std::move(fetching);
  if (catalog && order.follow) {
    auto following = tree.follow(*catalog, 0);
    co_await std::move(following);
  }
  co_return catalog;
}

}  // namespace tally::api
