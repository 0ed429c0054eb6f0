#include <gtest/gtest.h>

#include "tally/audit/journal.hpp"
#include "tally/usage/app_registry.hpp"

#include "sim/memory_store.hpp"
#include "usage/rig.hpp"

namespace tally::usage {
namespace {

using test::Rig;

App app(const std::string& name) {
  App app;
  app.id = AppId(name);
  app.purposes = {test::research};
  app.roles = {"urn:test:role:analyst"};
  app.agreements = {AgreementId("urn:test:a")};
  return app;
}

struct Registry {
  Rig rig;
  sim::StoreImage image;
  std::unique_ptr<sim::MemoryStore> store;
  std::unique_ptr<audit::Journal> journal;
  std::unique_ptr<AppRegistry> apps;

  Registry() { rig.start(), open(); }
  void open() {
    store = std::make_unique<sim::MemoryStore>(*rig.node, image);
    journal = std::make_unique<audit::Journal>(*store, *rig.log);
    apps = std::make_unique<AppRegistry>(*store, *journal, rig.node->clock(), rig.node->random());
    ASSERT_TRUE(apps->load());
  }
  void restart() {
    apps.reset();
    journal.reset();
    store.reset();
    rig.stop();
    rig.start();
    open();
  }
};

TEST(Apps, ARegisteredApplicationIsFoundByItsTokenAlsoAfterARestart) {
  Registry registry;
  const auto added = registry.rig.await(registry.apps->add(app("reader")));
  ASSERT_TRUE(added);
  EXPECT_GE(added->token.size(), 43U);
  for (int restart = 0; restart < 2; ++restart) {
    const auto found = registry.apps->find_by_token(added->token);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->id, AppId("reader"));
    EXPECT_EQ(found->purposes, std::vector<std::string>{test::research});
    EXPECT_EQ(found->agreements, std::vector<AgreementId>{AgreementId("urn:test:a")});
    EXPECT_FALSE(registry.apps->find_by_token(added->token + "x"));
    EXPECT_FALSE(registry.apps->find_by_token(""));
    EXPECT_FALSE(registry.apps->find_by_token(found->token_sha256));
    registry.restart();
  }
}

TEST(Apps, TheTokenStandsNowhere) {
  Registry registry;
  const auto added = registry.rig.await(registry.apps->add(app("reader")));
  ASSERT_TRUE(added);
  registry.rig.settle();
  const auto records = registry.rig.records("admin.action");
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].body["action"], "app.add");
  EXPECT_EQ(records[0].body["app"], "reader");
  for (const auto& [key, row] : registry.image.rows) {
    EXPECT_EQ(row.body.find(added->token), std::string::npos);
  }
  for (const auto& record : registry.rig.records()) {
    EXPECT_EQ(record.body.dump().find(added->token), std::string::npos);
    EXPECT_EQ(record.body.dump().find(added->app.token_sha256), std::string::npos);
  }
}

TEST(Apps, ARemovedApplicationIsGone) {
  Registry registry;
  const auto added = registry.rig.await(registry.apps->add(app("reader")));
  ASSERT_TRUE(added);
  EXPECT_TRUE(registry.rig.await(registry.apps->remove(AppId("reader"))));
  EXPECT_FALSE(registry.apps->find_by_token(added->token));
  EXPECT_TRUE(registry.apps->list().empty());
  const auto again = registry.rig.await(registry.apps->remove(AppId("reader")));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().message.code, "usage.unknown-app");
  registry.restart();
  EXPECT_FALSE(registry.apps->find_by_token(added->token));
  EXPECT_EQ(registry.rig.records("admin.action").size(), 2U);
}

TEST(Apps, AnApplicationIsRegisteredOnceAndProperly) {
  Registry registry;
  ASSERT_TRUE(registry.rig.await(registry.apps->add(app("reader"))));
  EXPECT_EQ(
      registry.rig.await(registry.apps->add(app("reader"))).error().message.code, "usage.app-exists"
  );
  ASSERT_TRUE(registry.rig.await(registry.apps->add(app("https://apps.example/triage#2"))));
  const std::vector<std::pair<const char*, void (*)(App&)>> faults = {
      {"id", [](App& one) { one.id = AppId(); }},
      {"id", [](App& one) { one.id = AppId("a b"); }},
      {"id", [](App& one) { one.id = AppId(std::string(129, 'a')); }},
      {"purposes", [](App& one) { one.purposes = {}; }},
      {"purposes", [](App& one) { one.purposes = {""}; }},
      {"roles", [](App& one) { one.roles.assign(65, "r"); }},
      {"agreements", [](App& one) { one.agreements = {AgreementId()}; }},
  };
  for (const auto& [member, fault] : faults) {
    App bad = app("other");
    fault(bad);
    const auto added = registry.rig.await(registry.apps->add(bad));
    ASSERT_FALSE(added) << member;
    EXPECT_EQ(added.error().message.code, "usage.app-invalid");
    EXPECT_EQ(added.error().message.params.at("member"), member);
  }
}

TEST(Apps, WhatTheLogDoesNotTakeIsNotRegistered) {
  Registry registry;
  registry.rig.disk.fail_write(1, true);
  const auto added = registry.rig.await(registry.apps->add(app("reader")));
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().kind, ErrorKind::unavailable);
  EXPECT_TRUE(registry.apps->list().empty());
}

TEST(Apps, ARequestCanOnlyNarrowTheRegistration) {
  App one = app("reader");
  one.purposes = {"p", "q"};
  struct Case {
    std::vector<std::string> asked, purposes, not_registered;
  };
  const std::vector<Case> cases = {
      {{}, {"p", "q"}, {}},
      {{"p"}, {"p"}, {}},
      {{"p", "q"}, {"p", "q"}, {}},
      {{"r"}, {}, {"r"}},
      {{"p", "r"}, {"p"}, {"r"}},
  };
  for (const auto& each : cases) {
    const auto narrowed = narrow_purposes(one, each.asked);
    EXPECT_EQ(narrowed.allowed, each.purposes);
    EXPECT_EQ(narrowed.not_registered, each.not_registered);
  }
  EXPECT_TRUE(may_use(one, AgreementId("urn:test:a")));
  EXPECT_FALSE(may_use(one, AgreementId("urn:test:b")));
  one.agreements.clear();
  EXPECT_TRUE(may_use(one, AgreementId("urn:test:b")));
}

}  // namespace
}  // namespace tally::usage
