#include "http_parser.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>

#include <boost/beast/http/status.hpp>
#include <boost/beast/http/verb.hpp>

#include "tally/core/letters.hpp"

namespace tally::net {

namespace http = boost::beast::http;

namespace {

constexpr std::size_t most_fields = 128;

bool stays_in_its_line(std::string_view text) {
  // Three searches, each of many bytes at once: a receipt is a kilobyte.
  return text.find('\r') == std::string_view::npos && text.find('\n') == std::string_view::npos &&
         text.find('\0') == std::string_view::npos;
}

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::strchr("!#$%&'*+-.^_`|~", c) != nullptr;
  });
}

// Fields that describe the framing of this connection are ours alone to write.
bool is_framing(std::string_view name) {
  return same_name(name, "Content-Length") || same_name(name, "Transfer-Encoding") ||
         same_name(name, "Connection");
}

bool append_fields(std::string& head, const Headers& headers, bool skip_host) {
  for (const auto& [name, value] : headers.all()) {
    if (is_framing(name) || (skip_host && same_name(name, "Host"))) continue;
    if (!is_token(name) || !stays_in_its_line(value)) return false;
    head.append(name).append(": ").append(value).append("\r\n");
  }
  return true;
}

// Whether `unread` may be the beginning of a last chunk that is not all there: "0" and two line
// ends. Beast takes it for given that it is not asked about less once it has seen one begin.
bool may_be_last_chunk(std::span<const std::uint8_t> unread) {
  return !unread.empty() && unread.size() < 5 && unread.front() == '0';
}

}  // namespace

ParseState RequestParser::feed(std::span<const std::uint8_t> bytes, std::size_t& consumed) {
  for (;;) {
    const bool in_header = !is_header_done();
    if (!in_header && chunked() && may_be_last_chunk(bytes.subspan(consumed))) {
      return ParseState::need_more;
    }
    error_code ec;
    const std::size_t used = put({bytes.data() + consumed, bytes.size() - consumed}, ec);
    consumed += used;
    if (in_header) header_fed_ += used;
    if (ec == http::error::need_more) {
      // Beast counts the start line and the fields each by themselves, and lines of chunks not.
      if (in_header && header_fed_ + (bytes.size() - consumed) > header_bytes_) {
        return fail_with(431, "net.header-too-large");
      }
      if (!in_header && bytes.size() - consumed > header_bytes_) {
        return fail_with(400, "net.malformed-request");
      }
      return ParseState::need_more;
    }
    if (ec == http::error::header_limit) return fail_with(431, "net.header-too-large");
    if (ec == http::error::body_limit) return fail_with(413, "net.body-too-large");
    if (ec) return fail_with(failed_status_, failed_code_);
    if (is_done()) return ParseState::complete;
    if (is_header_done() && !header_reported_) {
      header_reported_ = true;
      return ParseState::header_done;
    }
    if (consumed == bytes.size()) return ParseState::need_more;
  }
}

ParseState RequestParser::fail_with(int status, const char* code) {
  failed_status_ = status;
  failed_code_ = code;
  return ParseState::failed;
}

void RequestParser::on_request_impl(
    http::verb, string_view method_text, string_view target, int version, error_code& ec
) {
  version_ = version;
  if (target.empty() || target.front() != '/') {
    ec = http::error::bad_target;  // neither proxy requests nor "*"
    return;
  }
  request_.method.assign(method_text.data(), method_text.size());
  request_.target.assign(target.data(), target.size());
}

void RequestParser::on_field_impl(
    http::field field, string_view name, string_view value, error_code& ec
) {
  if (request_.headers.all().size() == most_fields) {
    ec = http::error::header_limit;
    return;
  }
  if (field == http::field::host) ++hosts_;
  if (field == http::field::expect) {
    expects_continue_ = same_name({value.data(), value.size()}, "100-continue");
  }
  request_.headers.add(
      std::string(name.data(), name.size()), std::string(value.data(), value.size())
  );
}

void RequestParser::on_header_impl(error_code& ec) {
  // RFC 9112, 3.2: exactly one Host.
  if (hosts_ > 1 || (hosts_ == 0 && version_ == 11)) ec = http::error::bad_field;
}

void RequestParser::on_body_init_impl(const boost::optional<std::uint64_t>& length, error_code&) {
  if (length) request_.body.reserve(static_cast<std::size_t>(*length));
}

std::size_t RequestParser::on_body_impl(string_view body, error_code&) {
  request_.body.append(body.data(), body.size());
  return body.size();
}

std::size_t RequestParser::on_chunk_body_impl(std::uint64_t, string_view body, error_code&) {
  request_.body.append(body.data(), body.size());
  return body.size();
}

