"""Duties that the other side confirms: a sale (IDS class 19), a rental (20), a consent (23), a payment
that is owed after the use, and exports that need the provider's owner. What waits is refused where it
is asked for, at the consumer's read and at the provider's call; a withdrawal ends it, also in a running
stream; all of it over kill -9 and with the other side off; and nobody but the provider says so."""
import calendar
import json
import os
import re
import sqlite3
import subprocess
import tempfile
import time
import unittest

import connectors
import signed_log
import wires
from connectors import RESEARCH, Pair, World, eventually, run

ODRL, TALLY = "http://www.w3.org/ns/odrl/2/", "urn:tally:profile:1#"
SALE, CALL, RENT, CONSENT, LATER, EXPORT, LARGE = (
    "urn:hospital:" + name
    for name in ("sale", "call", "rent", "consent", "later", "export", "large"))
LARGE_BYTES = bytes(48 << 20)  # more than what the sockets of a connection hold
WORDS = "please, for Dr. Who"
DAY = 86400

world = pair = provider = consumer = None


def term(operand, operator, value, kind=None):
    right = {"@value": value, "@type": "xsd:" + kind} if kind else value
    return {"leftOperand": operand, "operator": operator, "rightOperand": right}


AMOUNT = [term(TALLY + "payAmount", "gteq", "5.00", "decimal"),
          term(TALLY + "currency", "eq", "urn:currency:eur")]
PAY = {"action": ODRL + "compensate", "constraint": AMOUNT}
RENTAL = {"action": ODRL + "compensate",
          "constraint": AMOUNT + [term(TALLY + "paidWithin", "lteq", "P30D", "duration")]}
POSTPAID = {"action": ODRL + "compensate",
            "constraint": AMOUNT + [term(ODRL + "event", "gt", ODRL + "policyUsage"),
                                    term(ODRL + "delayPeriod", "lteq", "P7D", "duration")]}
BY_PATIENT = {"action": ODRL + "obtainConsent",
              "constraint": [term(TALLY + "consentingParty", "eq", "urn:party:patients")]}
BY_OWNER = {"action": ODRL + "obtainConsent",
            "constraint": [term(TALLY + "consentingParty", "eq", connectors.HOSPITAL)]}
FILL = {"action": ODRL + "archive"}


def offer(asset, permissions, **options):
    name = asset.rsplit(":", 1)[1]
    provider.offer(asset, name=name, **options)
    provider.drop("policies", name, {
        "visibleTo": [{"domain": connectors.HEALTH}],
        "policy": {
            "@context": "http://www.w3.org/ns/odrl.jsonld", "@type": "Offer",
            "@id": asset + ":offer", "target": asset, "profile": "urn:tally:profile:1",
            "permission": permissions}})


def setUpModule():
    global world, pair, provider, consumer
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    read = {"action": ODRL + "read"}
    offer(SALE, [FILL, {**read, "duty": [PAY]}])
    offer(CALL, [{"action": "use", "duty": [PAY]}], delivery="call")
    offer(RENT, [FILL, {**read, "duty": [RENTAL]}])
    offer(CONSENT, [FILL, {**read, "duty": [BY_PATIENT]}])
    offer(LATER, [FILL, {**read, "duty": [POSTPAID]}])
    offer(EXPORT, [FILL, read, {"action": TALLY + "export", "duty": [BY_OWNER]}])
    offer(LARGE, [FILL, {**read, "duty": [BY_PATIENT]}], content=LARGE_BYTES)
    pair.start()


def context_of(side):
    return world.authority.context(side.path("tls", "chain.pem"), side.path("tls", "key.pem"))


def told(agreement, state="confirmed"):
    """The consumer was told, and it stands in its log."""
    eventually(lambda: duty(consumer, agreement)["state"] == state, "the consumer is told " + state)


def duty(side, agreement):
    return side.get("/api/v1/agreements/%s/duties" % agreement)["items"][0]


def records(side, agreement, *types):
    return [one for one in side.records(*types) if one.get("agreement") == agreement]


