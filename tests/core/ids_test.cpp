#include "tally/core/ids.hpp"

#include <cstring>

#include <gtest/gtest.h>

#include "tally/core/clock.hpp"

namespace tally {
namespace {

class CountingRandom final : public Random {
 public:
  void fill(std::span<std::uint8_t> out) override {
    for (auto& byte : out) byte = next_++;
  }

 private:
  std::uint8_t next_ = 0;
};

TEST(Ids, APartyIsItsDomainAndItsUri) {
  const PartyId a{"health", "https://a.example/"};
  const PartyId b{"research", "https://a.example/"};
  EXPECT_NE(a, b);
  EXPECT_EQ(to_string(a), "health|https://a.example/");
}

TEST(Ids, UuidsHaveVersionAndVariant) {
  CountingRandom random;
  EXPECT_EQ(uuid_v4(random), "00010203-0405-4607-8809-0a0b0c0d0e0f");
  EXPECT_EQ(new_pid(random).value, "urn:uuid:10111213-1415-4617-9819-1a1b1c1d1e1f");
}

TEST(Ids, AnEventIdCarriesItsMillisecondAndOrdersByIt) {
  CountingRandom random;
  // RFC 9562, appendix A.6: 2022-02-22T19:22:22.000Z is 017F22E279B0.
  const Instant at{1645557742, 0};
  EXPECT_EQ(new_event(random, at).value.substr(0, 15), "017f22e2-79b0-7");
  EXPECT_LT(new_event(random, at), new_event(random, at + milliseconds(1)));
  EXPECT_EQ(uuid_v7(random, Instant{-5, 0}).substr(0, 13), "00000000-0000");
}

}  // namespace
}  // namespace tally
