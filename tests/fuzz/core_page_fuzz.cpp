// Any bytes as the Link field of an answer and as its packed body: a link never leads to another
// origin, and what is unpacked is within its bound. Seeds: written here (seeds.py).
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tally/core/gzip.hpp"
#include "tally/core/http.hpp"
#include "tally/core/link.hpp"

namespace {

void expect(bool good) {
  if (!good) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tally;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  constexpr std::size_t most = 1 << 20;
  if (const auto unpacked = gunzip(bytes, most)) expect(unpacked->size() <= most);
  Headers headers;
  headers.set("Accept-Encoding", std::string(bytes));
  (void)accepts_gzip(headers);
  headers.set("Link", std::string(bytes));
  const auto target = find_link(headers, "next");
  if (!target) return 0;
  constexpr std::string_view origin = "https://a.example:8443";
  const auto url = same_origin_url(std::string(origin) + "/dsp/catalog/request?x", *target);
  if (!url) return 0;
  // The origin itself, and then the end or what begins a path or a query.
  expect(url->size() >= origin.size());
  const auto rest = std::string_view(*url).substr(origin.size());
  expect(rest.empty() || rest.front() == '/' || rest.front() == '?');
  return 0;
}
