"""The provider asks a consumer what was used under an agreement: signed statements and the list of its
records, equal to what its log adds up to, counted here once more from the records themselves."""
import collections
import json
import unittest

import connectors
import wires
from connectors import COHORT, MARKETING, RESEARCH, Connector, Pair, World, eventually

world = pair = provider = consumer = None


def setUpModule():
    global world, pair, provider, consumer
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    provider.offer(count=3)
    pair.start()


def added_up(side, agreement, first=1, last=1 << 62):
    """Uses, bytes and refusals of the records first..last of an agreement."""
    uses, size, refusals = 0, 0, collections.Counter()
    for record in side.records():
        if record.get("agreement") != agreement or not first <= record["aseq"] <= last:
            continue
        if record["type"] == "use.permitted":
            uses += 1
        elif record["type"] == "use.aborted":
            uses -= 1
        elif record["type"] == "use.executed":
            size += sum(one["bytes"] for one in record["uses"])
        elif record["type"] == "use.denied":
            reason = record["reason"]
            refusals[(reason[0] if isinstance(reason, list) else reason)["code"]] += 1
    return {"uses": uses, "bytes": size, "refusals": dict(refusals)}


def asked(side, agreement, *arguments, check=True):
    done = side.tally("--json", "statements", agreement, *arguments, check=check)
    return done.returncode, json.loads(done.stdout)


def numbers(sums):
    return {name: sums[name] for name in ("uses", "bytes", "refusals")}


class Asked(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.agreement = pair.held()
        cls.reader = consumer.app("reader", RESEARCH)
        cls.seller = consumer.app("seller", MARKETING)
        for token in [cls.reader] * 2 + [cls.seller] + [cls.reader] * 3:
            consumer.read(token, cls.agreement)
        # Completions are recorded a second later.
        eventually(lambda: added_up(consumer, cls.agreement)["bytes"] ==
                   3 * len(b"id,value\n1,2\n"), "they are recorded")

    def test_a_statements_say_what_the_log_adds_up_to(self):
        code, account = asked(provider, self.agreement)
        self.assertEqual((code, account["gaps"]), (0, []))
        expected = added_up(consumer, self.agreement)
        self.assertEqual(expected["uses"], 3)
        self.assertEqual(sum(expected["refusals"].values()), 3)
        self.assertEqual(numbers(account["sums"]), expected)
        total = collections.Counter()
        for statement in account["statements"]:
            said = added_up(consumer, self.agreement, **dict(
                zip(("first", "last"), (statement["aseq"]["from"], statement["aseq"]["to"]))))
            self.assertEqual(numbers(statement), said)
            total["uses"] += statement["uses"]
            total["bytes"] += statement["bytes"]
        self.assertEqual((total["uses"], total["bytes"]), (expected["uses"], expected["bytes"]))
        # Every record of the agreement in its own sequence, and nothing of who used it.
        own = [(record["aseq"], record["seq"], record["type"]) for record in consumer.records()
               if record.get("agreement") == self.agreement]
        listed = [(one["aseq"], one["seq"], one["type"]) for one in account["records"]]
        self.assertEqual(listed, own[:len(listed)])
        self.assertGreaterEqual(listed[-1][0], account["statements"][-1]["aseq"]["to"])
        self.assertNotIn("reader", json.dumps(account["records"]))
        # What was asked for is held as if it had come by itself.
        held = [one["number"] for one in provider.items("statement-records")]
        self.assertIn(account["statements"][-1]["number"], held)

    def test_b_what_comes_later_is_stated_later_and_asking_twice_states_nothing_new(self):
        _, before = asked(provider, self.agreement)
        _, again = asked(provider, self.agreement)
        self.assertEqual(again["statements"], before["statements"])
        consumer.read(self.reader, self.agreement)  # refused
        _, after = asked(provider, self.agreement)
        self.assertEqual(len(after["statements"]), len(before["statements"]) + 1)
        self.assertEqual(after["statements"][-1]["refusals"], {"usage.limit-reached": 1})
        self.assertEqual(after["gaps"], [])
        _, part = asked(provider, self.agreement, "--from", str(before["last"] + 1))
        self.assertTrue(part["records"])
        self.assertGreater(part["records"][0]["aseq"], before["last"])
        self.assertEqual(part["gaps"], [])

    def test_c_either_side_may_ask(self):
        code, account = asked(consumer, self.agreement)
        self.assertEqual((code, account["gaps"]), (0, []))
        self.assertEqual(numbers(account["sums"]), added_up(provider, self.agreement))

    def test_d_nobody_else_may(self):
        broker = Connector(world, "broker", connectors.BROKER)
        context = world.authority.context(broker.path("tls", "issued.pem"),
                                          broker.path("tls", "key.pem"))
        for path in ("statements", "uses"):
            answer = wires.call(consumer.peers_port, "GET", "/tally/v1/agreements/%s/%s" % (
                self.agreement, path), context=context)
            self.assertEqual(answer.status, 404, answer)
        answer = provider.api("POST", "/api/v1/agreements/urn:none/statements", {})
        self.assertEqual((answer.status, answer.code()), (404, "api.unknown-agreement"))

    def test_e_a_peer_that_is_off_is_said_to_be(self):
        consumer.stop()
        answer = provider.api("POST", "/api/v1/agreements/%s/statements" % self.agreement, {})
        self.assertEqual(answer.status, 503, answer)
        consumer.start()

    def test_f_after_the_end_it_can_be_asked_still(self):
        provider.tally("terminate", self.agreement, "--reason", "over")
        eventually(lambda: consumer.agreement(self.agreement)["state"] == "terminated")
        code, account = asked(provider, self.agreement)
        self.assertEqual((code, account["gaps"]), (0, []))
        expected = added_up(consumer, self.agreement)
        self.assertEqual(numbers(account["sums"]), expected)
        for side in (provider, consumer):
            self.assertEqual(side.verify()[0], 0)


if __name__ == "__main__":
    connectors.main()
