"""Bundles of real connectors: written beside them, checked with anchors alone, by two programs."""
import json
import os
import sys
import unittest

import connectors
from connectors import COHORT, HEALTH, SOURCE, Pair, World, eventually, run

sys.path.insert(0, os.path.join(SOURCE, "tests/audit"))
import bundle_verifier  # noqa: E402

TRIAL, SECRET = "urn:hospital:trial-9", "urn:test:secret-purpose"


def setUpModule():
    global world, provider, consumer, agreement, other
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    provider.offer(count=5)
    provider.offer(TRIAL, name="trial", purposes=(SECRET,), content=b"of another contract\n")
    pair.start()
    other = consumer.agree(provider, TRIAL, SECRET)
    agreement = pair.held()
    consumer.transfer(other)
    for use in range(2):
        consumer.read(consumer.app("reader%d" % use, connectors.RESEARCH), agreement)


def audit(*arguments, check=True):
    return run(connectors.options.tally, "audit", *arguments, check=check)


def anchors():
    return world.authority.anchor(HEALTH)


def write(side, check=True):
    """The file, and what the command says of it."""
    path = world.path(side.name + ".tar")
    done = audit("bundle", side.folder, "--agreement", agreement, "--out", path, "--json",
                 check=check)
    return path, json.loads(done.stdout) if done.stdout else None


