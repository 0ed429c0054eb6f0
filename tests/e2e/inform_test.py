"""Class 16: a party is told of each use, whatever happens to either side; who was not told in time
stops the uses."""
import base64
import contextlib
import http.server
import json
import os
import sqlite3
import sys
import threading
import unittest

import connectors
import wires
from connectors import COHORT, HEALTH, RESEARCH, SOURCE, Pair, World, eventually, policy

sys.path.insert(0, os.path.join(SOURCE, "examples"))
import webhook_receiver  # noqa: E402

ODRL = "http://www.w3.org/ns/odrl/2/"
TERM = "urn:tally:profile:1#"
REGISTRY = "urn:example:registry"
TIMED, TOLD, STRANGE = "urn:hospital:timed", "urn:hospital:told", "urn:hospital:strange"
SECRET = "whsec_" + base64.b64encode(b"a key of thirty-two bytes for it").decode()


def informing(party=None, within=None):
    constraints = []
    if party:
        constraints.append({"leftOperand": TERM + "informedParty", "operator": "eq",
                            "rightOperand": party})
    if within:
        constraints.append({"leftOperand": ODRL + "event", "operator": "gt",
                            "rightOperand": ODRL + "policyUsage"})
        constraints.append({"leftOperand": ODRL + "delayPeriod", "operator": "lteq",
                            "rightOperand": {"@value": within, "@type": "xsd:duration"}})
    duty = {"action": ODRL + "inform"}
    if constraints:
        duty["constraint"] = constraints
    return duty


def offer(connector, asset, name, duty):
    connector.offer(asset, name=name)
    document = policy(asset, count=1000)
    document["profile"] = "urn:tally:profile:1"
    document["permission"][0]["duty"] = [duty]
    connector.drop("policies", name, {"visibleTo": [{"domain": HEALTH}], "policy": document})


class Receiver:
    """The example of a webhook, with what it took; it refuses as long as it is told to."""

    def __init__(self):
        self.taken, self.refuses, self.asked = [], False, 0
        receiver = self

        class Handler(webhook_receiver.Receiver):
            def do_POST(self):
                receiver.asked += 1
                if receiver.refuses:
                    self.send_response(500)
                    self.send_header("Content-Length", "0")
                    return self.end_headers()
                super().do_POST()

        Handler.secret = SECRET
        Handler.take = lambda _, id, event: receiver.taken.append((id, event))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def entry(self):
        return {"name": "registry", "url": "http://127.0.0.1:%d/told" % self.server.server_port,
                "key": "webhook.key", "party": REGISTRY}


