"""Each act is in the log before it has an effect, and what is personal stands beside the log."""
import base64
import json
import os
import shutil
import unittest

import connectors
import wires
from connectors import HEALTH, Pair, World, run

PERSON = "ward-7/dr-li-4711"


def setUpModule():
    global world, pair, provider, consumer, agreement, app, operator
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    provider.offer(count=50)
    # The certificates of these tests name no country.
    provider.edit(lambda config: config["peers"][0].update(jurisdiction="DE"))
    operator = consumer.add_token("dr-li-4711", "admin")
    pair.start()
    agreement = consumer.agree(provider)
    process = consumer.transfer(agreement)
    unittest.TestCase().assertEqual(process["state"], "COMPLETED")
    app = consumer.app("notebook", connectors.RESEARCH, agreements=[agreement])


def audit(*arguments, check=True):
    return run(connectors.options.tally, "audit", *arguments, check=check)


def bytes_in(folder, *words):
    """Which of the words stand in any file or name below a folder."""
    found = set()
    for place, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(place, name), "rb") as file:
                text = name.encode() + b"\n" + file.read()
            found |= {word for word in words if word in text}
    return found


def read_for(person, key=None):
    headers = {"Tally-Subject": person}
    if key:
        headers["Idempotency-Key"] = key
    answer = wires.call(consumer.apps_port, "GET", "/api/v1/data/" + agreement, token=app,
                        headers=headers)
    if answer.status != 200:
        return answer, None
    use = answer.headers["tally-use"]
    record, = [one for one in consumer.records("use.permitted") if one["event"] == use]
    return answer, record