def checked(path, *more):
    done = audit("check-bundle", path, "--json", *more, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def codes(report, kind):
    return {message["code"] for message in report[kind]}


class Bundles(unittest.TestCase):
    def test_1_beside_running_connectors(self):
        def witnessed(side):
            # Before the first checkpoint there is nothing to show.
            path, said = write(side, check=False)
            if said is None:
                return 0
            code, report = checked(path, "--anchors", anchors())
            self.assertIn(code, (0, 2), report)
            whole = code == 0 and "evidence.cosigned" in codes(report, "shown")
            return said["records"] if whole else 0
        for side in (provider, consumer):
            eventually(lambda: witnessed(side) > 5, side.name + " shows a witnessed agreement")

    def test_2_of_stopped_ones_with_the_anchors_alone(self):
        for side in (provider, consumer):
            self.assertEqual(side.stop(), 0)
            path, said = write(side)
            self.assertEqual(said["behind"], 0)
            mine = [record for record in side.records() if record.get("agreement") == agreement]
            self.assertEqual(said["records"], len(mine))
            code, report = checked(path, "--anchors", anchors())
            self.assertEqual((code, report["verdict"]), (0, "whole"), report)
            for expected in ("evidence.all-records", "evidence.rules-confirmed",
                             "evidence.log-key-stated", "evidence.chain-good"):
                self.assertIn(expected, codes(report, "shown"))
            self.assertEqual(codes(report, "trusted"),
                             {"evidence.revocation-listed", "evidence.time-witnessed"})
            again = path + ".again"
            pid = [record["pid"] for record in mine if record["type"] == "transfer.completed"][0]
            audit("bundle", side.folder, "--pid", pid, "--out", again)
            with open(path, "rb") as one, open(again, "rb") as two:
                self.assertEqual(one.read(), two.read())

    def test_3_other_agreements_stay_hidden(self):
        for side in (provider, consumer):
            with open(write(side)[0], "rb") as file:
                data = file.read()
            self.assertIn(agreement.encode(), data)
            self.assertIn(COHORT.encode(), data)
            hidden = [other, TRIAL, SECRET]
            for record in side.records():
                if record.get("agreement") == other:
                    hidden += [record[key] for key in ("policy", "pid", "offer", "content")
                               if key in record]
            for word in set(hidden):
                self.assertNotIn(word.encode(), data, word)

    def test_4_a_second_reader_agrees(self):
        for side in (provider, consumer):
            path, said = write(side)
            self.assertGreaterEqual(bundle_verifier.check(path, anchors()), said["records"])
            with self.assertRaises(bundle_verifier.Refused):
                bundle_verifier.check(path, world.authority.anchor("city"))
            with open(path, "rb") as file:
                data = bytearray(file.read())
            at = data.index(b'"aseq":2') + 7
            data[at] ^= 1
            bad = world.path("bad.tar")
            with open(bad, "wb") as file:
                file.write(data)
            with self.assertRaises(bundle_verifier.Refused):
                bundle_verifier.check(bad)
            code, report = checked(bad)
            self.assertEqual((code, report["verdict"]), (1, "changed"))
            self.assertIn("records/", report["finding"]["file"])

    def test_5_what_is_not_believed(self):
        path, _ = write(provider)
        code, report = checked(path)
        self.assertEqual(code, 0)
        self.assertIn("evidence.chain-unjudged", codes(report, "trusted"))
        code, report = checked(path, "--anchors", world.authority.anchor("city"))
        self.assertEqual((code, report["finding"]["link"]), (1, "chain"))
        mine = audit("key", provider.folder).stdout.strip()
        theirs = audit("key", consumer.folder).stdout.strip()
        self.assertEqual(checked(path, "--vkey", mine)[0], 0)
        self.assertEqual(checked(path, "--vkey", theirs)[0], 1)
        self.assertEqual(checked(path, "--anchors", path)[0], 3)
        self.assertEqual(checked(world.path("nothing"))[0], 3)
        for about in ("--agreement", "--pid"):
            self.assertEqual(audit("bundle", provider.folder, about, "urn:a:none",
                                   check=False).returncode, 1)
        self.assertEqual(audit("bundle", provider.folder, check=False).returncode, 3)

    def test_6_bundles_reconcile_and_trace(self):
        here, there = write(provider)[0], write(consumer)[0]
        for one, two in ((here, there), (here, consumer.folder), (provider.folder, there)):
            done = audit("reconcile", one, two, "--json", check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            lines = json.loads(done.stdout)["lines"]
            self.assertEqual({line["agreement"] for line in lines}, {agreement})
            self.assertIn("transfer.received", {line["about"] for line in lines})
        trace = json.loads(audit("trace", here, there, "--agreement", agreement, "--json").stdout)
        self.assertEqual(len(trace["logs"]), 2)
        self.assertIn("transfer.received", {hop["type"] for hop in trace["hops"]})
        done = audit("trace", world.path("bad.tar"), "--agreement", agreement, check=False)
        self.assertEqual(done.returncode, 1)


class Notes(unittest.TestCase):
    """What the two sign for each other beside receipts: statements of uses, notices of uses, and the
    provider's word that a duty was done."""
    @classmethod
    def setUpClass(cls):
        cls.pair = Pair(world, provider_options={"name": "told"}, consumer_options={"name": "telling"})
        cls.provider, cls.consumer = cls.pair.provider, cls.pair.consumer
        for side in (cls.provider, cls.consumer):
            side.edit(lambda config: config.update(receipts={"statementSeconds": 86400}))
        odrl, tally = "http://www.w3.org/ns/odrl/2/", "urn:tally:profile:1#"
        paid = [{"leftOperand": tally + "payAmount", "operator": "gteq",
                 "rightOperand": {"@value": "5.00", "@type": "xsd:decimal"}},
                {"leftOperand": tally + "currency", "operator": "eq",
                 "rightOperand": "urn:currency:eur"}]
        cls.provider.offer(count=5)
        document = connectors.policy(COHORT, count=5)
        document["profile"] = "urn:tally:profile:1"
        document["permission"] = [
            {"action": odrl + "archive"},
            {"action": odrl + "read", "duty": [{"action": odrl + "inform"},
                                               {"action": odrl + "compensate", "constraint": paid}]}]
        cls.provider.drop("policies", "cohort", {
            "visibleTo": [{"domain": HEALTH}], "policy": document})
        cls.pair.start()
        cls.agreement = cls.consumer.agree(cls.provider)
        cls.consumer.transfer(cls.agreement)

    def test_they_are_in_both_bundles_and_fit(self):
        self.provider.tally("confirm", self.agreement, "--reference", "INV-7")
        eventually(lambda: self.consumer.records("duty.confirmed"), "the consumer is told")
        token = self.consumer.app("reader", connectors.RESEARCH)
        self.assertEqual(self.consumer.read(token, self.agreement).status, 200)
        eventually(lambda: self.provider.records("inform.held"), "the provider is told")
        for side in (self.provider, self.consumer):
            side.clock(86400)
        eventually(lambda: self.provider.records("statement.held"), "the uses are stated")
        types = {self.provider: {"inform.held", "statement.held", "duty.confirmed"},
                 self.consumer: {"inform.issued", "statement.issued", "duty.confirmed"}}
        for side in (self.provider, self.consumer):
            self.assertEqual(side.stop(), 0)
            path = world.path(side.name + ".tar")
            audit("bundle", side.folder, "--agreement", self.agreement, "--out", path)
            code, report = checked(path, "--anchors", anchors())
            self.assertNotIn("evidence.file-missing", codes(report, "missing"), report)
            self.assertIn(code, (0, 2), report)
            said, = [one for one in report["shown"] if one["code"] == "evidence.notes"]
            named = [one for one in side.records(*bundle_verifier.NAMING) if "content" in one]
            self.assertLessEqual(types[side], {one["type"] for one in named})
            self.assertEqual(int(said["params"]["held"]) + int(said["params"]["issued"]), len(named))
            manifest, files = bundle_verifier.read(path)
            self.assertEqual({"notes/%s.note" % one["content"][7:] for one in named},
                             {name for name in files if name.startswith("notes/")})


if __name__ == "__main__":
    connectors.main()
