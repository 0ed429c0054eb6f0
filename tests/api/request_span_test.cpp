// A request as part of a trace: what it carries on, and that only codes and ids are told of it.
#include "api/request_span.hpp"

#include <gtest/gtest.h>

namespace tally::api {
namespace {

const std::string came = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

class Sevens final : public Random {
 public:
  void fill(std::span<std::uint8_t> out) override {
    for (auto& byte : out) byte = 7;
  }
};

HttpRequest request_with(const std::string& header) {
  HttpRequest request;
  request.headers.set(trace_header, header);
  return request;
}

std::string told(const Span& span, std::string_view key) {
  for (const auto& [name, value] : span.attributes) {
    if (name == key) return value;
  }
  return {};
}

TEST(RequestSpan, ASpanOfOursStandsBetweenWhoAsksAndWhoIsAsked) {
  Sevens random;
  auto request = request_with(came);
  const auto span = begin_span(request, &random, {});
  ASSERT_TRUE(span);
  EXPECT_EQ(span->parent, parse_traceparent(came)->span);
  EXPECT_EQ(span->context.trace, parse_traceparent(came)->trace);
  EXPECT_EQ(span->context.span, (TraceContext::SpanId{7, 7, 7, 7, 7, 7, 7, 7}));
  EXPECT_EQ(*request.headers.get(trace_header), to_traceparent(span->context));
}

TEST(RequestSpan, WhereNobodyIsToldTheTraceGoesThrough) {
  Sevens random;
  auto request = request_with(came);
  EXPECT_FALSE(begin_span(request, nullptr, {}));
  EXPECT_EQ(*request.headers.get(trace_header), came);
  const std::string unsampled = came.substr(0, came.size() - 1) + "0";
  request = request_with(unsampled);
  EXPECT_FALSE(begin_span(request, &random, {}));
  EXPECT_EQ(*request.headers.get(trace_header), unsampled);
}

TEST(RequestSpan, WhatIsNoContextIsCarriedNoFurther) {
  Sevens random;
  auto request = request_with("00-somebody wrote this-01");
  EXPECT_FALSE(begin_span(request, &random, {}));
  EXPECT_EQ(*request.headers.get(trace_header), "");
  request = request_with(came);
  request.headers.add(trace_header, came);  // of two it would be a guess which one is meant
  EXPECT_FALSE(begin_span(request, &random, {}));
  EXPECT_EQ(*request.headers.get(trace_header), "");
}

TEST(RequestSpan, WhatAProviderAnsweredIsToldWhereItIsACodeOrAnId) {
  const Route route{"GET", "/api/v1/data/:agreement", Role::app, Where::connection, {}};
  HttpResponse answer = problem(403, {"usage.limit-reached", {}}, Lang::en);
  answer.headers.set("Tally-Use", "0192f0c4-0000-7000-8000-0123456789ab");
  Span span;
  describe(span, &route, answer);
  EXPECT_EQ(span.name, "GET /api/v1/data/:agreement");
  EXPECT_EQ(told(span, "tally.code"), "usage.limit-reached");
  EXPECT_EQ(told(span, "tally.use"), "0192f0c4-0000-7000-8000-0123456789ab");
  EXPECT_FALSE(span.failed);

  answer = problem(503, {"patient.john-doe", {}}, Lang::en);
  answer.headers.set("Tally-Use", "John Doe");
  Span other;
  describe(other, nullptr, answer);
  EXPECT_EQ(other.name, "none");
  EXPECT_EQ(told(other, "tally.code"), "");
  EXPECT_EQ(told(other, "tally.use"), "");
  EXPECT_EQ(told(other, "http.response.status_code"), "503");
  EXPECT_TRUE(other.failed);
}

}  // namespace
}  // namespace tally::api
