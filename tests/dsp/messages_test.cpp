#include "tally/dsp/messages.hpp"

#include <functional>
#include <map>

#include <gtest/gtest.h>

#include "dsp/test_data.hpp"

namespace tally::dsp {

namespace fs = std::filesystem;

std::string why(const Error& error) {
  return error.message.code + ": " + render(error.message, Lang::en) + " at " + error.pointer;
}

template <class X>
Result<Json> reread_as(const Json& value) {
  auto read = from_json<X>(value);
  if (!read) return fail(std::move(read));
  return to_json(*read);
}

TEST(Messages, OurExamplesAreWhatWeWrite) {
  const auto files = json_files(data_folder() / "messages");
  ASSERT_GE(files.size(), 40U);
  for (const fs::path& file : files) {
    const Json value = read_json(file);
    const auto again = reread(value);
    ASSERT_TRUE(again) << file << ": " << why(again.error());
    EXPECT_EQ(to_jcs(*again), to_jcs(value)) << file;
  }
}

// Every fault is found at its place. The base is a good example; the change breaks one thing.
TEST(Messages, BadMessagesAreRefusedAtTheirPointer) {
  const Json cases = read_json(data_folder() / "bad-messages.json");
  ASSERT_GE(cases.size(), 60U);
  // The type is read from the base, so that a case may break `@type` itself.
  const std::map<std::string, std::function<Result<Json>(const Json&)>> by_base{
      {"contract-request", reread_as<ContractRequestMessage>},
      {"dataset", reread_as<Dataset>},
  };
  for (const Json& one : cases) {
    const std::string base = one["base"];
    const Json value = changed(example(base), one["change"]);
    const auto reader = by_base.find(base);
    const auto result = reader == by_base.end() ? reread(value) : reader->second(value);
    ASSERT_FALSE(result) << one["name"];
    EXPECT_EQ(Json(result.error().message.code), one["code"]) << one["name"];
    EXPECT_EQ(Json(result.error().pointer), one["pointer"]) << one["name"];
    EXPECT_EQ(result.error().kind, ErrorKind::invalid) << one["name"];
  }
}

TEST(Messages, OddMessagesOfPeersAreRead) {
  for (const Json& one : read_json(data_folder() / "odd-messages.json")) {
    const Json value = changed(example(one["base"]), one["change"]);
    const auto again = reread(value);
    EXPECT_TRUE(again) << one["name"] << ": " << why(again.error());
  }
}

// Any value at all in any place is an answer or an Error, never an exception.
TEST(Messages, AnyValueInAnyPlaceIsHandled) {
  const std::vector<Json> values{
      nullptr,
      true,
      0,
      -1.5,
      "",
      "x",
      Json::array(),
      Json::object(),
      Json::array({Json::array({1})}),
      Json{{"@id", 7}},
      Json{{"@value", nullptr}},
  };
  std::size_t tried = 0;
  for (const fs::path& file : json_files(data_folder() / "messages")) {
    const Json value = read_json(file);
    for (const Json::json_pointer& at : all_places(value)) {
      for (const Json& other : values) {
        Json broken = value;
        broken[at] = other;
        (void)reread(broken);
        ++tried;
      }
    }
  }
  for (const Json& value : values) (void)from_json<Catalog>(value);
  EXPECT_GT(tried, 5'000U);
}

TEST(Messages, EveryExampleOfTheProtocolIsReadAndWrittenAgain) {
  const auto shared = shared_folder();
  if (!shared) GTEST_SKIP() << "skipped: the folder with the protocol's schemas is not there";
  std::size_t count = 0;
  for (const fs::path& file : json_files(*shared / "dsp-schemas")) {
    if (file.parent_path().filename() != "example") continue;
    const std::string name = file.filename();
    // No message: the entries of a DID document, and the abstract dataset request.
    if (name.find("did-service") != std::string::npos) continue;
    if (name == "dataset-request-message.json") continue;
    Json value = read_json(file);
    const auto again = reread(value);
    ASSERT_TRUE(again) << file << ": " << why(again.error());
    if (name == "dataset.json" && !value.contains("@type")) value["@type"] = "Dataset";
    // An empty filter asks for nothing, so we leave it out: some peers refuse it.
    if (value.value("filter", Json()) == Json::array()) value.erase("filter");
    EXPECT_EQ(to_jcs(*again), to_jcs(value)) << file;
    ++count;
  }
  EXPECT_GE(count, 22U);
}

TEST(Messages, EveryRecordedBodyOfAStockPeerIsRead) {
  const auto shared = shared_folder();
  if (!shared) GTEST_SKIP() << "skipped: the folder with the recorded messages is not there";
  std::size_t count = 0;
  for (const fs::path& file : json_files(*shared / "edc-recorded")) {
    const Json recorded = read_json(file);
    for (const char* side : {"requestBody", "responseBody"}) {
      const Json body = recorded.value(side, Json());
      if (!body.is_object()) continue;
      const auto again = reread(body);
      EXPECT_TRUE(again) << file << " " << side << ": " << why(again.error());
      ++count;
    }
  }
  EXPECT_GE(count, 21U);
}

TEST(Messages, ThePolicyOfAMessageIsKeptAsReceived) {
  Json value = example("contract-request");
  value["offer"]["x:unknown"] = {{"a", Json::array({1, nullptr})}};
  value["offer"]["permission"][0]["y:unknown"] = "kept";
  const auto message = from_json<ContractRequestMessage>(value);
  ASSERT_TRUE(message);
  EXPECT_EQ(to_jcs(message->offer), to_jcs(value["offer"]));
}

TEST(Messages, ADatasetKeepsTheMembersThatTheProtocolDoesNotName) {
  const auto dataset = from_json<Dataset>(example("dataset"));
  ASSERT_TRUE(dataset);
  EXPECT_EQ(dataset->extra["dct:format"], "text/csv");
  EXPECT_FALSE(dataset->extra.contains("@context"));
}

TEST(Messages, ExtraMembersNeverReplaceThoseOfTheProtocol) {
  Dataset dataset;
  dataset.id = "a";
  dataset.extra = {{"@id", "b"}, {"@type", "Catalog"}, {"dct:title", "t"}};
  const Json out = to_json(dataset);
  EXPECT_EQ(out["@id"], "a");
  EXPECT_EQ(out["@type"], "Dataset");
  EXPECT_EQ(out["dct:title"], "t");
}

TEST(Messages, ACounterOfferNeverCarriesACallbackAddress) {
  ContractRequestMessage request;
  request.provider_pid = Pid("p");
  request.callback_address = "https://a.example";
  EXPECT_FALSE(to_json(request).contains("callbackAddress"));
  ContractOfferMessage offer;
  offer.consumer_pid = Pid("c");
  offer.callback_address = "https://a.example";
  EXPECT_FALSE(to_json(offer).contains("callbackAddress"));
}

TEST(Messages, EmptyListsAndCodesAreLeftOut) {
  const Json termination = to_json(TransferTerminationMessage{{}, Pid("p"), Pid("c"), "", {}});
  EXPECT_EQ(termination.size(), 4U) << termination;  // @context, @type and the pids
  EXPECT_EQ(to_json(Catalog{}).contains("dataset"), false);
}

TEST(Messages, TheServiceOfADistributionIsInlineOrInTheList) {
  const auto catalog = from_json<Catalog>(example("catalog"));
  ASSERT_TRUE(catalog);
  const auto* inlined = find_service(catalog->dataset[0].distribution[0], {});
  ASSERT_TRUE(inlined);
  const auto* listed = find_service(catalog->dataset[1].distribution[0], catalog->service);
  ASSERT_TRUE(listed);
  EXPECT_EQ(listed->endpoint_url, inlined->endpoint_url);
  EXPECT_FALSE(find_service(catalog->dataset[1].distribution[0], {}));
}

TEST(Messages, PropertiesAreFoundByShortNameAndByTheLastSegmentOfAnIri) {
  const DataAddress address{
      "t",
      "https://a.example",
      {{"https://w3id.org/edc/v0.0.1/ns/authorization", "full"},
       {"http://other.example#authType", "bearer"},
       {"notauthorization", "no"},
       {"authType", "exact"}}};
  EXPECT_EQ(*address.property("authorization"), "full");
  EXPECT_EQ(*address.property("authType"), "exact");
  EXPECT_FALSE(address.property("endpoint"));
}

TEST(Messages, OurVersionDocumentSaysTheVersionAndOurOwnApi) {
  const Json document = to_json(our_versions("/dsp/2025-1"));
  EXPECT_EQ(to_jcs(document), to_jcs(example("version")));
}

}  // namespace tally::dsp
