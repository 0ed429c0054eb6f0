// Beast's HTTP/1.1 parsers, made to write straight into the values of core/http.hpp. Bytes in,
// message out; no transport. One parser per message.
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include "tally/core/http.hpp"

namespace tally::net {

enum class ParseState { need_more, header_done, complete, failed };

class RequestParser : public boost::beast::http::basic_parser<true> {
 public:
  RequestParser(std::size_t header_bytes, std::size_t body_bytes) : header_bytes_(header_bytes) {
    header_limit(static_cast<std::uint32_t>(header_bytes));
    body_limit(body_bytes);
  }

  // Takes what it can from `bytes`, adding to `consumed`; what is left must be given again, with
  // more behind it. header_done is returned once, after the header of a message with a body.
  ParseState feed(std::span<const std::uint8_t> bytes, std::size_t& consumed);

  // After `failed`: the status of the answer and the code that says why.
  [[nodiscard]] int failed_status() const { return failed_status_; }
  [[nodiscard]] const char* failed_code() const { return failed_code_; }

  [[nodiscard]] bool wants_close() const { return !keep_alive(); }
  [[nodiscard]] bool expects_continue() const { return expects_continue_; }
  // What has been read of them, also after `failed`.
  [[nodiscard]] const Headers& headers() const { return request_.headers; }
  HttpRequest take() { return std::move(request_); }

 private:
  using error_code = boost::beast::error_code;
  using string_view = boost::beast::string_view;

  void on_request_impl(
      boost::beast::http::verb method,
      string_view method_text,
      string_view target,
      int version,
      error_code& ec
  ) override;
  void on_response_impl(int, string_view, int, error_code&) override {}
  void on_field_impl(
      boost::beast::http::field field, string_view name, string_view value, error_code& ec
  ) override;
  void on_header_impl(error_code& ec) override;
  void on_body_init_impl(const boost::optional<std::uint64_t>& length, error_code& ec) override;
  std::size_t on_body_impl(string_view body, error_code& ec) override;
  void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, string_view body, error_code& ec) override;
  void on_finish_impl(error_code&) override {}

  ParseState fail_with(int status, const char* code);

  std::size_t header_bytes_;
  std::size_t header_fed_ = 0;
  std::size_t hosts_ = 0;
  int version_ = 11;
  bool header_reported_ = false;
  bool expects_continue_ = false;
  int failed_status_ = 400;
  const char* failed_code_ = "net.malformed-request";
  HttpRequest request_;
};

// Interim answers (1xx) must be skipped by the caller with a fresh parser.
class ResponseParser : public boost::beast::http::basic_parser<false> {
 public:
  ResponseParser(std::size_t header_bytes, bool head_request) : header_bytes_(header_bytes) {
    header_limit(static_cast<std::uint32_t>(header_bytes));
    body_limit(boost::none);  // the reader of the body sets the bound
    skip(head_request);
  }

  // Stops after the header, or when `out` is full. `filled` counts bytes of body written to `out`.
  ParseState feed(
      std::span<const std::uint8_t> bytes,
      std::size_t& consumed,
      std::span<std::uint8_t> out,
      std::size_t& filled
  );
  // The connection has ended. True if the message is complete with that.
  bool end();

  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] Headers& headers() { return headers_; }
  [[nodiscard]] std::optional<std::uint64_t> length() const;
  [[nodiscard]] bool can_be_kept() const { return keep_alive(); }

 private:
  using error_code = boost::beast::error_code;
  using string_view = boost::beast::string_view;

  void on_request_impl(boost::beast::http::verb, string_view, string_view, int, error_code&)
      override {}
  void on_response_impl(int code, string_view reason, int version, error_code& ec) override;
  void on_field_impl(
      boost::beast::http::field field, string_view name, string_view value, error_code& ec
  ) override;
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(string_view body, error_code& ec) override;
  void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, string_view body, error_code& ec) override;
  void on_finish_impl(error_code&) override {}

  std::size_t header_bytes_;
  std::size_t header_fed_ = 0;
  bool header_reported_ = false;
  int status_ = 0;
  Headers headers_;
  std::span<std::uint8_t> out_;
  std::size_t filled_ = 0;
};

// Status line and fields of an answer, up to and with the empty line; nullopt if a field would
// break out of its line. `length` absent: chunked.
std::optional<std::string> response_head(
    const HttpResponse& response,
    std::string_view date,
    std::optional<std::uint64_t> length,
    bool close
);
bool has_no_body(int status);  // 1xx, 204, 304

// Request line and fields, Host and Content-Length included; nullopt as above.
std::optional<std::string> request_head(
    const HttpRequest& request, std::string_view target, std::string_view authority
);

// "Sun, 06 Nov 1994 08:49:37 GMT"
std::string http_date(Instant at);

}  // namespace tally::net