ParseState ResponseParser::feed(
    std::span<const std::uint8_t> bytes,
    std::size_t& consumed,
    std::span<std::uint8_t> out,
    std::size_t& filled
) {
  out_ = out;
  filled_ = filled;
  ParseState state = ParseState::need_more;
  for (;;) {
    if (is_done()) {
      state = ParseState::complete;
      break;
    }
    if (is_header_done() && filled_ == out_.size()) break;
    const bool in_header = !is_header_done();
    if (!in_header && chunked() && may_be_last_chunk(bytes.subspan(consumed))) break;
    error_code ec;
    const std::size_t used = put({bytes.data() + consumed, bytes.size() - consumed}, ec);
    consumed += used;
    if (in_header) header_fed_ += used;
    if (ec == http::error::need_more) {
      const std::size_t waiting = bytes.size() - consumed + (in_header ? header_fed_ : 0);
      if (waiting > header_bytes_) state = ParseState::failed;
      break;
    }
    if (ec) {
      state = ParseState::failed;
      break;
    }
    if (is_done()) continue;
    if (is_header_done() && !header_reported_) {
      header_reported_ = true;
      state = ParseState::header_done;
      break;
    }
    if (consumed == bytes.size()) break;
  }
  filled = filled_;
  out_ = {};
  return state;
}

bool ResponseParser::end() {
  if (is_done()) return true;
  if (!is_header_done() || !need_eof()) return false;
  error_code ec;
  put_eof(ec);
  return !ec;
}

std::optional<std::uint64_t> ResponseParser::length() const {
  const auto length = content_length();
  if (!length) return std::nullopt;
  return *length;
}

void ResponseParser::on_response_impl(int code, string_view, int, error_code&) {
  status_ = code;
}

void ResponseParser::on_field_impl(
    http::field, string_view name, string_view value, error_code& ec
) {
  if (headers_.all().size() == most_fields) {
    ec = http::error::header_limit;
    return;
  }
  headers_.add(std::string(name.data(), name.size()), std::string(value.data(), value.size()));
}

std::size_t ResponseParser::on_body_impl(string_view body, error_code&) {
  const std::size_t size = std::min(body.size(), out_.size() - filled_);
  std::copy_n(body.data(), size, out_.begin() + static_cast<std::ptrdiff_t>(filled_));
  filled_ += size;
  return size;
}

std::size_t ResponseParser::on_chunk_body_impl(std::uint64_t, string_view body, error_code& ec) {
  return on_body_impl(body, ec);
}

bool has_no_body(int status) {
  return status / 100 == 1 || status == 204 || status == 304;
}

std::optional<std::string> response_head(
    const HttpResponse& response,
    std::string_view date,
    std::optional<std::uint64_t> length,
    bool close
) {
  std::string head;
  // With room for a small body, which leaves together with it.
  std::size_t bytes = 256 + response.body.size();
  for (const auto& [name, value] : response.headers.all()) bytes += name.size() + value.size() + 4;
  head.reserve(bytes);
  const auto status = http::int_to_status(static_cast<unsigned>(response.status));
  const auto reason = http::obsolete_reason(status);
  head.append("HTTP/1.1 ").append(std::to_string(response.status)).append(" ");
  head.append(reason.data(), reason.size()).append("\r\nDate: ").append(date).append("\r\n");
  if (!append_fields(head, response.headers, false)) return std::nullopt;
  if (!has_no_body(response.status)) {
    if (length) {
      head.append("Content-Length: ").append(std::to_string(*length)).append("\r\n");
    } else {
      head.append("Transfer-Encoding: chunked\r\n");
    }
  }
  if (close) head.append("Connection: close\r\n");
  head.append("\r\n");
  return head;
}

std::optional<std::string> request_head(
    const HttpRequest& request, std::string_view target, std::string_view authority
) {
  std::string head;
  head.reserve(512);
  if (!is_token(request.method) || !stays_in_its_line(target)) return std::nullopt;
  head.append(request.method).append(" ").append(target).append(" HTTP/1.1\r\nHost: ");
  head.append(authority).append("\r\n");
  if (!append_fields(head, request.headers, true)) return std::nullopt;
  if (!request.body.empty() || (request.method != "GET" && request.method != "HEAD")) {
    head.append("Content-Length: ").append(std::to_string(request.body.size())).append("\r\n");
  }
  head.append("\r\n");
  return head;
}

std::string http_date(Instant at) {
  const std::time_t seconds = at.seconds;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  constexpr std::array days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array months{
      "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::array<char, 64> text{};
  const int size = std::snprintf(
      text.data(),
      text.size(),
      "%s, %02d %s %04d %02d:%02d:%02d GMT",
      days[static_cast<std::size_t>(parts.tm_wday)],
      parts.tm_mday,
      months[static_cast<std::size_t>(parts.tm_mon)],
      parts.tm_year + 1900,
      parts.tm_hour,
      parts.tm_min,
      parts.tm_sec
  );
  return {text.data(), static_cast<std::size_t>(size)};
}

}  // namespace tally::net
