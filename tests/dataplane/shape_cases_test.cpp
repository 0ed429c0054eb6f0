// tests/data/shape: one file a case, with data, schema and what a policy asks; and what comes out,
// or which fault ends it, or what is wrong with the policy. Each is read in pieces of several
// sizes.
#include <filesystem>
#include <fstream>

#include "dataplane/shape_fixture.hpp"

namespace tally::dataplane {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> case_files() {
  std::vector<fs::path> files;
  for (const auto& file : fs::directory_iterator(fs::path(TALLY_SOURCE_DIR) / "tests/data/shape")) {
    files.push_back(file.path());
  }
  std::ranges::sort(files);
  return files;
}

std::string input_of(const Json& one) {
  if (!one.contains("inputBase64")) return one.at("input");
  const auto bytes = from_base64(one.at("inputBase64").get_ref<const std::string&>());
  return {bytes->begin(), bytes->end()};
}

void check_error(const Json& expected, const Error& found) {
  EXPECT_EQ(expected.at("code"), found.message.code);
  EXPECT_EQ(expected.at("params"), Json(found.message.params));
  const bool refused = found.message.code == "dataplane.too-many-rows";
  EXPECT_EQ(found.kind, refused ? ErrorKind::forbidden : ErrorKind::unavailable);
}

void check_problems(const Json& expected, const std::vector<odrl::Problem>& found) {
  Json list = Json::array();
  for (const auto& one : found) {
    list.push_back({{"code", one.message.code}, {"pointer", one.pointer}});
    // The rule is named, where one asked for it.
    const bool of_rule = one.message.code != "dataplane.shape-privacy" &&
                         one.message.code != "dataplane.shape-no-columns";
    EXPECT_EQ(one.message.params.contains("rule"), of_rule) << one.message.code;
  }
  EXPECT_EQ(expected, list);
}

class ShapeCase : public ::testing::TestWithParam<fs::path> {};

TEST_P(ShapeCase, Holds) {
  std::ifstream in(GetParam());
  const Json one = Json::parse(in);
  SCOPED_TRACE(one.at("title").get<std::string>());
  const auto schema = schema_of(one.at("schema"), one.at("mediaType"));
  const auto policy =
      policy_of(one.value("constraint", Json::array()), one.value("duty", Json::array()));
  const auto problems = check_shape(*policy, &schema, true);
  if (one.contains("problems")) return check_problems(one.at("problems"), problems);
  ASSERT_TRUE(problems.empty()) << problems.front().pointer
                                << render(problems.front().message, Lang::en);
  const auto shape = shape_of(*policy, schema);
  ASSERT_TRUE(shape);
  const std::string input = input_of(one);
  for (const std::size_t piece : piece_sizes) {
    SCOPED_TRACE("pieces of " + std::to_string(piece));
    const auto out = shaped(input, *shape, piece);
    if (one.contains("error")) {
      ASSERT_FALSE(out) << *out;
      check_error(one.at("error"), out.error());
      continue;
    }
    ASSERT_TRUE(out) << render(out.error().message, Lang::en);
    EXPECT_EQ(*out, one.at("expected").get<std::string>());
  }
  if (one.contains("error")) return;
  // A cut download goes on where it ended.
  const std::string whole = one.at("expected");
  for (std::size_t from = 0; from <= whole.size(); from += 1 + from / 3) {
    const auto rest = shaped(input, *shape, 7, from);
    ASSERT_TRUE(rest);
    EXPECT_EQ(*rest, whole.substr(from));
  }
}

std::string name_of(const ::testing::TestParamInfo<fs::path>& info) {
  std::string name = info.param.stem().string();
  std::ranges::replace(name, '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Files, ShapeCase, ::testing::ValuesIn(case_files()), name_of);

TEST(ShapeCases, AreThere) {
  EXPECT_GT(case_files().size(), 100U);
}

}  // namespace
}  // namespace tally::dataplane
