"""A partner's log contradicts itself: its operator's counterpart sees it, new contracts stop, and an
order lifts that. The two notes are made with the log's own key; all else is what the daemons do."""
import hashlib
import json
import unittest
import urllib.parse

import connectors
import wires
from connectors import COHORT, HOSPITAL, INSTITUTE, RESEARCH, Pair, World, eventually
from signed_log import Log, verifier

ORIGIN = INSTITUTE + "/log/1"
LIFT = "/api/v1/witness/%s/lift" % urllib.parse.quote(ORIGIN, safe="")


def setUpModule():
    global world, provider, consumer, log, owner, auditor
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    provider.offer(count=3)
    auditor = provider.add_token("reader", "auditor")
    pair.start()
    owner = world.authority.context(consumer.path("tls", "issued.pem"),
                                    consumer.path("tls", "key.pem"))
    log = Log(consumer.path("log-key", "key.pem"), ORIGIN)


def overview():
    return provider.get("/api/v1/witness")


def the_log():
    return next(one for one in overview()["witnessed"] if one["origin"] == ORIGIN)


def sign_another():
    """The consumer's key signs another log of the size that the provider cosigned last: that size,
    and the provider's answer."""
    path = "/tally/v1/witness/%s/checkpoint" % hashlib.sha256(ORIGIN.encode()).hexdigest()

    def posted():
        kept = wires.call(provider.peers_port, "GET", path, context=owner)
        size = int(kept.body.split(b"\n")[1])
        leaves = [verifier.sha(b"\x00", entry) for entry in consumer.entries()][:size]
        fork = leaves[:2] + [verifier.sha(b"\x00another record %d" % size)] + leaves[3:]
        answer = wires.call(provider.peers_port, "POST", "/tally/v1/witness/add-checkpoint",
                            log.request(fork, size), context=owner)
        # 409: the consumer had more cosigned in between.
        return (size, answer) if answer.status != 409 else None
    return eventually(posted, "it is judged")


def witness(*arguments, code):
    shown = provider.tally("audit", "witness", provider.folder, *arguments, check=False)
    assert shown.returncode == code, shown.stdout + shown.stderr
    return shown.stdout