class Case(unittest.TestCase):
    def setUp(self):
        for side in (provider, consumer):
            if side.ended():  # a test that failed left it so
                side.kill9()
                side.start()
        self.name = "app-%d" % time.monotonic_ns()
        self.token = consumer.app(self.name, RESEARCH)

    def read(self, agreement, what="data"):
        answer = wires.call(consumer.apps_port, "GET", "/api/v1/%s/%s" % (what, agreement),
                            token=self.token)
        return answer.status if answer.status == 200 else answer.code()

    def rehearsed(self, agreement, action="read"):
        answer = consumer.api("POST", "/api/v1/decisions", {
            "agreement": agreement, "app": self.name, "action": (
                TALLY if action == "export" else ODRL) + action}).json()
        return answer["decision"] if answer["decision"] == "permit" else answer["code"]

    def mine(self, agreement):
        items = wires.call(consumer.apps_port, "GET", "/api/v1/my-agreements",
                           token=self.token).json()["items"]
        return [one for one in items if one["agreement"] == agreement][0]

    def confirm(self, agreement, reference, *more):
        provider.tally("confirm", agreement, "--reference", reference, *more)


class Sale(Case):
    def test_a_read_waits_for_the_payment(self):
        agreement = pair.held(SALE)
        self.assertEqual(self.read(agreement), "usage.confirmation-missing")
        self.assertEqual(self.rehearsed(agreement), "usage.confirmation-missing")
        said = consumer.read(self.token, agreement).json()
        self.assertEqual(said["reason"], "condition-unfulfilled")
        for part in (provider.uri, "tally confirm " + agreement, "/permission/1/duty/0"):
            self.assertIn(part, said["detail"])
        self.assertEqual(self.mine(agreement)["duties"][0]["state"], "due")
        self.assertNotIn("read", self.mine(agreement)["actions"])
        denied = records(consumer, agreement, "use.denied")[-1]
        self.assertEqual(denied["decision"]["reason"], "condition-unfulfilled")

        self.confirm(agreement, "INV-2026/17", "--duty", "compensate")
        told(agreement)
        self.assertEqual(self.read(agreement), 200)
        self.assertEqual(self.rehearsed(agreement), "permit")
        self.assertIn("read", self.mine(agreement)["actions"])
        shown = consumer.agreement(agreement)["duties"][0]
        self.assertEqual((shown["state"], shown["parameters"]["payAmount"]), ("confirmed", "5.00"))
        # On both sides, known by the same name; by which reference only the provider knows.
        [ours], [theirs] = (records(side, agreement, "duty.confirmed") for side in (provider, consumer))
        self.assertEqual(ours["confirmation"], theirs["confirmation"])
        self.assertEqual(ours["content"], theirs["content"])
        self.assertEqual(sorted(ours["decidedBy"]), ["role", "token"])
        for side in (provider, consumer):
            self.assertFalse([one for one in side.entries() if b"INV-2026" in one])
        self.assertEqual(duty(provider, agreement)["confirmations"][0]["reference"], "INV-2026/17")
        self.assertNotIn("reference", duty(consumer, agreement)["confirmations"][0])
        # The same again is the same.
        self.confirm(agreement, "INV-2026/17")
        self.assertEqual(len(records(provider, agreement, "duty.confirmed")), 1)

    def test_who_owes_it_does_not_confirm_it(self):
        agreement = pair.held(SALE)
        answer = consumer.api("POST", "/api/v1/agreements/%s/confirmations" % agreement,
                              {"reference": "mine"})
        self.assertEqual((answer.status, answer.code()), (403, "transfer.confirmed-by-provider"))
        for body, status, code in [
                ({"reference": "no blanks"}, 400, "transfer.reference-malformed"),
                ({"reference": "x" * 65}, 400, "transfer.reference-malformed"),
                ({"reference": "r", "duty": "delete"}, 404, "usage.unknown-duty"),
                ({"reference": "r", "at": "2999-01-01T00:00:00Z"}, 400, "transfer.confirmed-ahead"),
                ({}, 400, "core.member-missing")]:
            answer = provider.api("POST", "/api/v1/agreements/%s/confirmations" % agreement, body)
            self.assertEqual((answer.status, answer.code()), (status, code), body)
        self.assertEqual(self.read(agreement), "usage.confirmation-missing")
        self.assertEqual(records(provider, agreement, "duty.confirmed"), [])

    def test_the_providers_call_waits_too(self):
        agreement = consumer.agree(provider, CALL)
        pid = consumer.begin("transfers", {"agreement": agreement, "format": "HttpData-QUERY"})
        address = eventually(
            lambda: [a for a in [consumer.api("GET", "/api/v1/transfers/%s/address" % pid)]
                     if a.status == 200], "it is started")[0].json()
        path = "/data/" + consumer.get("/api/v1/transfers/" + pid)["peerPid"]

        def call():
            answer = wires.call(provider.peers_port, "GET", path, context=context_of(consumer),
                                headers={"Authorization": address["authorization"]})
            return answer.status if answer.status == 200 else answer.code()
        self.assertEqual(call(), "usage.confirmation-missing")
        self.confirm(agreement, "call-1")
        self.assertEqual(call(), 200)
        provider.tally("withdraw", agreement, "--reference", "call-1")
        self.assertEqual(call(), "usage.confirmation-withdrawn")
        answer = provider.api("POST", "/api/v1/agreements/%s/confirmations" % agreement,
                              {"reference": "call-1"})
        self.assertEqual((answer.status, answer.code()), (409, "transfer.reference-withdrawn"))
        self.confirm(agreement, "call-2")
        self.assertEqual(call(), 200)