def setUpModule():
    global world, provider, consumer, receiver
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    receiver = Receiver()
    for connector in (provider, consumer):
        with open(os.open(connector.path("webhook.key"), os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
            file.write(SECRET + "\n")
    provider.edit(lambda config: config.update(webhooks=[receiver.entry()]))
    offer(provider, COHORT, "cohort", informing())
    offer(provider, TIMED, "timed", informing(within="PT1H"))
    offer(provider, TOLD, "told", informing(REGISTRY))
    offer(provider, STRANGE, "strange", informing("urn:example:nobody"))
    pair.start()
    global token
    token = consumer.app("reader", RESEARCH)


def held(asset):
    agreement = consumer.agree(provider, asset)
    assert consumer.transfer(agreement)["state"] == "COMPLETED"
    return agreement


def uses(agreement):
    """Ids of the uses that the consumer made, in order."""
    return [record["event"] for record in consumer.records("use.permitted")
            if record.get("agreement") == agreement]


def told(agreement):
    return [record["use"] for record in provider.records("inform.held")
            if record["agreement"] == agreement]


def named(agreement, kind):
    """The uses that the consumer's records of a kind name."""
    return [use for record in consumer.records(kind) if record["agreement"] == agreement
            for use in record["uses"]]


def read(agreement):
    return consumer.read(token, agreement)


class ProviderIsTold(unittest.TestCase):
    def test_1_of_each_use_once(self):
        agreement = type(self).agreement = held(COHORT)
        for _ in range(3):
            self.assertEqual(read(agreement).status, 200)
        eventually(lambda: len(told(agreement)) == 3, "told")
        self.assertEqual(told(agreement), uses(agreement))
        records = {record["event"]: record for record in consumer.records("use.permitted")}
        for record in provider.records("inform.held"):
            permitted = records[record["use"]]
            self.assertEqual(record["action"], "read")
            self.assertEqual(record["peer"]["seq"], permitted["seq"])
            self.assertEqual(record["at"], permitted["time"])
        shown = provider.get("/api/v1/agreements/%s/use-notices" % agreement)
        self.assertEqual({one["use"] for one in shown["told"]}, set(uses(agreement)))
        owed = lambda: consumer.get("/api/v1/agreements/%s/use-notices" % agreement)["notices"]
        eventually(lambda: {one["state"] for one in owed()} == {"delivered"}, "settled")
        self.assertEqual(sorted(named(agreement, "obligation.fulfilled")), sorted(uses(agreement)))

    def test_2_also_when_it_was_off_and_the_consumer_was_killed(self):
        agreement = self.agreement
        provider.stop()
        for _ in range(4):
            self.assertEqual(read(agreement).status, 200)
            consumer.kill9()
            consumer.start()
        self.assertEqual(read(agreement).status, 200)
        self.assertEqual(len(told(agreement)), 3)
        provider.start()
        eventually(lambda: len(told(agreement)) == len(uses(agreement)), "told", 60)
        self.assertEqual(sorted(told(agreement)), sorted(uses(agreement)))
        self.assertEqual(len(uses(agreement)), 8)
        self.assertEqual(sorted(named(agreement, "inform.issued")), sorted(uses(agreement)))

    def test_3_a_repeat_changes_nothing_and_what_was_not_signed_is_refused(self):
        with contextlib.closing(sqlite3.connect(
                "file:%s?mode=ro" % consumer.path("tally.db"), uri=True)) as store:
            body, = store.execute("SELECT body FROM row WHERE kind = 'use-notice' AND owner = ?",
                                  (self.agreement,)).fetchone()
        note, before = json.loads(body)["note"], told(self.agreement)
        for agreement, text, expected in (
                (self.agreement, note, 200),
                (self.agreement, note.replace('"action":"read"', '"action":"derive"'), 400),
                (self.agreement, "no note at all", 400),
                ("urn:uuid:none", note, 404)):
            answer = world_call(provider, "/tally/v1/use-notices",
                                {"agreement": agreement, "note": text})
            self.assertEqual(answer.status, expected, answer)
        self.assertEqual(told(self.agreement), before)


def world_call(connector, path, body):
    """A call by the consumer's own certificate."""
    context = world.authority.context(consumer.path("tls", "chain.pem"),
                                      consumer.path("tls", "key.pem"))
    return wires.call(connector.peers_port, "POST", path, body, context=context)


class WithinATime(unittest.TestCase):
    def test_1_what_is_not_told_in_time_stops_the_uses_until_it_is(self):
        agreement = held(TIMED)
        self.assertEqual(read(agreement).status, 200)
        eventually(lambda: len(told(agreement)) == 1, "told")
        provider.stop()
        self.assertEqual(read(agreement).status, 200)
        eventually(lambda: len([one for one in consumer.records("inform.issued")
                                if one["agreement"] == agreement]) == 2, "made")
        self.assertEqual(read(agreement).status, 200)  # not late yet
        consumer.clock(2 * 3600)

        def violated():
            return [record for record in consumer.records("obligation.violated")
                    if record["agreement"] == agreement]
        eventually(violated, "violated")
        self.assertEqual(violated()[0]["reason"]["code"], "transfer.not-informed")
        refused = read(agreement)
        self.assertEqual(refused.status, 403, refused)
        self.assertEqual(refused.json()["code"], "usage.duty-overdue")
        # A restart forgets none of it.
        consumer.kill9()
        consumer.start()
        self.assertEqual(read(agreement).status, 403)
        owed = consumer.get("/api/v1/agreements/%s/use-notices" % agreement)["notices"]
        self.assertIn(True, {one["overdue"] for one in owed})
        self.assertEqual(len(violated()), 1)
        provider.start()
        provider.clock(2 * 3600)
        eventually(lambda: read(agreement).status == 200, "told, and used again", 90)
        eventually(lambda: sorted(told(agreement)) == sorted(uses(agreement)), "all told")

    def test_2_the_logs_are_whole(self):
        for connector in (provider, consumer):
            self.assertEqual(connector.stop(), 0)
            code, report = connector.verify()
            self.assertEqual(code, 0, report)


class AnotherIsTold(unittest.TestCase):
    def test_1_by_a_program_that_is_configured_for_it(self):
        problems = provider.get("/api/v1/policies")["problems"]
        self.assertEqual([one["message"]["code"] if "message" in one else one["code"]
                          for one in problems], ["catalog.informed-party-unknown"], problems)
        process = consumer.negotiate(provider, TOLD)
        self.assertEqual(process["state"], "TERMINATED")
        self.assertEqual(process["reason"]["code"], "negotiation.informed-party-unknown", process)

        consumer.edit(lambda config: config.update(webhooks=[receiver.entry()]))
        consumer.stop()
        consumer.start()
        agreement = type(self).agreement = held(TOLD)
        receiver.refuses = True
        self.assertEqual(read(agreement).status, 200)
        eventually(lambda: receiver.asked, "asked")
        consumer.kill9()
        consumer.start()
        receiver.refuses = False
        self.assertEqual(read(agreement).status, 200)
        eventually(lambda: len(self.used()) == 2, "told", 60)
        self.assertEqual(sorted(self.used()), sorted(uses(agreement)))
        _, event = receiver.taken[0]
        self.assertEqual(event["type"], "use.notice")
        self.assertEqual(event["agreement"], agreement)
        self.assertIn("tally/use-notice/v1", event["note"])
        self.assertEqual(told(agreement), [])  # the provider was not to be

    def used(self):
        found = {}
        for id, event in receiver.taken:
            found[id] = [use["use"] for use in event["uses"]]
        return [use for one in found.values() for use in one]

    def test_2_and_is_told_of_nothing_else(self):
        self.assertEqual({event["type"] for _, event in receiver.taken}, {"use.notice"})


if __name__ == "__main__":
    connectors.main()