class Acts(unittest.TestCase):
    def test_where_the_other_party_is_at_home_is_in_the_log(self):
        finalized, = provider.records("contract.finalized")
        self.assertEqual(finalized["jurisdiction"], "DE")
        self.assertEqual(finalized["sources"]["jurisdiction"], "config")
        abroad = audit("query", provider.folder, "--cross-border", "CN", "--json")
        self.assertIn("contract.finalized", abroad.stdout)
        at_home = audit("query", provider.folder, "--cross-border", "DE", "--json")
        self.assertNotIn("contract.finalized", at_home.stdout)

    def test_what_is_in_force_is_in_the_log(self):
        first = consumer.records("config.changed")[0]
        self.assertEqual(first["change"], "start")
        self.assertIn("anchors/" + HEALTH, first["changed"])
        self.assertIn("certificate", first["changed"])
        consumer.reload()
        last = consumer.records("config.changed")[-1]
        self.assertEqual((last["change"], last["changed"]), ("reload", []))
        self.assertEqual(last["digests"]["certificate"], first["digests"]["certificate"])

    def test_who_came_is_in_the_log_once_and_before_anything_was_done(self):
        for side, other in ((provider, consumer), (consumer, provider)):
            records = side.records()
            met = [one for one in records if one["type"] == "peer.enrolled"]
            mine = [one for one in met if one["counterparty"]["uri"] == other.uri]
            self.assertEqual(len(mine), 1)
            self.assertFalse(mine[0]["renewed"])
            contracts = [one for one in records if one["type"].startswith("contract.")]
            if side is provider:  # who is asked
                self.assertLess(mine[0]["seq"], contracts[0]["seq"])

    def test_an_order_is_in_the_log_before_what_it_brings(self):
        records = consumer.records()
        begun, = [one for one in records if one.get("action") == "begin-negotiation"]
        offered = [one for one in records if one["type"] == "contract.offered"][0]
        self.assertLess(begun["seq"], offered["seq"])
        pulled = [one for one in records if one.get("action") == "begin-transfer"][0]
        asked = [one for one in records if one["type"] == "transfer.requested"][0]
        self.assertLess(pulled["seq"], asked["seq"])
        self.assertEqual((begun["role"], len(begun["token"])), ("admin", 16))
        loaded = provider.records("policy.loaded")[0]
        published = provider.records("offer.published")[0]
        self.assertEqual(loaded["policy"], published["policy"])
        self.assertLess(loaded["seq"], published["seq"])

    def test_every_change_by_the_api_is_an_order(self):
        before = len(consumer.records("admin.action"))
        orders = [
            ("POST", "/api/v1/clock", {"advanceSeconds": 0}, "advance-clock"),
            ("POST", "/api/v1/negotiations/none/termination", None, "terminate-negotiation"),
            ("POST", "/api/v1/transfers/none/termination", None, "terminate-transfer"),
            ("POST", "/api/v1/transfers/none/suspension", None, "suspend-transfer"),
            ("POST", "/api/v1/transfers/none/resumption", None, "resume-transfer"),
            ("POST", "/api/v1/transfers/none/completion", None, "complete-transfer"),
            ("POST", "/api/v1/agreements/none/termination", {"reason": "x"}, "terminate-agreement"),
            ("PUT", "/api/v1/assets/none", {}, "put-asset"),
            ("DELETE", "/api/v1/assets/none", None, "remove-asset"),
            ("PUT", "/api/v1/policies/none", {}, "put-policy"),
            ("DELETE", "/api/v1/policies/none", None, "remove-policy"),
            ("POST", "/api/v1/apps", {}, "add-app"),
            ("DELETE", "/api/v1/apps/none", None, "remove-app"),
            ("POST", "/api/v1/negotiations", {}, "begin-negotiation"),
            ("POST", "/api/v1/transfers", {}, "begin-transfer"),
            ("POST", "/api/v1/private/erasures", {}, "erase-private"),
            ("GET", "/api/v1/private/none", None, "open-private"),
        ]
        for method, path, body, _ in orders:
            self.assertNotEqual(consumer.api(method, path, body).status, 401)
        made = [one for one in consumer.records("admin.action")[before:] if "token" in one]
        self.assertEqual([one["action"] for one in made], [order[3] for order in orders])
        self.assertEqual(made[1]["target"], "none")

    def test_what_an_operator_writes_into_a_path_is_not_in_the_log(self):
        consumer.api("DELETE", "/api/v1/apps/%E6%9D%8E%20Li%20Ming", None)
        last = [one for one in consumer.records("admin.action") if "token" in one][-1]
        self.assertTrue(last["target"].startswith("sha256:"), last)

    def test_the_contract_says_what_it_rests_on(self):
        for side in (provider, consumer):
            final, = [one for one in side.records("contract.finalized")
                      if one["agreement"] == agreement]
            for member in ("signatures", "statements"):
                for text in final[member].values():
                    self.assertTrue(text.startswith("sha256:"), final)
            verified, = [one for one in side.records("contract.verified")
                         if one["agreement"] == agreement]
            self.assertTrue(verified["enforces"].startswith("sha256:"))
        started = provider.records("transfer.started")[0]
        self.assertEqual(started["decision"]["outcome"], "permit")
        self.assertTrue(started["policy"].startswith("sha256:"))
        self.assertIn("source", started)

    def test_both_logs_are_whole_also_in_depth(self):
        for side in (provider, consumer):
            done = audit("verify", "--deep", side.folder, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class Persons(unittest.TestCase):
    def test_a_fact_is_beside_the_log_and_opens(self):
        _, record = read_for(PERSON)
        self.assertTrue(record["private"].startswith("sha256:"))
        opening = audit("open", consumer.folder, str(record["seq"])).stdout
        files = [world.path("opened.record"), world.path("opened.json")]
        with open(files[0], "wb") as file:
            file.write(consumer.entries()[record["seq"]])
        with open(files[1], "w") as file:
            file.write(opening)
        shown = audit("check-opening", *files)
        self.assertIn(PERSON, shown.stdout)
        # Of another record it shows nothing.
        with open(files[0], "wb") as file:
            file.write(consumer.entries()[0])
        self.assertEqual(audit("check-opening", *files, check=False).returncode, 1)
        found = bytes_in(consumer.path("private"), PERSON.encode(), b"dr-li")
        self.assertEqual(found, set())
        self.assertEqual(bytes_in(consumer.path("log"), PERSON.encode(), b"dr-li"), set())

    def test_the_name_of_a_token_is_a_fact_too(self):
        self.assertEqual(
            consumer.api("POST", "/api/v1/clock", {"advanceSeconds": 0}, token=operator).status, 200)
        order = [one for one in consumer.records("admin.action") if "token" in one][-1]
        self.assertIn("private", order)
        opened = consumer.get("/api/v1/private/%d" % order["seq"])
        fact = base64.b64decode(json.loads(opened["opening"])["fact"])
        self.assertEqual(json.loads(fact), {"token": "dr-li-4711"})

    def test_the_same_use_again_leaves_no_second_fact(self):
        read_for("ward-9/x", key="once")
        before = len(os.listdir(consumer.path("private", "blobs")))
        read_for("ward-9/x", key="once")
        self.assertEqual(len(os.listdir(consumer.path("private", "blobs"))), before)

    def test_without_measure_it_is_refused(self):
        answer, _ = read_for("x" * 257)
        self.assertEqual(answer.status, 400)

    def test_an_erased_fact_is_gone_and_the_log_verifies(self):
        _, record = read_for("ward-8/a")
        seq = str(record["seq"])
        self.assertEqual(consumer.verify()[0], 0)
        name = record["private"].removeprefix("sha256:").encode()
        self.assertIn(name, bytes_in(consumer.path("private"), name))
        audit("erase", consumer.folder, "--record", seq, "--basis", "pipl-47")
        erased = consumer.records("private.erased")[-1]
        self.assertEqual((erased["target"], erased["basis"]), ([record["seq"]], "pipl-47"))
        self.assertEqual(bytes_in(consumer.path("private"), name), set())
        self.assertNotEqual(audit("open", consumer.folder, seq, check=False).returncode, 0)
        again = audit("erase", consumer.folder, "--record", seq, "--basis", "pipl-47", check=False)
        self.assertNotEqual(again.returncode, 0)
        self.assertEqual(consumer.verify()[0], 0)

    def test_a_person_is_erased_whole(self):
        seqs = [read_for("ward-8/whole")[1]["seq"] for _ in range(3)]
        other = read_for("ward-8/other")[1]["seq"]
        audit("erase", consumer.folder, "--subject", "ward-8/whole", "--basis", "gdpr-17-1-b")
        self.assertEqual(consumer.records("private.erased")[-1]["target"], seqs)
        for seq in seqs:
            self.assertEqual(consumer.api("GET", "/api/v1/private/%d" % seq).status, 404)
        self.assertEqual(consumer.api("GET", "/api/v1/private/%d" % other).status, 200)
        for bad in ("Free text", "", "A" * 65):
            answer = consumer.api("POST", "/api/v1/private/erasures",
                                  {"record": other, "basis": bad})
            self.assertEqual(answer.status, 400)

    def test_an_erasure_that_a_crash_cut_short_is_finished_at_start(self):
        _, record = read_for("ward-8/crash")
        _, stays = read_for("ward-8/stays")
        # As if the power had gone between the record and the destruction: the folder is set back.
        kept = world.path("private.before")
        shutil.copytree(consumer.path("private"), kept)
        audit("erase", consumer.folder, "--record", str(record["seq"]), "--basis", "pipl-47")
        consumer.kill9()
        shutil.rmtree(consumer.path("private"))
        shutil.copytree(kept, consumer.path("private"))
        # And a fact whose record never came.
        for folder, suffix in (("keys", ".key"), ("blobs", ".fact")):
            name = stays["private"].removeprefix("sha256:") + suffix
            shutil.copy(consumer.path("private", folder, name),
                        consumer.path("private", folder, "ab" * 32 + suffix))
        consumer.start()
        name = record["private"].removeprefix("sha256:").encode()
        self.assertEqual(bytes_in(consumer.path("private"), name, b"ab" * 32), set())
        self.assertEqual(
            consumer.api("GET", "/api/v1/private/%d" % record["seq"]).status, 404)
        self.assertEqual(consumer.api("GET", "/api/v1/private/%d" % stays["seq"]).status, 200)
        self.assertEqual(consumer.verify()[0], 0)


if __name__ == "__main__":
    connectors.main()
