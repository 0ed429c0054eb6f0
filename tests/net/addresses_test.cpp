#include "net/addresses.hpp"

#include <gtest/gtest.h>

namespace tally::net {
namespace {

TEST(Addresses, EachReachesWhatItsBlockSays) {
  const struct {
    const char* address;
    Reach reach;
  } cases[] = {
      {"8.8.8.8", Reach::global},
      {"172.15.255.255", Reach::global},
      {"172.16.0.0", Reach::private_network},
      {"172.31.255.255", Reach::private_network},
      {"172.32.0.0", Reach::global},
      {"10.0.0.0", Reach::private_network},
      {"192.168.255.255", Reach::private_network},
      {"192.169.0.0", Reach::global},
      {"100.63.255.255", Reach::global},
      {"100.64.0.1", Reach::private_network},
      {"100.127.255.255", Reach::private_network},
      {"100.128.0.0", Reach::global},
      {"127.0.0.1", Reach::loopback},
      {"127.255.255.254", Reach::loopback},
      {"169.254.169.254", Reach::metadata},
      {"169.254.169.253", Reach::link_local},
      {"100.100.100.200", Reach::metadata},
      {"0.0.0.0", Reach::unusable},
      {"0.1.2.3", Reach::unusable},
      {"224.0.0.0", Reach::multicast},
      {"239.255.255.255", Reach::multicast},
      {"240.0.0.1", Reach::unusable},
      {"255.255.255.255", Reach::unusable},
      {"2606:4700::1111", Reach::global},
      {"::", Reach::unusable},
      {"::1", Reach::loopback},
      {"::2", Reach::unusable},
      {"::7f00:1", Reach::unusable},
      {"fe80::1", Reach::link_local},
      {"febf::1", Reach::link_local},
      {"fc00::1", Reach::private_network},
      {"fdff::1", Reach::private_network},
      {"fd00:ec2::254", Reach::metadata},
      {"ff02::1", Reach::multicast},
      {"::ffff:10.0.0.1", Reach::private_network},
      {"::ffff:8.8.8.8", Reach::global},
      {"64:ff9b::169.254.169.254", Reach::metadata},
      {"64:ff9b::8.8.8.8", Reach::global},
      {"2002:7f00:1::", Reach::loopback},
      {"2001::1", Reach::unusable},
  };
  for (const auto& one : cases) {
    EXPECT_EQ(reach_of(boost::asio::ip::make_address(one.address)), one.reach) << one.address;
  }
}

}  // namespace
}  // namespace tally::net
