#include "tally/dsp/binding.hpp"

#include <set>

#include <gtest/gtest.h>

#include "tally/core/http.hpp"
#include "tally/dsp/messages.hpp"

namespace tally::dsp {

std::vector<std::string> segments(std::string_view path) {
  const auto target = parse_target(path);
  EXPECT_TRUE(target) << path;
  return target ? target->path : std::vector<std::string>{};
}

std::string served(std::string_view method, std::string_view path) {
  std::string text;
  const Match match = match_endpoint(method, segments(path));
  for (const Endpoint* endpoint : match.endpoints) {
    text += std::string(to_string(endpoint->host)).substr(0, 1) + ":" +
            std::string(endpoint->message) + " ";
  }
  return text + match.id;
}

TEST(Binding, EachPathMeansItsMessage) {
  const std::vector<std::tuple<std::string, std::string, std::string>> cases{
      {"POST", "/catalog/request", "p:CatalogRequestMessage "},
      {"GET", "/catalog/datasets/a%2Fb", "p: a/b"},
      {"GET", "/negotiations/urn:uuid:1", "p: c: urn:uuid:1"},
      {"POST", "/negotiations/request", "p:ContractRequestMessage "},
      {"POST", "/negotiations/offers", "c:ContractOfferMessage "},
      {"POST", "/negotiations/1/request", "p:ContractRequestMessage 1"},
      {"POST", "/negotiations/1/offers", "c:ContractOfferMessage 1"},
      {"POST",
       "/negotiations/1/events",
       "p:ContractNegotiationEventMessage c:ContractNegotiationEventMessage 1"},
      {"POST", "/negotiations/1/agreement", "c:ContractAgreementMessage 1"},
      {"POST",
       "/negotiations/1/agreement/verification",
       "p:ContractAgreementVerificationMessage 1"},
      {"POST",
       "/negotiations/1/termination",
       "p:ContractNegotiationTerminationMessage c:ContractNegotiationTerminationMessage 1"},
      {"GET", "/transfers/1", "p: c: 1"},
      {"POST", "/transfers/request", "p:TransferRequestMessage "},
      {"POST", "/transfers/1/start", "p:TransferStartMessage c:TransferStartMessage 1"},
      {"POST",
       "/transfers/1/suspension",
       "p:TransferSuspensionMessage c:TransferSuspensionMessage 1"},
      {"POST",
       "/transfers/1/completion",
       "p:TransferCompletionMessage c:TransferCompletionMessage 1"},
      {"POST",
       "/transfers/1/termination",
       "p:TransferTerminationMessage c:TransferTerminationMessage 1"},
      {"POST", "/transfers/1/start/", "p:TransferStartMessage c:TransferStartMessage 1"},
      {"GET", "/transfers/1/start", ""},
      {"GET", "/negotiations/request", ""},
      {"GET", "/negotiations", ""},
      {"GET", "/negotiations//", ""},
      {"POST", "/negotiations//termination", ""},
      {"POST", "/negotiations/1/agreement/verification/x", ""},
      {"POST", "/negotiations/1/nothing", ""},
      {"GET", "/", ""},
  };
  for (const auto& [method, path, expected] : cases) {
    EXPECT_EQ(served(method, path), expected) << method << " " << path;
  }
}

TEST(Binding, EachRoleHostsWhatTheProtocolSays) {
  std::size_t provider = 0;
  std::set<std::string> created;
  for (const Endpoint& endpoint : endpoints()) {
    if (endpoint.host == Role::provider) ++provider;
    if (endpoint.success == 201) created.insert(std::string(endpoint.path));
    EXPECT_EQ(endpoint.method == "GET", endpoint.message.empty()) << endpoint.path;
  }
  EXPECT_EQ(provider, 2U + 6U + 6U);
  EXPECT_EQ(endpoints().size() - provider, 6U + 4U + 1U);
  EXPECT_EQ(
      created,
      (std::set<std::string>{"/negotiations/request", "/negotiations/offers", "/transfers/request"})
  );
}

TEST(Binding, MethodsOfAPathAreKnownForTheAnswerThatAnotherIsNotAllowed) {
  EXPECT_EQ(methods_at(segments("/negotiations/request")), std::vector<std::string_view>{"POST"});
  EXPECT_EQ(methods_at(segments("/negotiations/1")), std::vector<std::string_view>{"GET"});
  EXPECT_TRUE(methods_at(segments("/nothing")).empty());
}

TEST(Binding, WhatWeBuildIsWhatWeServe) {
  const Pid pid("urn:uuid:a/b?c#d e%");
  for (const char* step :
       {"", "request", "offers", "events", "agreement", "agreement/verification", "termination"}) {
    const std::string path = negotiation_path(pid, step);
    const Match match = match_endpoint(*step ? "POST" : "GET", segments(path));
    EXPECT_FALSE(match.endpoints.empty()) << path;
    EXPECT_EQ(match.id, pid.value) << path;
  }
  for (const char* step : {"", "start", "suspension", "completion", "termination"}) {
    const std::string path = transfer_path(pid, step);
    const Match match = match_endpoint(*step ? "POST" : "GET", segments(path));
    EXPECT_FALSE(match.endpoints.empty()) << path;
    EXPECT_EQ(match.id, pid.value) << path;
  }
  EXPECT_EQ(match_endpoint("GET", segments(dataset_path("气象/α"))).id, "气象/α");
}

TEST(Binding, BasesAreJoinedWithoutADoubledSlash) {
  for (const char* base :
       {"https://a.example/dsp", "https://a.example/dsp/", "https://a.example/dsp///"}) {
    EXPECT_EQ(join_url(base, "/transfers/1"), "https://a.example/dsp/transfers/1");
    EXPECT_EQ(join_url(base, "transfers/1"), "https://a.example/dsp/transfers/1");
    EXPECT_EQ(join_url(base, ""), "https://a.example/dsp");
    EXPECT_EQ(join_url(base, "/"), "https://a.example/dsp");
  }
}

TEST(Binding, JsonMediaTypesAreTakenWithParameters) {
  for (const char* type :
       {"application/json",
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/ld+json;profile=\"x\"",
        " application/problem+json "}) {
    EXPECT_TRUE(is_json_media_type(type)) << type;
  }
  for (const char* type :
       {"",
        "text/json",
        "application/",
        "application/+json",
        "application/xml",
        "application/jsonx",
        "json",
        "application/octet-stream; a=json"}) {
    EXPECT_FALSE(is_json_media_type(type)) << type;
  }
}

Version version(std::string name, std::string path) {
  Version out;
  out.version = std::move(name);
  out.path = std::move(path);
  return out;
}

TEST(Binding, TheFirstEntryOfOurVersionIsTaken) {
  VersionResponse versions;
  versions.protocol_versions = {
      version("v0.8", "/"), version("2025-1", "/a"), version("2025-1", "/b")};
  EXPECT_EQ(path_of_our_version(versions), "/a");
  versions.protocol_versions[1].binding = "CARRIER-PIGEON";
  EXPECT_EQ(path_of_our_version(versions), "/b");
  versions.protocol_versions = {version("2024-1", "/")};
  EXPECT_FALSE(path_of_our_version(versions));
}

}  // namespace tally::dsp