def lift(*arguments, code=0, origin=ORIGIN):
    done = provider.tally("audit", "lift", provider.folder, origin, *arguments, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


class Lift(unittest.TestCase):
    """In the order of the names: one story."""

    def test_1_each_side_sees_the_logs_that_it_witnesses_and_its_witnesses(self):
        self.assertIn("None:", witness(code=0))
        consumer.agree(provider)
        finalized = max(r["seq"] for r in provider.records("contract.finalized"))
        eventually(lambda: overview()["witnesses"][0]["size"] > finalized, "cosigned")
        eventually(lambda: the_log()["size"] > 0, "witnessed")
        found = the_log()
        self.assertEqual((found["party"]["uri"], found["watched"], found["contradicted"]),
                         (INSTITUTE, True, False))
        self.assertRegex(found["cosignedAt"], r"^20\d\d-")
        ours = overview()["witnesses"]
        self.assertEqual(len(ours), 1)
        self.assertEqual(ours[0]["party"]["uri"], INSTITUTE)
        self.assertTrue(ours[0]["url"].endswith("/tally/v1/witness"))
        self.assertRegex(ours[0]["cosignedAt"], r"^20\d\d-")
        self.assertEqual((ours[0]["failingSince"], ours[0]["missing"], ours[0]["waiting"]),
                         (None, False, []))
        self.assertIsNone(overview()["quorum"])
        said = witness(code=0)
        for word in (ORIGIN, HOSPITAL + "/log/1", "good"):
            self.assertIn(word, said)
        self.assertIn("见证", witness("--lang", "zh", code=0))

    def test_2_a_witness_that_is_away_is_failing_and_says_why(self):
        consumer.stop()
        provider.stop()
        provider.start()

        def failing():
            one = overview()["witnesses"][0]
            return one if one["failingSince"] else None
        one = eventually(failing, "it fails")
        self.assertTrue(one["why"]["text"])
        self.assertTrue(one["unaskedSince"])
        self.assertIn(one["failingSince"], witness(code=0))
        consumer.start()
        eventually(lambda: not failing() and not overview()["witnesses"][0]["unaskedSince"],
                   "it is back")

    def test_3_a_contradiction_is_shown_with_its_evidence_and_stops_new_contracts(self):
        size, answer = sign_another()
        self.assertEqual(answer.status, 422, answer)
        found = provider.records("equivocation.found")
        self.assertEqual(len(found), 1)
        type(self).found = found[0]
        shown = the_log()
        self.assertTrue(shown["contradicted"])
        against = shown["contradictions"]
        self.assertEqual(
            [(one["event"], one["evidence"], one["notes"], one["size"]) for one in against],
            [(found[0]["event"], found[0]["contents"][1], found[0]["notes"], size)])
        self.assertIsNone(against[0]["lifted"])
        said = witness(code=1)
        self.assertIn("contradicted itself", said)
        self.assertIn(found[0]["event"], said)
        self.assertIn("自相矛盾", witness("--lang", "zh", code=1))
        self.assertTrue(json.loads(witness("--json", code=1))["witnessed"][0]["contradicted"])

        self.assertEqual(consumer.negotiate(provider)["state"], "TERMINATED")
        # The provider's own ends once the consumer has answered.
        reasons = eventually(lambda: [one["reason"] for one in provider.items("negotiations")
                                      if one["state"] == "TERMINATED"], "it ends there too")
        self.assertEqual(reasons[-1]["code"], "negotiation.log-contradicts")
        self.assertEqual(reasons[-1]["params"]["origin"], ORIGIN)
        # The way out is named to whoever asks.
        asked = consumer.tally("negotiate", provider.party, COHORT, "--purpose", RESEARCH,
                               check=False)
        self.assertEqual(asked.returncode, 1)
        self.assertIn("tally audit lift FOLDER " + ORIGIN, asked.stdout + asked.stderr)

    def test_4_nobody_lifts_without_a_role_a_reason_and_something_that_stands(self):
        lift(code=3)
        self.assertIn("api.lift-reason-malformed", lift("--reason", "Looks fine", code=1))
        self.assertIn("cli.nothing-to-lift",
                      lift("--reason", "restored", code=1, origin="nobody.example/log/1"))
        self.assertIn("audit.no-contradiction", lift(
            "--reason", "restored", "--evidence", "sha256:" + 64 * "0", code=1))
        order = {"reason": "restored", "evidence": [self.found["contents"][1]]}
        self.assertEqual(provider.api("POST", LIFT, order, token=auditor).status, 403)
        for wrong in ({"reason": "restored"}, dict(order, evidence=[]), dict(order, evidence="x"),
                      dict(order, evidence=["sha256:0"]), dict(order, evidence=17 * ["sha256:0"])):
            answer = provider.api("POST", LIFT, wrong)
            self.assertEqual((answer.status, answer.code()), (400, "api.evidence-malformed"))
        self.assertEqual(provider.records("equivocation.lifted"), [])
        self.assertEqual(consumer.negotiate(provider)["state"], "TERMINATED")

    def test_5_an_order_lifts_it_and_contracts_are_made_again(self):
        self.assertIn("1 lifted", lift("--reason", "restored-and-compared"))
        lifted = provider.records("equivocation.lifted")
        self.assertEqual(len(lifted), 1)
        for member in ("peer", "counterparty", "contents", "proven"):
            self.assertEqual(lifted[0][member], self.found[member])
        self.assertEqual(lifted[0]["reason"], "restored-and-compared")
        ordered = [record for record in provider.records("admin.action")
                   if record["action"] == "lift-contradiction" and record["seq"] < lifted[0]["seq"]]
        self.assertEqual((ordered[-1]["target"], ordered[-1]["role"]), (ORIGIN, "admin"))
        self.assertEqual(consumer.negotiate(provider)["state"], "FINALIZED")
        # Also over a restart; and the evidence is there.
        provider.kill9()
        provider.start()
        eventually(lambda: not overview()["witnesses"][0]["unaskedSince"], "asked")
        self.assertEqual(consumer.negotiate(provider)["state"], "FINALIZED")
        shown = the_log()
        self.assertFalse(shown["contradicted"])
        self.assertEqual(shown["contradictions"][0]["notes"], self.found["notes"])
        self.assertEqual(shown["contradictions"][0]["lifted"]["reason"], "restored-and-compared")
        self.assertIn("restored-and-compared", witness(code=0))

    def test_6_a_new_contradiction_stops_them_again(self):
        finalized = max(r["seq"] for r in consumer.records("contract.finalized"))
        eventually(lambda: the_log()["size"] > finalized, "witnessed further")
        _, answer = sign_another()
        self.assertEqual(answer.status, 422, answer)
        self.assertEqual(len(provider.records("equivocation.found")), 2)
        self.assertEqual(consumer.negotiate(provider)["state"], "TERMINATED")
        witness(code=1)

    def test_7_both_logs_are_whole(self):
        for side in (provider, consumer):
            self.assertEqual(side.stop(), 0)
            code, report = side.verify()
            self.assertEqual(code, 0, report)


if __name__ == "__main__":
    connectors.main()