class Consent(Case):
    def test_a_withdrawal_is_the_end_at_the_next_use(self):
        agreement = pair.held(CONSENT)
        self.assertEqual(self.read(agreement), "usage.consent-missing")
        self.confirm(agreement, "file-7")
        told(agreement)
        self.assertEqual(self.read(agreement), 200)
        provider.tally("withdraw", agreement, "--reference", "file-7")
        told(agreement, "withdrawn")
        self.assertEqual(self.read(agreement), "usage.confirmation-withdrawn")
        self.assertEqual(self.rehearsed(agreement), "usage.confirmation-withdrawn")
        for side in (provider, consumer):
            self.assertEqual(len(records(side, agreement, "duty.withdrawn")), 1)

    def test_a_withdrawal_cuts_a_running_stream(self):
        agreement = pair.held(LARGE)
        self.confirm(agreement, "stream")
        told(agreement)
        connection = wires.connect(consumer.apps_port, None)
        self.addCleanup(connection.close)
        connection.sendall(("GET /api/v1/data/%s HTTP/1.1\r\nHost: localhost\r\n"
                            "Authorization: Bearer %s\r\n\r\n" % (agreement, self.token)).encode())
        head = connection.recv(4096).decode("latin-1")
        self.assertTrue(head.startswith("HTTP/1.1 200 "), head)
        use = re.search(r"\r\nTally-Use: (\S+)\r\n", head).group(1)
        provider.tally("withdraw", agreement, "--reference", "stream")
        told(agreement, "withdrawn")
        began, total = time.monotonic(), 0
        try:
            while piece := connection.recv(1 << 20):
                total += len(piece)
        except OSError:
            pass
        self.assertLess(time.monotonic() - began, 1.0)
        self.assertLess(total, len(LARGE_BYTES) - (1 << 20))
        eventually(lambda: [one for record in consumer.records("use.executed")
                            for one in record["uses"]
                            if one["use"] == use and one.get("outcome") == "cut"], "it was cut")

    def test_over_kill_9_and_with_the_other_side_off(self):
        agreement = pair.held(CONSENT)
        consumer.stop()
        self.confirm(agreement, "night-1")
        provider.kill9()
        consumer.start()
        # Nothing was said here yet.
        self.assertEqual(self.read(agreement), "usage.consent-missing")
        provider.start()
        told(agreement)
        self.assertEqual(duty(provider, agreement)["state"], "confirmed")
        provider.stop()
        self.assertEqual(self.read(agreement), 200)
        consumer.kill9()
        consumer.start()
        self.assertEqual(self.read(agreement), 200)
        consumer.kill9()
        provider.start()
        provider.tally("withdraw", agreement, "--reference", "night-1")
        provider.kill9()
        provider.start()
        self.assertEqual(duty(provider, agreement)["state"], "withdrawn")
        consumer.start()
        told(agreement, "withdrawn")
        consumer.kill9()
        consumer.start()
        self.assertEqual(self.read(agreement), "usage.confirmation-withdrawn")
        # Each record once, on each side.
        for side in (provider, consumer):
            self.assertEqual(
                [one["type"] for one in records(side, agreement, "duty.confirmed", "duty.withdrawn")],
                ["duty.confirmed", "duty.withdrawn"])


