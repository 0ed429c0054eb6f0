// What holds of every shape: the same as a plain model says, no original value anywhere, bounds,
// and an error that stays one.
#include <random>

#include "dataplane/shape_fixture.hpp"

namespace tally::dataplane {
namespace {

Json column(const char* name, const char* type = "text", const char* privacy = nullptr) {
  Json out{{"name", name}, {"type", type}, {"class", "personal"}};
  if (privacy != nullptr) out["privacy"] = privacy;
  return out;
}

Json constraint(const std::string& term, const char* op, const Json& value) {
  return {
      {"leftOperand", "urn:tally:profile:1#" + term}, {"operator", op}, {"rightOperand", value}};
}

Json duty(const std::string& action, const Json& parameters) {
  Json out{{"action", "urn:tally:profile:1#" + action}, {"constraint", Json::array()}};
  for (const auto& [name, value] : parameters.items()) {
    const Json typed =
        value.is_number() ? Json{{"@value", value.dump()}, {"@type", "xsd:integer"}} : value;
    out["constraint"].push_back(constraint(name, "eq", typed));
  }
  return out;
}

ShapePtr compiled(
    const Json& schema,
    const Json& constraints,
    const Json& duties,
    const std::string& media_type = "text/csv",
    const std::string& of = agreement
) {
  const auto policy = policy_of(constraints, duties);
  auto shape = shape_of(*policy, schema_of(schema, media_type), of);
  if (!shape) throw std::runtime_error(render(shape.error().front().message, Lang::en));
  return *shape;
}

// --- a model that knows nothing of streams -------------------------------------------------------

using Row = std::vector<std::u32string>;

std::string utf8(const std::u32string& text) {
  std::string out;
  for (const char32_t c : text) {
    if (c < 0x80) {
      out += static_cast<char>(c);
    } else if (c < 0x800) {
      out += static_cast<char>(0xC0 | (c >> 6));
      out += static_cast<char>(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
      out += static_cast<char>(0xE0 | (c >> 12));
      out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
      out += static_cast<char>(0x80 | (c & 0x3F));
    } else {
      out += static_cast<char>(0xF0 | (c >> 18));
      out += static_cast<char>(0x80 | ((c >> 12) & 0x3F));
      out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
      out += static_cast<char>(0x80 | (c & 0x3F));
    }
  }
  return out;
}

std::string field(const std::u32string& text, bool quote) {
  if (text.find_first_of(U",\"\r\n") == std::u32string::npos && !quote) return utf8(text);
  std::u32string out = U"\"";
  for (const char32_t c : text) out += c == U'"' ? std::u32string(U"\"\"") : std::u32string(1, c);
  return utf8(out + U"\"");
}

class Chance {
 public:
  explicit Chance(unsigned seed) : engine_(seed) {}
  std::size_t below(std::size_t n) { return engine_() % n; }
  std::u32string text() {
    static constexpr std::u32string_view letters = U"ab,\"\n\r中\U00020000é ";
    std::u32string out(1 + below(6), U' ');
    for (auto& c : out) c = letters[below(letters.size())];
    return out;
  }

 private:
  std::mt19937 engine_;
};

TEST(ShapedSource, AgreesWithAPlainModel) {
  const Json schema{
      {"columns", {column("n", "integer"), column("secret", "text", "name"), column("open")}}};
  const auto shape = compiled(
      schema,
      Json::array(
          {constraint("rowFilter", "eq", "n gteq 50"),
           constraint("columns", "isAnyOf", {"secret", "open"})}
      ),
      Json::array({duty("maskKeep", {{"column", "secret"}, {"keepHead", 1}, {"keepTail", 1}})})
  );
  for (unsigned seed = 0; seed < 60; ++seed) {
    Chance chance(seed);
    std::string input = "n,secret,open\n";
    std::string expected = "secret,open\r\n";
    for (std::size_t row = chance.below(40); row > 0; --row) {
      const std::size_t n = chance.below(100);
      const auto secret_text = chance.text();
      const auto open_text = chance.text();
      input += std::to_string(n) + "," + field(secret_text, chance.below(2) == 0) + "," +
               field(open_text, chance.below(2) == 0) + (chance.below(2) == 0 ? "\r\n" : "\n");
      if (n < 50) continue;
      std::u32string masked(secret_text.size(), U'*');
      if (masked.size() > 2) {
        masked.front() = secret_text.front();
        masked.back() = secret_text.back();
      }
      expected += field(masked, false) + "," + field(open_text, false) + "\r\n";
    }
    const std::size_t piece = 1 + chance.below(50);
    const auto out = shaped(input, shape, piece);
    ASSERT_TRUE(out) << "seed " << seed << ": " << render(out.error().message, Lang::en);
    EXPECT_EQ(*out, expected) << "seed " << seed;
  }
}

// --- original values
// ------------------------------------------------------------------------------

constexpr std::string_view canary = "CANARY";

TEST(ShapedSource, NoOriginalValueOfAMaskedColumnComesOut) {
  struct Form {
    const char* media_type;
    std::string input;
  };
  const std::vector<Form> forms{
      {"text/csv", "id,v\n1,CANARY-1\n2,\"CANARY,2\"\n"},
      {"application/x-ndjson", "{\"v\":\"CANARY-1\",\"id\":\"1\"}\n{\"v\":\"\\u0043ANARY\"}\n"},
      {"application/json", "[{\"v\":\"CANARY-1\"},{\"id\":\"2\",\"v\":\"CANARY\"}]"},
  };
  const std::vector<Json> masks{
      duty("maskKeep", {{"column", "v"}, {"keepHead", 2}, {"keepTail", 1}}),
      duty("pseudonymize", {{"column", "v"}}),
      duty("replaceValue", {{"column", "v"}, {"replaceWith", "x"}}),
      duty("replaceValue", {{"column", "v"}}),
      duty("dropColumn", {{"column", "v"}}),
  };
  const Json schema{{"columns", {column("id"), column("v", "text", "name")}}};
  const Json named = Json::array({constraint("columns", "isAnyOf", {"id", "v"})});
  for (const auto& form : forms) {
    // The control: without a mask they are there.
    const auto open = compiled(schema, named, Json::array(), form.media_type);
    EXPECT_NE(shaped(form.input, open, 4096)->find(canary), std::string::npos);
    for (const auto& mask : masks) {
      const auto shape = compiled(schema, Json::array(), Json::array({mask}), form.media_type);
      for (const std::size_t piece : piece_sizes) {
        const auto out = shaped(form.input, shape, piece);
        ASSERT_TRUE(out);
        EXPECT_EQ(out->find(canary), std::string::npos) << mask << *out;
      }
    }
  }
}

TEST(ShapedSource, NoFaultTellsWhatStandsInTheData) {
  const Json schema{{"columns", {column("id"), column("v")}}};
  const std::vector<std::pair<const char*, std::string>> inputs{
      {"text/csv", "CANARY,v\n1,2\n"},
      {"text/csv", "id,v\nCANARY\n"},
      {"text/csv", "id,v\n1,CANARY\"x\n"},
      {"text/csv", "id,v\n1,2,CANARY\n"},
      {"application/x-ndjson", "{\"CANARY\":1}\n"},
      {"application/x-ndjson", "{\"v\":CANARY}\n"},
      {"application/x-ndjson", "{\"v\":{\"x\":\"CANARY\"}}\n"},
      {"application/json", "[\"CANARY\"]"},
  };
  for (const auto& [media_type, input] : inputs) {
    const auto shape = compiled(schema, Json::array(), Json::array(), media_type);
    const auto out = shaped(input, shape, 7);
    ASSERT_FALSE(out) << input;
    for (const auto lang : {Lang::en, Lang::zh}) {
      EXPECT_EQ(render(out.error().message, lang).find(canary), std::string::npos);
    }
  }
}

TEST(ShapedSource, PseudonymsOfTwoAgreementsAreJoinedByANameAlone) {
  const Json schema{{"columns", {column("v", "text", "name"), column("w")}}};
  const auto made = [&](const std::string& of, const Json& more) {
    Json of_v{{"column", "v"}};
    Json of_w{{"column", "w"}};
    of_v.update(more);
    of_w.update(more);
    const Json masks = Json::array({duty("pseudonymize", of_v), duty("pseudonymize", of_w)});
    return *shaped("v,w\nsame,same\n", compiled(schema, Json::array(), masks, "text/csv", of), 64);
  };
  const Json none = Json::object();
  const Json joined{{"keyName", "cohort"}};
  EXPECT_EQ(made("urn:a", none), made("urn:a", none));
  EXPECT_NE(made("urn:a", none), made("urn:b", none));
  EXPECT_EQ(made("urn:a", joined), made("urn:b", joined));
  // Within one agreement two columns are not joined either.
  const std::string row = made("urn:a", none).substr(5);
  EXPECT_NE(row.substr(0, 32), row.substr(33, 32));
}

// --- what ends it --------------------------------------------------------------------------------

TEST(ShapedSource, IdentifyFindsWhatDoesNotFitBeforeAByteIsHandedOut) {
  const Json schema{{"columns", {column("a"), column("b")}}};
  const auto shape = compiled(schema, Json::array(), Json::array());
  ShapedSource source(std::make_unique<PiecesSource>("a,b\n1,2\n3\n", 64), shape, 1000);
  const auto identity = testing::run(source.identify());
  ASSERT_FALSE(identity);
  EXPECT_EQ(identity.error().message.code, "dataplane.csv-few-fields");
}

TEST(ShapedSource, AnErrorEndsABodyForGood) {
  const Json schema{{"columns", {column("a"), column("b")}}};
  const auto shape = compiled(schema, Json::array(), Json::array());
  const std::string input = "a,b\n1,2\n3\n4,5\n";
  PiecesSource source(input, 64);
  auto inner = testing::run(source.open(0, std::nullopt));
  auto body = shaped_body(std::move(*inner), input.size(), shape, 1000);
  std::array<std::uint8_t, 64> room{};
  ASSERT_TRUE(testing::run(body->read(room)));  // the header
  ASSERT_TRUE(testing::run(body->read(room)));  // the whole record
  for (int again = 0; again < 3; ++again) {
    const auto n = testing::run(body->read(room));
    ASSERT_FALSE(n);
    EXPECT_EQ(n.error().message.code, "dataplane.csv-few-fields");
  }
}

TEST(ShapedSource, ASourceThatEndsShortIsNoEnd) {
  const Json schema{{"columns", {column("a"), column("b")}}};
  const auto shape = compiled(schema, Json::array(), Json::array());
  // It ends between two records, so that nothing but its length tells.
  ShapedSource source(std::make_unique<PiecesSource>("a,b\n1,2\n3,4\n", 5, 8), shape, 1000);
  const auto identity = testing::run(source.identify());
  ASSERT_FALSE(identity);
  EXPECT_EQ(identity.error().message.code, "dataplane.short-source");
}

TEST(ShapedSource, ARecordHasABound) {
  const Json schema{{"columns", {column("a"), column("b")}}};
  const std::string longer(2000, 'x');
  const std::vector<std::pair<const char*, std::string>> inputs{
      {"text/csv", "a,b\n1,2\n" + longer + ",2\n"},
      {"text/csv", "a,b\n1,2\n1,\"" + longer},
      {"application/x-ndjson", "{}\n{\"a\":\"" + longer + "\"}\n"},
      {"application/json", "[{},\n{\"a\":\"" + longer},
  };
  for (const auto& [media_type, input] : inputs) {
    const auto shape = compiled(schema, Json::array(), Json::array(), media_type);
    for (const std::size_t piece : piece_sizes) {
      ShapedSource source(std::make_unique<PiecesSource>(input, piece), shape, 1000);
      const auto identity = testing::run(source.identify());
      ASSERT_FALSE(identity) << input;
      EXPECT_EQ(identity.error().message.code, "dataplane.record-too-long");
      EXPECT_EQ(identity.error().message.params.at("most"), "1000");
    }
  }
}

TEST(ShapedSource, TheIdentityIsOfTheShapeToo) {
  const Json schema{{"columns", {column("a"), column("b")}}};
  const auto identity = [](const ShapePtr& shape) {
    ShapedSource source(std::make_unique<PiecesSource>("a,b\n1,2\n", 64), shape, 1000);
    return *testing::run(source.identify());
  };
  const auto whole = compiled(schema, Json::array(), Json::array());
  const auto one =
      compiled(schema, Json::array(), Json::array({duty("pseudonymize", {{"column", "a"}})}));
  const auto other = compiled(
      schema,
      Json::array(),
      Json::array({duty("pseudonymize", {{"column", "a"}})}),
      "text/csv",
      "urn:example:agreement:other"
  );
  EXPECT_TRUE(whole->is_whole());
  EXPECT_FALSE(one->is_whole());
  EXPECT_EQ(identity(one), identity(one));
  EXPECT_NE(identity(whole).text, identity(one).text);
  EXPECT_NE(identity(one).text, identity(other).text);
  EXPECT_EQ(identity(whole).length, 10U);
}

// A record that is left out costs no room, and one that is handed out is read in small pieces.
TEST(ShapedSource, WhatIsPendingIsBounded) {
  const Json schema{{"columns", {column("a", "integer"), column("b")}}};
  const auto shape =
      compiled(schema, Json::array({constraint("rowFilter", "eq", "a eq 1")}), Json::array());
  std::string input = "a,b\n";
  for (int i = 0; i < 20000; ++i) input += "0,xxxxxxxxxxxxxxxx\n";
  input += "1,end\n";
  EXPECT_EQ(*shaped(input, shape, 1 << 16), "a,b\r\n1,end\r\n");
}

}  // namespace
}  // namespace tally::dataplane
