// What a pull leaves behind, for the tests of this folder.
#pragma once

#include <string>

#include <gtest/gtest.h>

#include "custody/machine.hpp"

namespace tally::custody {

inline void hold(
    test::Machine& m, const std::string& id, const std::string& agreement, const std::string& data
) {
  auto fill = [](test::Machine& machine, std::string name, std::string under, std::string text
              ) -> awaitable<Result<void>> {
    auto writer = co_await machine.custody->begin(ArtefactId(name));
    if (!writer) co_return fail(std::move(writer));
    auto written = co_await (*writer)->write(as_bytes(text));
    if (!written) co_return written;
    auto sealed = co_await (*writer)->finish();
    if (!sealed) co_return fail(std::move(sealed));
    Holding holding;
    holding.id = ArtefactId(name);
    holding.agreement = AgreementId(under);
    holding.provider = usage::test::provider;
    holding.process = Pid("urn:test:" + name);
    holding.content = sealed->content;
    holding.bytes = sealed->bytes;
    holding.received = machine.rig.node->clock().read().at;
    holding.state = HoldingState::held;
    std::vector<Holding> changed{std::move(holding)};
    std::vector<audit::RecordDraft> none;
    auto saved = co_await machine.holdings->save(std::move(changed), std::move(none));
    if (!saved) co_return fail(std::move(saved));
    co_return co_await machine.custody->publish(ArtefactId(name));
  };
  const auto held = m.run(fill(m, id, agreement, data));
  ASSERT_TRUE(held) << held.error().message.code;
}

}  // namespace tally::custody
