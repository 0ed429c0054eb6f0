#include "addresses.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tally::net {

namespace ip = boost::asio::ip;

namespace {

template <std::size_t Size>
struct Block {
  std::array<std::uint8_t, Size> prefix;
  unsigned bits;
  Reach reach;
};

constexpr auto private_ = Reach::private_network;

// The first that fits decides.
constexpr auto blocks_v4 = std::to_array<Block<4>>({
    {{169, 254, 169, 254}, 32, Reach::metadata},  // most clouds
    {{169, 254, 170, 2}, 32, Reach::metadata},    // AWS, of containers
    {{100, 100, 100, 200}, 32, Reach::metadata},  // Alibaba
    {{192, 0, 0, 192}, 32, Reach::metadata},      // Oracle
    {{168, 63, 129, 16}, 32, Reach::metadata},    // Azure
    {{0, 0, 0, 0}, 8, Reach::unusable},
    {{127, 0, 0, 0}, 8, Reach::loopback},
    {{10, 0, 0, 0}, 8, private_},
    {{172, 16, 0, 0}, 12, private_},
    {{192, 168, 0, 0}, 16, private_},
    {{100, 64, 0, 0}, 10, private_},
    {{169, 254, 0, 0}, 16, Reach::link_local},
    {{192, 0, 0, 0}, 24, Reach::unusable},
    {{198, 18, 0, 0}, 15, private_},  // benchmarks (RFC 2544)
    {{224, 0, 0, 0}, 4, Reach::multicast},
    {{240, 0, 0, 0}, 4, Reach::unusable},
});
constexpr auto blocks_v6 = std::to_array<Block<16>>({
    {{0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54}, 128, Reach::metadata},
    {{0xfd, 0x20, 0x00, 0xce, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54}, 128, Reach::metadata},
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 128, Reach::loopback},
    {{0}, 8, Reach::unusable},
    {{0x01}, 8, Reach::unusable},         // discard-only (RFC 6666)
    {{0x20, 0x01}, 32, Reach::unusable},  // Teredo: an IPv4 address, hidden
    {{0xfc}, 7, private_},
    {{0xfe, 0x80}, 10, Reach::link_local},
    {{0xfe, 0xc0}, 10, private_},  // site-local, as it once was
    {{0xff}, 8, Reach::multicast},
});

template <std::size_t Size>
bool is_in(const std::array<std::uint8_t, Size>& bytes, const Block<Size>& block) {
  for (unsigned bit = 0; bit < block.bits; bit += 8) {
    const unsigned left = block.bits - bit;
    const auto mask = static_cast<std::uint8_t>(left >= 8 ? 0xff : 0xff << (8 - left));
    if ((bytes[bit / 8] & mask) != (block.prefix[bit / 8] & mask)) return false;
  }
  return true;
}

template <class Bytes, class Blocks>
Reach look_up(const Bytes& bytes, const Blocks& blocks) {
  for (const auto& block : blocks) {
    if (is_in(bytes, block)) return block.reach;
  }
  return Reach::global;
}

// The IPv4 address that an IPv6 one leads to.
std::optional<ip::address_v4> embedded(const ip::address_v6::bytes_type& bytes) {
  const auto begins = [&](std::initializer_list<std::uint8_t> prefix) {
    return std::equal(prefix.begin(), prefix.end(), bytes.begin());
  };
  const auto at = [&](std::size_t from) {
    return ip::address_v4({bytes[from], bytes[from + 1], bytes[from + 2], bytes[from + 3]});
  };
  if (begins({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff})) return at(12);        // mapped
  if (begins({0x00, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0})) return at(12);  // RFC 6052
  if (begins({0x00, 0x64, 0xff, 0x9b, 0x00, 0x01})) return at(12);              // RFC 8215, /96
  if (begins({0x20, 0x02})) return at(2);                                       // 6to4
  return std::nullopt;
}

std::string_view code_of(Reach reach) {
  switch (reach) {
    case Reach::private_network:
      return "net.address-private";
    case Reach::loopback:
      return "net.address-loopback";
    case Reach::link_local:
      return "net.address-link-local";
    case Reach::metadata:
      return "net.address-metadata";
    case Reach::multicast:
      return "net.address-multicast";
    case Reach::global:
    case Reach::unusable:
      break;
  }
  return "net.address-unusable";
}

std::optional<ip::address> as_address(const std::string& host) {
  boost::system::error_code bad;
  auto address = ip::make_address(host, bad);
  if (bad) return std::nullopt;
  return address;
}

}  // namespace

Reach reach_of(const ip::address& address) {
  if (address.is_v4()) return look_up(address.to_v4().to_bytes(), blocks_v4);
  const auto bytes = address.to_v6().to_bytes();
  if (const auto inner = embedded(bytes)) return look_up(inner->to_bytes(), blocks_v4);
  return look_up(bytes, blocks_v6);
}

bool is_loopback(const std::string& host) {
  if (host == "localhost") return true;
  const auto address = as_address(host);
  return address && address->is_loopback();
}

Result<void> AllowedAddresses::check(const std::string& host, const ip::address& address) const {
  if (as_address(host)) return {};  // configured as it stands
  if (std::find(stated.begin(), stated.end(), address) != stated.end()) return {};
  const Reach reach = reach_of(address);
  const bool local = reach == Reach::loopback;
  if (host == "localhost" && local) return {};
  // That name means this machine and nothing else (RFC 6761, 6.3).
  if (host != "localhost") {
    if (reach == Reach::global) return {};
    if (private_networks && (local || reach == Reach::private_network)) return {};
  }
  return fail(
      ErrorKind::forbidden,
      {std::string(code_of(reach)), {{"host", host}, {"address", address.to_string()}}}
  );
}

}  // namespace tally::net
