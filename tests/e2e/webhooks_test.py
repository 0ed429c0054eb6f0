"""Webhooks: every event, in order, at least once, whatever happens to either side."""
import base64
import http.server
import json
import os
import sqlite3
import sys
import threading
import time
import unittest

import connectors
from connectors import COHORT, HEALTH, RESEARCH, SOURCE, Pair, World, eventually

sys.path.insert(0, os.path.join(SOURCE, "examples"))
import webhook_receiver  # noqa: E402

SECRET = "whsec_" + base64.b64encode(b"a key of thirty-two bytes for it").decode()
OTHER = "whsec_" + base64.b64encode(b"another of thirty-two bytes long").decode()


def setUpModule():
    global world, provider, consumer
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    write_key(provider)
    provider.offer()
    pair.start()


def write_key(connector, text=SECRET):
    with open(os.open(connector.path("webhook.key"), os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
        file.write(text + "\n")


class Receiver:
    """The example, with what it took and how often it was asked; `refusals`: statuses to begin with."""

    def __init__(self, *refusals, port=0, secret=SECRET, location=None, slow=0):
        self.taken, self.asked, self.paths, self.refusals = [], [], [], list(refusals)
        receiver = self

        class Handler(webhook_receiver.Receiver):
            def do_POST(self):
                receiver.paths.append(self.path)
                receiver.asked.append(self.headers["webhook-id"])
                time.sleep(slow)
                if receiver.refusals:
                    status = receiver.refusals.pop(0)
                    self.send_response(status)
                    if location:
                        self.send_header("Location", location)
                    self.send_header("Content-Length", "0")
                    return self.end_headers()
                try:
                    super().do_POST()
                except OSError:  # the connector was killed meanwhile
                    pass

        Handler.secret = secret
        Handler.take = lambda _, id, event: receiver.taken.append((id, event))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def ids(self):
        return [id for id, _ in self.taken]


def entry(name, port, **more):
    return {"name": name, "url": "http://127.0.0.1:%d/events" % port, "key": "webhook.key", **more}


def configure(*webhooks):
    provider.stop()
    provider.edit(lambda config: config.update(webhooks=list(webhooks)))
    provider.start()


def webhook(name):
    return [one for one in provider.items("webhooks") if one["name"] == name][0]


def length():
    return len(provider.records())


def events(since):
    """What the log has to tell from that record on, read without the program."""
    areas = ("approval.", "contract.", "policy.", "transfer.")
    return [("1-%d" % record["seq"], record["type"]) for record in provider.records()
            if record["seq"] >= since and record["type"].startswith(areas)]


def told(receiver):
    return [(id, event["type"]) for id, event in receiver.taken]


def once(ids):
    """Without what came again directly after itself."""
    return [id for at, id in enumerate(ids) if at == 0 or ids[at - 1] != id]


class Webhooks(unittest.TestCase):
    def receiver(self, *refusals, **more):
        receiver = Receiver(*refusals, **more)
        self.addCleanup(receiver.close)
        return receiver

    def test_all_in_order_though_the_receiver_fails_twice(self):
        receiver = self.receiver(503, 500)
        since = length()
        configure(entry("order", receiver.port))
        consumer.agree(provider)
        eventually(lambda: events(since) and told(receiver) == events(since)
                   and webhook("order")["behind"] == 0, "all are told")
        first = receiver.taken[0][0]
        self.assertEqual(receiver.asked[:4].count(first), 3, receiver.asked)
        self.assertEqual(once(receiver.asked), receiver.ids())
        for id, event in receiver.taken:
            self.assertEqual(event["id"], id)
            self.assertIn("time", event)
        shown = webhook("order")
        self.assertEqual((shown["failedAttempts"], shown["nextAttempt"]), (0, None))
        self.assertEqual(shown["lastAnswer"]["status"], 204)
        notices = [provider.notices("events.webhook-" + what) for what in ("failing", "again")]
        self.assertEqual([len([one for one in some if one["params"]["webhook"] == "order"])
                          for some in notices], [1, 1])

    def test_a_filter(self):
        receiver = self.receiver()
        since = length()
        configure(entry("few", receiver.port, events=["contract.finalized", "transfer"]))
        consumer.agree(provider)
        wanted = [one for one in events(since)
                  if one[1] == "contract.finalized" or one[1].startswith("transfer.")]
        self.assertTrue(wanted)
        eventually(lambda: told(receiver) == wanted)

    def test_a_call_of_another_key_is_refused_and_comes_again(self):
        receiver = self.receiver(secret=OTHER)
        since = length()
        configure(entry("signed", receiver.port))
        consumer.agree(provider)
        shown = eventually(lambda: webhook("signed")["failedAttempts"] > 1 and webhook("signed"))
        self.assertEqual(shown["lastAnswer"]["status"], 401)
        self.assertIsNotNone(shown["nextAttempt"])
        self.assertEqual(receiver.taken, [])
        receiver.close()
        again = self.receiver(port=receiver.port)
        eventually(lambda: told(again) == events(since))

    def test_a_redirect_is_not_followed(self):
        elsewhere = self.receiver()
        receiver = self.receiver(*[307] * 99, location="http://127.0.0.1:%d/" % elsewhere.port)
        here = self.receiver(*[308] * 99, location="/elsewhere")
        configure(entry("away", receiver.port), entry("here", here.port))
        consumer.agree(provider)
        for name, status in (("away", 307), ("here", 308)):
            shown = eventually(lambda: webhook(name)["failedAttempts"] > 1 and webhook(name))
            self.assertEqual(shown["lastAnswer"]["status"], status)
        self.assertEqual(set(receiver.paths + here.paths), {"/events"})
        self.assertEqual(elsewhere.paths, [])

    def test_nothing_is_lost_over_kills(self):
        receiver = self.receiver(slow=0.05)
        since = length()
        configure(entry("kills", receiver.port))
        for wait in (1, 3, 6):
            had = len(receiver.asked)
            receiver.refusals.append(503)  # what was refused is not lost either
            pid = consumer.begin("negotiations", {"peer": provider.party_json, "asset": COHORT,
                                                  "purposes": [RESEARCH]})
            eventually(lambda: len(receiver.asked) >= had + wait, "calls come")
            provider.kill9()
            provider.start()
            consumer.ended_process("negotiations", pid, ("FINALIZED", "TERMINATED"))
        eventually(lambda: set(receiver.ids()) >= {id for id, _ in events(since)}, "all are told")
        # Again is allowed, another order is not.
        self.assertEqual(once(receiver.ids()), [id for id, _ in events(since)])

    def test_one_that_is_down_is_taken_up_again_and_grows_nothing(self):
        receiver = Receiver()
        port = receiver.port
        receiver.close()
        since = length()
        configure(entry("down", port))
        for _ in range(3):
            consumer.agree(provider)
        shown = eventually(lambda: webhook("down")["failedAttempts"] > 0 and webhook("down"))
        self.assertIn("reason", shown["lastAnswer"])
        self.assertGreater(shown["behind"], 0)
        provider.stop()
        self.assertEqual(rows(), ["down"])
        receiver = self.receiver(port=port)
        provider.start()
        eventually(lambda: told(receiver) == events(since))
        # One that is not configured any more is forgotten.
        configure()
        provider.stop()
        self.assertEqual(rows(), [])
        provider.start()

    def test_what_is_too_old_is_dropped_and_the_gap_is_told(self):
        receiver = Receiver()
        port = receiver.port
        receiver.close()
        configure(entry("old", port, maxAgeSeconds=2, events=["contract.finalized"]))
        consumer.agree(provider)
        eventually(lambda: "gap" in webhook("old"), "it is dropped")
        dropped = webhook("old")["gap"]
        self.assertEqual(dropped["code"], "events.dropped")
        notices = provider.notices("events.webhook-dropped")
        self.assertEqual([one["params"]["webhook"] for one in notices], ["old"])
        provider.kill9()
        receiver = self.receiver(port=port)
        provider.start()
        consumer.agree(provider)
        eventually(lambda: len(receiver.taken) == 2)
        (gap_id, gap), (_, event) = receiver.taken
        self.assertEqual((gap["type"], gap["reason"]), ("log.gap", dropped))
        self.assertEqual(gap_id, "1-%s-gap" % dropped["params"]["first"])
        self.assertGreaterEqual(int(event["id"].split("-")[1]), int(dropped["params"]["first"]))
        self.assertNotIn("gap", webhook("old"))

    def test_who_may_see_them(self):
        configure(entry("seen", 9))
        self.assertEqual(provider.api("GET", "/api/v1/webhooks", token="").status, 401)
        # Its address may hold a secret.
        self.assertNotIn("url", webhook("seen"))

    def test_what_is_wrong_in_the_configuration_is_said(self):
        other = connectors.Connector(world, "other", "did:web:other.example", HEALTH)
        write_key(other, "secret")
        good = {"name": "a", "url": "https://a.example/", "key": "webhook.key"}
        for webhooks, code, pointer in (
                ([{**good, "url": "http://a.example/"}], "daemon.config-plain-program",
                 "/webhooks/0/url"),
                ([good, good], "daemon.config-program-twice", "/webhooks/1/name"),
                ([{"name": "a"}], "daemon.config-missing", "/webhooks/0/key"),
                ([{**good, "maxAgeSeconds": 0}], "daemon.config-type",
                 "/webhooks/0/maxAgeSeconds"),
                ([{**good, "events": ["contract", "weather"]}], "events.unknown-type",
                 "/webhooks/0/events"),
                ([{**good, "name": "a%d" % i} for i in range(17)], "daemon.config-type",
                 "/webhooks"),
                ([good], "events.key-malformed", "/webhooks/0/key")):
            with self.subTest(code=code, pointer=pointer):
                other.edit(lambda config: config.update(webhooks=webhooks))
                done = connectors.run(connectors.options.tallyd, "--check", other.folder,
                                      check=False)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(code, done.stdout + done.stderr)
                self.assertIn(pointer, done.stdout + done.stderr)


def rows():
    with sqlite3.connect("file:%s?mode=ro" % provider.path("tally.db"), uri=True) as store:
        return [id for id, in store.execute("SELECT id FROM row WHERE kind = 'webhook'")]


if __name__ == "__main__":
    connectors.main()