class Notes(Case):
    """What comes to the consumer and was not signed by the provider, for this agreement, just now."""

    def bring(self, agreement, note, by=None):
        answer = wires.call(
            consumer.peers_port, "POST", "/tally/v1/agreements/%s/confirmations" % agreement,
            {"note": note}, context=context_of(by or provider))
        if answer.status == 200:
            return 200
        body = answer.json()
        return answer.status, body.get("code") or json.dumps(body)

    def signed(self, signer, content, key=None):
        """As that participant's contract key would sign it."""
        log = signed_log.Log(key or signer.path("contract", "key.pem"), signer.uri)
        text = "tally/duty/v1\n%s\n" % json.dumps(content, sort_keys=True, separators=(",", ":"))
        with tempfile.NamedTemporaryFile() as file:
            file.write(text.encode())
            file.flush()
            made = subprocess.run(["openssl", "pkeyutl", "-sign", "-inkey", log.key_file, "-rawin",
                                   "-in", file.name], capture_output=True, check=True).stdout
        return "%s\n— %s %s\n" % (text, log.origin, signed_log.b64(log.id + made))

    def kept(self, agreement):
        with sqlite3.connect(consumer.path("tally.db")) as store:
            for body, in store.execute("SELECT body FROM row WHERE kind = 'signed-note'"
                                       " AND owner = ?", (agreement,)):
                return json.loads(body)["note"]

    def refused(self):
        return [record["reason"]["code"] for record in consumer.records("duty.refused")]

    def test_what_is_no_such_note_is_refused_and_logged(self):
        agreement, another = pair.held(CONSENT), pair.held(CONSENT)
        self.confirm(another, "other")
        told(another)
        genuine = self.kept(another)
        named = duty(consumer, agreement)["duty"]
        base = {"agreement": agreement, "to": consumer.uri, "duty": named, "state": "confirmed",
                "number": 1, "time": "2026-01-01T00:00:00Z", "at": "2026-01-01T00:00:00Z",
                "confirmation": "sha256:" + "ab" * 32}
        key = world.path("forger.pem")
        run("openssl", "genpkey", "-algorithm", "ed25519", "-out", key)
        cases = [
            (genuine, "transfer.duty-note-of-another"),
            (genuine[:genuine.index("\n\n") + 2], "audit.note-malformed"),
            (genuine.replace(another, agreement), "audit.note-forged"),
            (self.signed(provider, base, key), "audit.note-unsigned"),
            (self.signed(consumer, base), "audit.note-unsigned"),
            (self.signed(provider, {**base, "to": "did:web:else.example"}),
             "transfer.duty-note-of-another"),
            (self.signed(provider, {**base, "state": "fulfilled"}), "transfer.note-malformed"),
            (self.signed(provider, {**base, "confirmation": "1"}), "transfer.note-malformed"),
            (self.signed(provider, {**base, "duty": "urn:other"}), "usage.unknown-duty")]
        for note, code in cases:
            before = len(self.refused())
            answer = self.bring(agreement, note)
            self.assertNotEqual(answer, 200, code)
            self.assertEqual(self.refused()[before:], [code])
            self.assertEqual(self.read(agreement), "usage.consent-missing")
        # Another participant's agreement is nobody's.
        before = len(self.refused())
        self.assertEqual(self.bring(agreement, self.signed(consumer, base), consumer)[0], 404)
        self.assertEqual(self.refused()[before:], ["transfer.unknown-agreement"])
        # The control: signed by the right key it is taken.
        self.assertEqual(self.bring(agreement, self.signed(provider, base)), 200)
        self.assertEqual(self.read(agreement), 200)

    def test_an_older_note_brings_nothing_back(self):
        agreement = pair.held(CONSENT)
        self.confirm(agreement, "old-1")
        told(agreement)
        confirmed = self.kept(agreement)
        self.assertEqual(self.bring(agreement, confirmed), 200)  # the last one again
        provider.tally("withdraw", agreement, "--reference", "old-1")
        told(agreement, "withdrawn")
        before = len(self.refused())
        self.assertEqual(self.bring(agreement, confirmed)[0], 409)
        self.assertEqual(self.refused()[before:], ["transfer.duty-note-older"])
        # Signed anew with a higher number: what was withdrawn stays so.
        content = json.loads(confirmed.split("\n")[1])
        content["number"] *= 2
        self.assertEqual(self.bring(agreement, self.signed(provider, content))[0], 409)
        self.assertEqual(self.refused()[-1], "transfer.duty-note-withdrawn")
        self.assertEqual(self.read(agreement), "usage.confirmation-withdrawn")


