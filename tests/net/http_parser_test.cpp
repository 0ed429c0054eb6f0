#include "net/http_parser.hpp"

#include <array>

#include <gtest/gtest.h>

#include "tally/core/digest.hpp"

namespace tally::net {
namespace {

// Feeds `text` in pieces of `step` as a connection would; the state at the end.
ParseState run(RequestParser& parser, const std::string& text, std::size_t step) {
  std::string pending;
  ParseState state = ParseState::need_more;
  for (std::size_t at = 0; at < text.size(); at += step) {
    pending += text.substr(at, step);
    do {
      std::size_t consumed = 0;
      state = parser.feed(as_bytes(pending), consumed);
      pending.erase(0, consumed);
    } while (state == ParseState::header_done && !pending.empty());
    if (state == ParseState::complete || state == ParseState::failed) break;
  }
  return state;
}

TEST(RequestParser, PiecesOfAnySizeMakeTheSameRequest) {
  const std::string text =
      "POST /a?b HTTP/1.1\r\nHost: x\r\nA: 1\r\na:  2 \r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\nhello\r\n6;e=1\r\n world\r\n0\r\nTrailer: t\r\n\r\n";
  for (std::size_t step = 1; step <= text.size(); ++step) {
    RequestParser parser(1024, 1024);
    ASSERT_EQ(run(parser, text, step), ParseState::complete) << step;
    const HttpRequest request = parser.take();
    EXPECT_EQ(request.method, "POST");
    EXPECT_EQ(request.target, "/a?b");
    EXPECT_EQ(request.body, "hello world");
    EXPECT_EQ(request.headers.get("a"), "1");
  }
}

// A last chunk that comes byte by byte, with nothing before it. (Beast asserted on it.)
TEST(RequestParser, PiecesOfAnEmptyBodyInChunks) {
  const std::string head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string body : {"0\r\n\r\n", "00\r\nT: t\r\n\r\n", "0;e=1\r\n\r\n"}) {
    for (std::size_t step = 1; step <= head.size() + body.size(); ++step) {
      RequestParser parser(1024, 1024);
      ASSERT_EQ(run(parser, head + body, step), ParseState::complete) << body << step;
      EXPECT_EQ(parser.take().body, "");
    }
  }
}

TEST(ResponseParser, PiecesOfAnEmptyBodyInChunks) {
  const std::string text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
  for (std::size_t step = 1; step <= text.size(); ++step) {
    ResponseParser parser(1024, false);
    std::string pending;
    ParseState state = ParseState::need_more;
    std::array<std::uint8_t, 16> out;
    for (std::size_t at = 0; at < text.size(); at += step) {
      pending += text.substr(at, step);
      do {
        std::size_t consumed = 0;
        std::size_t filled = 0;
        state = parser.feed(as_bytes(pending), consumed, out, filled);
        pending.erase(0, consumed);
        EXPECT_EQ(filled, 0U);
      } while (state == ParseState::header_done && !pending.empty());
    }
    EXPECT_EQ(state, ParseState::complete) << step;
  }
}

TEST(RequestParser, LimitsHoldForEveryPieceSize) {
  const std::string header =
      "GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(2000, 'a') + "\r\n\r\n";
  const std::string body = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + [] {
    std::string chunks;
    for (int i = 0; i < 300; ++i) chunks += "4\r\nabcd\r\n";
    return chunks;
  }();
  for (const std::size_t step : {1u, 7u, 100u, 1000u, 10000u}) {
    RequestParser one(1024, 1024);
    EXPECT_EQ(run(one, header, step), ParseState::failed);
    EXPECT_EQ(one.failed_status(), 431);
    RequestParser two(1024, 1024);
    EXPECT_EQ(run(two, body, step), ParseState::failed);
    EXPECT_EQ(two.failed_status(), 413);
  }
}

TEST(ResponseHead, WritesItsOwnFramingAndNoBrokenLines) {
  HttpResponse response;
  response.headers.set("content-length", "99");
  response.headers.set("Transfer-Encoding", "x");
  response.headers.set("A", "b");
  EXPECT_EQ(
      response_head(response, "D", 3, true),
      "HTTP/1.1 200 OK\r\nDate: D\r\nA: b\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
  );
  EXPECT_EQ(
      response_head(response, "D", std::nullopt, false),
      "HTTP/1.1 200 OK\r\nDate: D\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n"
  );
  response.status = 204;
  EXPECT_EQ(
      response_head(response, "D", 0, false), "HTTP/1.1 204 No Content\r\nDate: D\r\nA: b\r\n\r\n"
  );
  response.headers.set("B", "x\ny");
  EXPECT_FALSE(response_head(response, "D", 0, false));
}

TEST(HttpDate, IsTheOneOfRfc9110) {
  EXPECT_EQ(http_date({784'111'777, 0}), "Sun, 06 Nov 1994 08:49:37 GMT");
}

}  // namespace
}  // namespace tally::net
