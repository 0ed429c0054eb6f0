"""Who asks too often is answered 429 and told when to ask again: by token, by peer, and an address
by tokens that are nobody's. However many are refused, the log gets one record of it."""
import unittest

import connectors
import wires
from connectors import Pair, World

CATALOG = "/dsp/2025-1/catalog/request"
REQUEST = {"@context": ["https://w3id.org/dspace/2025/1/context.jsonld"],
           "@type": "CatalogRequestMessage"}
# So low that also a slow machine asks more often.
LIMITS = {"peerCallsPerSecond": 5, "appCallsPerSecond": 20, "managementCallsPerSecond": 20,
          "failedTokensAtOnce": 5}


def setUpModule():
    global world, provider, consumer
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    provider.offer()
    provider.edit(lambda config: config.update(limits=LIMITS))
    pair.start()


class Limited(unittest.TestCase):
    def flood(self, ask, first, code, least):
        """Asks until refused; the refusal says why and until when. Returns what came before."""
        before = []
        for _ in range(2000):
            answer = ask()
            if answer.status == 429:
                break
            before.append(answer.status)
        self.assertEqual(answer.status, 429)
        self.assertLessEqual(set(before), {first})
        self.assertGreaterEqual(len(before), least)
        self.assertEqual(answer.code(), code)
        self.assertEqual(answer.headers["retry-after"], "1")
        self.assertIn("1 s", answer.json()["detail"])
        self.refused.add((self.listener, code))
        return before

    refused = set()

    def test_1_an_application(self):
        self.listener = "apps"
        token, other = provider.app("one", "urn:p"), provider.app("two", "urn:p")
        ask = lambda of: wires.call(provider.apps_port, "GET", "/api/v1/my-agreements", token=of)
        self.flood(lambda: ask(token), 200, "api.calls-limited", 40)
        self.assertEqual(ask(other).status, 200)

    def test_2_a_token_of_the_management_api(self):
        self.listener = "management"
        token = provider.add_token("busy", "auditor")
        self.assertEqual(provider.stop(), 0)
        type(self).recorded_before = len(provider.records("calls.limited"))
        provider.start()
        self.flood(lambda: provider.api("GET", "/api/v1/assets", token=token), 200,
                   "api.calls-limited", 40)
        self.assertGreaterEqual(provider.get("/api/v1/status")["callsLimited"], 1)

    def test_3_a_peer(self):
        self.listener = "peers"
        mine = world.authority.context(consumer.path("tls", "chain.pem"),
                                       consumer.path("tls", "key.pem"))
        self.flood(lambda: wires.call(provider.peers_port, "POST", CATALOG, REQUEST,
                                      context=mine), 200, "api.calls-limited", 1)

    def test_4_tokens_that_are_nobodys(self):
        self.listener = "management"
        wrong = lambda: provider.api("GET", "/api/v1/status", token="nobody's")
        before = self.flood(wrong, 401, "api.tokens-limited", 5)
        self.assertLess(len(before), 30)
        # The address is that of whoever has a good one; and who shows none has tried none.
        self.assertEqual(provider.api("GET", "/api/v1/status").status, 200)
        self.assertEqual(provider.api("GET", "/api/v1/status", token="").status, 401)
        # The same address at another listener.
        self.listener = "apps"
        self.flood(lambda: wires.call(provider.apps_port, "GET", "/api/v1/my-agreements",
                                      token="nobody's"), 401, "api.tokens-limited", 0)

    def test_5_one_record_and_one_line_for_each_listener_and_reason(self):
        refused = provider.get("/api/v1/status")["callsLimited"]
        told = provider.api("GET", "/metrics").body.decode()
        self.assertIn('tally_calls_limited_total{listener="management",reason="api.tokens-limited"}',
                      told)
        self.assertEqual(provider.stop(), 0)
        records = provider.records("calls.limited")
        of_each = [(one["listener"], one["reason"]["code"]) for one in records]
        self.assertEqual(set(of_each), self.refused)
        # One stop before this one, and a minute may have ended between.
        self.assertLessEqual(len(records), 2 * len(self.refused) + 1)
        counted = sum(one["count"] for one in records[self.recorded_before:])
        self.assertGreaterEqual(counted, refused)
        lines = provider.notices("daemon.calls-limited")
        self.assertEqual([(one["params"]["listener"], one["params"]["reason"]) for one in lines],
                         of_each)
        self.assertNotIn("127.0.0.1", repr(records))
        self.assertEqual(provider.verify()[0], 0)
        provider.start()


if __name__ == "__main__":
    connectors.main()