class Exports(Case):
    def ask(self, agreement):
        answer = wires.call(
            consumer.apps_port, "POST", "/api/v1/my-agreements/%s/consent-requests" % agreement,
            {"reason": WORDS}, token=self.token)
        self.assertEqual(answer.status, 202, answer)
        return answer.json()

    def waiting(self, agreement):
        return [one for one in provider.items("approvals") if one.get("agreement") == agreement]

    def test_the_owner_approves_and_rejects(self):
        agreement = pair.held(EXPORT)
        self.assertEqual(self.read(agreement), 200)
        self.assertEqual(self.read(agreement, "exports"), "usage.consent-missing")
        provider.stop()
        asked = self.ask(agreement)
        self.assertEqual(self.ask(agreement), asked)
        self.assertEqual(self.read(agreement, "exports"), "usage.consent-waiting")
        self.assertEqual(self.rehearsed(agreement, "export"), "usage.consent-waiting")
        self.assertEqual(self.mine(agreement)["duties"][0]["asked"], asked["since"])
        consumer.kill9()
        consumer.start()
        self.assertEqual(self.read(agreement, "exports"), "usage.consent-waiting")
        provider.start()
        [waits] = eventually(lambda: self.waiting(agreement), "the request comes")
        self.assertEqual((waits["kind"], waits["peer"]["uri"]), ("consent", consumer.uri))
        self.assertIn(WORDS, waits["why"]["text"])
        self.assertIn(asked["request"], provider.tally("approvals").stdout)
        provider.tally("reject", asked["request"], "--reason", WORDS)
        self.assertEqual(self.waiting(agreement), [])
        eventually(lambda: self.read(agreement, "exports") == "usage.consent-rejected", "it is told")
        answer = provider.api("POST", "/api/v1/approvals/%s/approve" % asked["request"], {})
        self.assertEqual((answer.status, answer.code()), (409, "transfer.consent-decided"))

        again = self.ask(agreement)
        eventually(lambda: self.waiting(agreement), "the second request comes")
        provider.kill9()
        provider.start()
        self.assertEqual(self.waiting(agreement)[0]["id"], again["request"])
        provider.tally("approve", again["request"])
        told(agreement)
        # A consent stands until it is withdrawn.
        for _ in range(2):
            self.assertEqual(self.read(agreement, "exports"), 200)
        provider.tally("withdraw", agreement, "--reference", again["request"])
        told(agreement, "withdrawn")
        self.assertEqual(self.read(agreement, "exports"), "usage.confirmation-withdrawn")
        self.assertEqual(self.read(agreement), 200)
        for side in (provider, consumer):
            types = [one["type"] for one in records(
                side, agreement, "consent.asked", "consent.rejected", "duty.confirmed",
                "duty.withdrawn")]
            self.assertEqual(types, ["consent.asked", "consent.rejected", "consent.asked",
                                     "duty.confirmed", "duty.withdrawn"], side.name)
            self.assertFalse([one for one in side.entries() if WORDS.encode() in one])
        told_types = [row["type"] for row in
                      provider.get("/api/v1/agreements/%s/history" % agreement)["rows"]]
        self.assertIn("consent.rejected", told_types)

    def test_only_the_consumer_asks_and_of_its_own(self):
        agreement = pair.held(EXPORT)
        answer = provider.api("POST", "/api/v1/agreements/%s/consent-requests" % agreement, {})
        self.assertEqual((answer.status, answer.code()), (403, "transfer.asked-by-consumer"))
        answer = wires.call(
            provider.peers_port, "POST", "/tally/v1/agreements/%s/consent-requests" % agreement,
            {"request": "r-1", "duty": duty(provider, agreement)["duty"]},
            context=context_of(provider))
        self.assertEqual(answer.status, 404)
        self.assertEqual(self.waiting(agreement), [])
        other = consumer.app("elsewhere", RESEARCH, agreements=["urn:none"])
        answer = wires.call(
            consumer.apps_port, "POST", "/api/v1/my-agreements/%s/consent-requests" % agreement,
            {}, token=other)
        self.assertEqual(answer.status, 404)


