"""The version that was tagged last and this one exchange, each as provider and as consumer: they
agree, pull, use, count, state their uses, and suspend and resume."""
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import connectors
from connectors import COHORT, RESEARCH, World, eventually, run


class Exchange(unittest.TestCase):
    def setUp(self):
        self.world = World()
        self.addCleanup(self.world.close)

    def pair(self, provides, consumes):
        """`provides` and `consumes`: the programs of one version each, (tallyd, tally)."""
        made = []
        for (tallyd, tally), name, uri in ((provides, "provider", connectors.HOSPITAL),
                                           (consumes, "consumer", connectors.INSTITUTE)):
            # Its folder is made by the version that runs it.
            connectors.options.tally = tally
            one = connectors.Connector(self.world, name, uri)
            one.program = tallyd
            made.append(one)
        provider, consumer = made
        provider.add_peer(consumer)
        consumer.add_peer(provider)
        provider.offer(count=3, until="2099-01-01T00:00:00Z", delete=True)
        provider.start()
        consumer.start()
        return provider, consumer

    def order(self, connector, agreement, what):
        answer = connector.api("POST", "/api/v1/agreements/%s/%s" % (agreement, what),
                               {"reason": "a check"})
        self.assertEqual(answer.status, 200, answer)

    def exchange(self, provides, consumes):
        provider, consumer = self.pair(provides, consumes)
        agreement = consumer.agree(provider)
        self.assertEqual(consumer.transfer(agreement)["state"], "COMPLETED")
        reader = consumer.app("reader", RESEARCH)
        answer = consumer.read(reader, agreement)
        self.assertEqual((answer.status, answer.body), (200, b"id,value\n1,2\n"))

        self.order(provider, agreement, "suspension")
        eventually(lambda: consumer.agreement(agreement)["state"] == "suspended", "both suspend")
        self.assertNotEqual(consumer.read(reader, agreement).status, 200)
        self.order(provider, agreement, "resumption")
        eventually(lambda: consumer.read(reader, agreement).status == 200, "both resume")
        self.assertEqual([consumer.read(reader, agreement).status for _ in range(2)], [200, 403])

        ended = consumer.api("POST", "/api/v1/agreements/%s/termination" % agreement,
                             {"reason": "over"})
        self.assertEqual(ended.status, 200, ended)
        eventually(lambda: [one for one in provider.records("statement.held")
                            if one["agreement"] == agreement], "the uses are stated")
        eventually(lambda: consumer.records("data.destroyed"), "and the data destroyed")
        eventually(lambda: provider.items("deletion-records"), "and the provider knows it")
        for one in (provider, consumer):
            self.assertEqual(one.stop(), 0)
        # This version judges both logs, alone and against each other.
        for one in (provider, consumer):
            run(connectors.options.current[1], "audit", "verify", "--deep", one.folder)
        done = run(connectors.options.current[1], "--json", "audit", "reconcile", provider.folder,
                   consumer.folder, check=False)
        lines = [line for line in json.loads(done.stdout)["lines"]
                 if line["agreement"] == agreement]
        self.assertTrue(lines)
        self.assertEqual({line["result"] for line in lines}, {"MATCH"}, lines)

    def test_the_previous_provides(self):
        self.exchange(connectors.options.previous, connectors.options.current)

    def test_the_previous_consumes(self):
        self.exchange(connectors.options.current, connectors.options.previous)


def main():
    """--previous-tallyd and --previous-tally name the version before; the rest is as of the others."""
    previous = {}
    for name in ("--previous-tallyd", "--previous-tally"):
        at = sys.argv.index(name)
        previous[name] = os.path.abspath(sys.argv[at + 1])
        del sys.argv[at:at + 2]
    connectors.options.previous = tuple(previous.values())
    here = [os.path.abspath(sys.argv[sys.argv.index(name) + 1]) for name in ("--tallyd", "--tally")]
    connectors.options.current = tuple(here)
    connectors.main()


if __name__ == "__main__":
    main()