class TimeRental(Case):
    """Behind the others: the clocks are moved, and a restart forgets that."""

    def test_it_lapses_and_is_paid_again(self):
        agreement = pair.held(RENT)
        self.assertEqual(self.read(agreement), "usage.confirmation-missing")
        self.confirm(agreement, "march")
        told(agreement)
        answer = consumer.read(self.token, agreement)
        self.assertEqual(answer.status, 200)
        self.assertIn("tally-valid-until", {name.lower() for name in answer.headers})
        for side in (provider, consumer):
            side.clock(31 * DAY)
        self.assertEqual(self.read(agreement), "usage.confirmation-lapsed")
        self.assertEqual(duty(provider, agreement)["state"], "lapsed")
        self.confirm(agreement, "april")
        told(agreement)
        self.assertEqual(self.read(agreement), 200)


class TimeUp(Case):
    def test_what_is_owed_after_the_use_blocks_once_it_is_late(self):
        agreement = pair.held(LATER)
        self.assertEqual(duty(consumer, agreement)["state"], "not-due")
        self.assertEqual(self.read(agreement), 200)
        shown = duty(consumer, agreement)
        self.assertEqual(shown["state"], "due")
        for side in (provider, consumer):
            side.clock(8 * DAY)
        eventually(lambda: records(consumer, agreement, "obligation.violated"), "it is recorded")
        self.assertEqual(self.read(agreement), "usage.confirmation-overdue")
        self.assertEqual(consumer.read(self.token, agreement).json()["reason"], "condition-violated")
        overdue = duty(consumer, agreement)
        self.assertEqual((overdue["state"], overdue["since"]), ("overdue", shown["until"]))
        consumer.kill9()
        consumer.start()
        self.assertEqual(self.read(agreement), "usage.confirmation-overdue")
        self.assertEqual(duty(consumer, agreement), overdue)
        # As long as its clock is behind its own records it cannot tell what is paid since.
        behind = provider.api("POST", "/api/v1/clock", {"advanceSeconds": 0}).json()["time"]
        consumer.clock(calendar.timegm(time.strptime(behind[:19], "%Y-%m-%dT%H:%M:%S"))
                       - int(time.time()))
        self.confirm(agreement, "late-payment")
        told(agreement)
        self.assertEqual(self.read(agreement), 200)
        types = [one["type"] for one in records(
            consumer, agreement, "obligation.violated", "obligation.fulfilled", "duty.confirmed")]
        self.assertEqual(types, ["obligation.violated", "duty.confirmed", "obligation.fulfilled"])
        violated = records(consumer, agreement, "obligation.violated")[0]
        self.assertEqual(violated["reason"]["code"], "transfer.duty-overdue")


class ZLogs(unittest.TestCase):
    def test_both_logs_are_whole_to_the_last_rule(self):
        for side in (provider, consumer):
            side.stop()
            done = run(connectors.options.tally, "audit", "verify", "--deep", side.folder)
            self.assertEqual(done.returncode, 0)
            side.start()


if __name__ == "__main__":
    connectors.main()
