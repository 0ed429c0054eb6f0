"""The story of a contract, from the offer to the deletion record, with real connectors."""
import datetime
import hashlib
import json
import os
import shutil
import threading
import unittest

import connectors
import wires
from connectors import (BROKER, CITY, COHORT, HEALTH, INSTITUTE, MARKETING, RESEARCH, Connector,
                        Pair, World, eventually)

HIDDEN, UNKNOWN = "urn:hospital:hidden", "urn:hospital:nobody"
CONTENT = b"resident,district\n" + b"".join(
    b"R%05d,%d\n" % (number, number % 7) for number in range(20000))


def setUpModule():
    global world, pair, provider, consumer, anothers
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    # A third participant, under the other anchor. The provider knows it, so that nothing but the
    # offers' visibility stands between the two.
    anothers = world.authority.issue(CITY, [BROKER])
    stranger_port = connectors.free_port()
    provider.edit(lambda config: config["peers"].append(
        {"domain": CITY, "uri": BROKER, "url": "https://localhost:%d/dsp/2025-1" % stranger_port}))
    provider.offer(count=3, content=CONTENT)
    provider.offer("urn:hospital:ten", name="ten", count=10)
    provider.offer("urn:hospital:two", name="two", count=2)
    provider.offer(HIDDEN, name="hidden",
                   visible_to=[{"domain": HEALTH, "uri": INSTITUTE}])
    pair.start()


class Offering(unittest.TestCase):
    def test_a_misspelt_operand_is_refused_with_file_pointer_and_closest_term(self):
        document = connectors.policy(COHORT, id="urn:hospital:offer:bad")
        document["permission"][0]["constraint"][0]["leftOperand"] = "purpoze"
        provider.drop("policies", "bad", {"visibleTo": ["*"], "policy": document})
        problems = eventually(
            lambda: provider.get("/api/v1/policies")["problems"], "the problem is shown")
        self.assertEqual([problem["file"] for problem in problems], ["policies/bad.json"])
        self.assertEqual(problems[0]["pointer"], "/policy/permission/0/constraint/0/leftOperand")
        self.assertIn("purpose", problems[0]["text"].replace("purpoze", ""))
        refused = provider.notices("daemon.document-refused")[-1]
        self.assertEqual(refused["params"]["file"], "policies/bad.json")
        records = provider.records("policy.refused")
        self.assertEqual([record["file"] for record in records], ["policies/bad.json"])

    def test_what_is_good_is_offered_beside_what_was_refused(self):
        answer = consumer.api("POST", "/api/v1/catalog", {"peer": provider.party_json})
        self.assertEqual(answer.status, 200)
        self.assertLessEqual(
            {COHORT, HIDDEN, "urn:hospital:ten", "urn:hospital:two"},
            {dataset["@id"] for dataset in answer.json()["dataset"]})


class Negotiating(unittest.TestCase):
    def test_a_purpose_outside_the_offer_is_refused_with_required_and_found(self):
        process = consumer.negotiate(provider, purpose=MARKETING)
        self.assertEqual(process["state"], "TERMINATED")
        params = process["reason"]["params"]
        self.assertTrue(params["constraint"].endswith("purpose"))
        self.assertIn(RESEARCH, params["required"])
        self.assertIn(MARKETING, params["found"])
        terminated = [record for record in consumer.records("contract.terminated")
                      if record["pid"] == process["id"]]
        self.assertEqual(len(terminated), 1)

    def test_an_agreement_is_active_and_signed_by_both_on_both_sides(self):
        agreement = consumer.agree(provider)
        for side in (consumer, provider):
            eventually(lambda: side.agreement(agreement)["state"] == "active", "active")
            seen = side.agreement(agreement)
            self.assertEqual(seen["signedBy"], {"provider": True, "consumer": True})
            self.assertEqual(seen["enforcement"], "confirmed")
            self.assertEqual(
                [r["type"] for r in side.records("contract.agreed", "contract.verified",
                                                 "contract.finalized")
                 if r.get("agreement") == agreement],
                ["contract.agreed", "contract.verified", "contract.finalized"])
        self.assertEqual(consumer.agreement(agreement)["digest"],
                         provider.agreement(agreement)["digest"])

    def test_editing_the_offer_changes_no_agreement(self):
        asset = "urn:hospital:edited"
        provider.offer(asset, name="edited", count=5)
        eventually(lambda: any(item["asset"] == asset for item in provider.items("policies")))
        agreement = consumer.agree(provider, asset)
        before = consumer.agreement(agreement)["policy"]
        provider.offer(asset, name="edited", count=1, id=asset + ":offer")
        eventually(lambda: provider.notices("daemon.offer-updated"), "the edit is seen")
        self.assertEqual(consumer.agreement(agreement)["policy"], before)
        self.assertEqual(provider.agreement(agreement)["limits"][0]["limit"], 5)


class ThirdParty(unittest.TestCase):
    """Everything that the provider says of a hidden asset, it says of one that does not exist."""

    def ask(self, method, path, body=None):
        context = world.authority.context(*anothers)
        return wires.call(provider.peers_port, method, "/dsp/2025-1" + path, body, context=context)

    def assert_same(self, ask):
        answers = []
        for asset in (HIDDEN, UNKNOWN):
            answer = ask(asset)
            answer.headers.pop("date", None)
            self.assertNotIn(RESEARCH, answer.body.decode())
            # The id that was asked for may come back; its length is the same.
            answers.append((answer.status, answer.headers,
                            answer.body.replace(asset.encode(), b"ASSET")))
        self.assertEqual(answers[0], answers[1])
        return answers[0]

    def test_the_catalogue_does_not_show_it(self):
        answer = self.ask("POST", "/catalog/request", {
            "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"],
            "@type": "CatalogRequestMessage"})
        self.assertEqual(answer.status, 200)
        self.assertNotIn(HIDDEN.encode(), answer.body)
        self.assertNotIn(b"cohort", answer.body)

    def test_a_dataset_request_cannot_tell_it_from_an_unknown_asset(self):
        status, _, _ = self.assert_same(
            lambda asset: self.ask("GET", "/catalog/datasets/" + asset))
        self.assertEqual(status, 404)

    def test_a_negotiation_cannot_tell_it_from_an_unknown_asset(self):
        def ask(asset):
            return self.ask("POST", "/negotiations/request", {
                "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"],
                "@type": "ContractRequestMessage", "@id": "urn:uuid:" + "1" * 8,
                "consumerPid": "urn:uuid:%s" % ("2" * 8),
                "callbackAddress": provider_peer_url(),
                "offer": {"@type": "Offer", "@id": asset + ":offer", "target": asset,
                          "permission": [{"action": "use"}]}})
        before = len(provider.items("negotiations"))
        status, _, body = self.assert_same(ask)
        self.assertEqual(status, 400)
        # Not for any other fault of the message: it is good but for what it asks for.
        self.assertIn(b"negotiation.unknown-offer", body)
        self.assertEqual(len(provider.items("negotiations")), before)


def provider_peer_url():
    """Where the provider would call the third participant back."""
    with open(provider.path("tally.json")) as file:
        return [peer["url"] for peer in json.load(file)["peers"] if peer["uri"] == BROKER][0]


class Transferring(unittest.TestCase):
    def test_both_sides_record_the_same_digest_and_size(self):
        agreement = pair.held()
        digest = "sha256:" + hashlib.sha256(CONTENT).hexdigest()

        def evidence(side, kind):
            found = [record for record in side.records(kind)
                     if record.get("agreement") == agreement]
            return found[0] if found else None
        for kind in ("transfer.sent", "transfer.received"):
            side = provider if kind == "transfer.sent" else consumer
            record = eventually(lambda: evidence(side, kind), kind)
            self.assertEqual((record["content"], record["bytes"]), (digest, len(CONTENT)))
        for side in (provider, consumer):
            eventually(lambda: evidence(side, "receipt.held"), "the other's receipt is held")

    def test_data_changed_on_the_way_leaves_no_artefact_and_a_record(self):
        with_proxy = World()
        self.addCleanup(with_proxy.close)
        tampered = Pair(with_proxy)
        port = connectors.free_port()
        tampered.provider.edit(
            lambda config: config.update(dataUrl="https://localhost:%d" % port))
        tampered.consumer.add_peer(
            tampered.provider, "localhost:%d" % tampered.provider.peers_port,
            "localhost:%d" % port)
        proxy = wires.TamperingProxy(
            port, tampered.provider.peers_port,
            tampered.provider.path("tls", "chain.pem"), tampered.provider.path("tls", "key.pem"),
            with_proxy.authority.context(tampered.consumer.path("tls", "chain.pem"),
                                         tampered.consumer.path("tls", "key.pem")))
        self.addCleanup(proxy.close)
        tampered.provider.offer(content=CONTENT)
        tampered.start()
        agreement = tampered.consumer.agree(tampered.provider)
        process = tampered.consumer.transfer(agreement)
        self.assertTrue(proxy.seen)
        self.assertEqual(process["state"], "TERMINATED")
        rejected = tampered.consumer.records("transfer.rejected")
        self.assertEqual([record["agreement"] for record in rejected], [agreement])
        self.assertEqual(tampered.consumer.records("transfer.received"), [])
        eventually(lambda: not tampered.consumer.custody_files(), "nothing is held")
        token = tampered.consumer.app("study", RESEARCH)
        self.assertEqual(tampered.consumer.read(token, agreement).status, 404)


class Lineage(unittest.TestCase):
    def test_an_auditor_asks_where_an_artefact_came_from(self):
        agreement = pair.held()
        artefact = [item for item in consumer.items("artefacts")
                    if item["agreement"] == agreement][0]
        for asked in (artefact["id"], artefact["content"]):
            answer = consumer.api("GET", "/api/v1/lineage/" + asked)
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(answer.json()["start"], artefact["content"])
            self.assertLessEqual(
                {("up", "transfer.received", agreement), ("up", "contract.finalized", agreement)},
                {(hop["direction"], hop["type"], hop.get("agreement"))
                 for hop in answer.json()["hops"]})
        for unknown in ("nobody", "sha256:" + "0" * 64):
            answer = consumer.api("GET", "/api/v1/lineage/" + unknown)
            self.assertEqual((answer.status, answer.code()), (404, "audit.trace-unknown"))
        self.assertIn(consumer.api("GET", "/api/v1/lineage/" + artefact["id"], token="no").status,
                      (401, 403))


class Reading(unittest.TestCase):
    def uses(self, agreement):
        return [record for record in consumer.records("use.permitted")
                if record["agreement"] == agreement and record["action"] == "read"]

    def test_ten_repeats_with_one_key_are_one_use_and_the_fourth_use_is_refused(self):
        agreement = pair.held()
        token = consumer.app("repeats", RESEARCH)
        names = set()
        for _ in range(10):
            answer = consumer.read(token, agreement, key="the same")
            self.assertEqual((answer.status, answer.body), (200, CONTENT))
            names.add(answer.headers["tally-use"])
        self.assertEqual(len(names), 1)
        self.assertEqual(len(self.uses(agreement)), 1)
        for key in ("second", "third"):
            self.assertEqual(consumer.read(token, agreement, key=key).status, 200)
        refused = consumer.read(token, agreement, key="fourth")
        self.assertEqual(refused.status, 403)
        params = refused.json()["params"]
        self.assertEqual((params["used"], params["limit"]), ("3", "3"))
        self.assertEqual(refused.json()["code"], "usage.limit-reached")
        # A repeat of a use that was had is still no new one.
        self.assertEqual(consumer.read(token, agreement, key="the same").status, 200)
        denied = [record for record in consumer.records("use.denied")
                  if record["agreement"] == agreement]
        self.assertEqual(len(denied), 1)
        limit = consumer.agreement(agreement)["limits"][0]
        self.assertEqual((limit["owner"], limit["used"], limit["left"]), ("consumer", 3, 0))

    def test_an_application_for_another_purpose_is_refused_whatever_it_claims(self):
        agreement = pair.held()
        token = consumer.app("adverts", MARKETING)
        for claim in (None, MARKETING, RESEARCH):
            self.assertEqual(consumer.read(token, agreement, purpose=claim).status, 403, claim)
        self.assertEqual(self.uses(agreement), [])

    def test_an_application_reads_only_under_the_agreements_it_is_registered_for(self):
        agreement = pair.held()
        token = consumer.app("elsewhere", RESEARCH, agreements=["urn:uuid:another"])
        refused = consumer.read(token, agreement)
        self.assertEqual((refused.status, refused.code()), (403, "api.app-not-for-agreement"))

    def test_of_a_hundred_parallel_reads_exactly_ten_succeed(self):
        agreement = pair.held("urn:hospital:ten")
        token = consumer.app("crowd", RESEARCH)
        statuses = in_parallel(100, lambda number: consumer.read(token, agreement).status)
        self.assertEqual(sorted(statuses), [200] * 10 + [403] * 90)
        self.assertEqual(len(self.uses(agreement)), 10)

    def test_a_repeat_after_kill_9_still_counts_as_the_same_use(self):
        agreement = pair.held("urn:hospital:two")
        token = consumer.app("survivor", RESEARCH)
        first = consumer.read(token, agreement, key="before")
        self.assertEqual(first.status, 200)
        consumer.kill9()
        consumer.start()
        again = consumer.read(token, agreement, key="before")
        self.assertEqual(again.status, 200)
        self.assertEqual(again.headers["tally-use"], first.headers["tally-use"])
        self.assertEqual(again.headers.get("tally-use-repeated"), "true")
        self.assertEqual(consumer.agreement(agreement)["limits"][0]["used"], 1)
        self.assertEqual(consumer.read(token, agreement, key="after").status, 200)
        self.assertEqual(consumer.read(token, agreement, key="too many").status, 403)

    def test_a_duty_without_an_end_destroys_after_the_first_use_and_reading_says_so(self):
        provider.offer("urn:hospital:once", name="once", delete=True)
        eventually(lambda: provider.notices("daemon.offer-published")[-1]["params"]["asset"] ==
                   "urn:hospital:once", "the offer is there")
        agreement = pair.held("urn:hospital:once")
        artefact = [item["id"] for item in consumer.items("artefacts")
                    if item["agreement"] == agreement][0]
        token = consumer.app("once", RESEARCH)
        self.assertEqual(consumer.read(token, agreement).status, 200)
        consumer.clock(1)  # the keeper looks at once, and not only when its minute is over
        eventually(lambda: not any(artefact in name for name in consumer.custody_files()),
                   "key and blob are gone")
        answer = eventually(lambda: (lambda a: a if a.status != 200 else None)(
            consumer.read(token, agreement)), "nothing is read any more")
        self.assertEqual(answer.status, 410, answer)
        self.assertIn(answer.code(), ("api.being-destroyed", "api.destroyed"))
        # The use that could not be had was given back.
        self.assertEqual(consumer.agreement(agreement)["uses"], 1)

    def test_a_dry_run_decides_and_counts_nothing(self):
        agreement = pair.held()
        consumer.app("asks", RESEARCH)
        for _ in range(5):
            answer = consumer.api("POST", "/api/v1/decisions",
                                  {"agreement": agreement, "app": "asks"})
            self.assertEqual((answer.status, answer.json()["decision"]), (200, "permit"))
        self.assertEqual(consumer.agreement(agreement)["limits"][0]["used"], 0)
        # The whole decision: who vouches for the purpose is the registration of the application.
        constraints = {one["leftOperand"]: one
                       for one in answer.json()["report"]["rules"][0]["constraints"]}
        purpose = constraints["http://www.w3.org/ns/odrl/2/purpose"]
        self.assertEqual((purpose["satisfactionState"], purpose["vouchedBy"]),
                         ("Satisfied", "registration"))
        count = constraints["http://www.w3.org/ns/odrl/2/count"]
        self.assertEqual((count["actualSource"], count["vouchedBy"]), ("usage", "measured"))

    def test_what_the_policy_engine_knows(self):
        terms = pair.consumer.get("/api/v1/policy-terms")
        operands = {one["leftOperand"]: one for one in terms["leftOperands"]}
        self.assertEqual(operands["http://www.w3.org/ns/odrl/2/count"]["vouchedBy"], ["measured"])
        self.assertTrue(operands["http://www.w3.org/ns/odrl/2/count"]["enforced"])
        self.assertTrue(operands["urn:tally:profile:1#role"]["enforced"])
        self.assertFalse(operands["urn:tally:profile:1#user"]["enforced"])


def in_parallel(count, work):
    results = [None] * count

    def one(number):
        try:
            results[number] = work(number)
        except Exception as failure:  # shown by the assertion on the results
            results[number] = repr(failure)
    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


class Ending(unittest.TestCase):
    """The end of a contract, in order; the logs are looked at when no daemon runs any more."""

    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.addClassCleanup(cls.world.close)
        cls.pair = Pair(cls.world)
        tomorrow = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
        cls.pair.provider.offer(count=3, until=tomorrow.strftime("%Y-%m-%dT%H:%M:%SZ"))
        cls.pair.start()
        cls.agreement = cls.pair.held()
        cls.token = cls.pair.consumer.app("study", RESEARCH)
        for key in "123":
            if cls.pair.consumer.read(cls.token, cls.agreement, key=key).status != 200:
                raise AssertionError("read " + key)

    def read(self, key):
        return self.pair.consumer.read(self.token, self.agreement, key=key)

    def test_1_without_the_provider_the_fourth_use_is_still_refused(self):
        self.assertEqual(self.pair.provider.stop(), 0)
        self.assertEqual(self.read("4").status, 403)

    def test_2_past_the_end_the_consumer_destroys_the_data_by_itself(self):
        self.assertEqual(len(self.pair.consumer.custody_files()), 2)
        self.pair.consumer.clock(2 * 24 * 3600)
        eventually(lambda: not self.pair.consumer.custody_files(), "key and blob are gone")
        eventually(lambda: self.read("5").code() == "api.destroyed",
                   "reading says that it was destroyed")
        self.assertEqual(self.read("6").status, 410)
        self.assertEqual(self.pair.consumer.agreement(self.agreement)["state"], "expired")

    def test_3_the_provider_comes_back_and_receives_the_deletion_record(self):
        self.pair.provider.start()
        records = eventually(lambda: self.pair.provider.items("deletion-records"),
                             "the deletion record arrives")
        self.assertEqual(records[0]["agreement"], self.agreement)
        received = self.pair.consumer.records("transfer.received")[0]
        self.assertEqual(records[0]["content"], received["content"])
        # It waited as well, in a line of its own.
        eventually(lambda: self.pair.provider.items("statement-records"), "the statement arrives")

    def test_4_both_logs_verify_and_say_that_nobody_else_holds_a_head(self):
        for side in (self.pair.provider, self.pair.consumer):
            self.assertEqual(side.stop(), 0)
            code, report = side.verify()
            self.assertEqual((code, report["verdict"]), (0, "whole"))
            self.assertTrue(report["test"])
            notes = {note["code"] for note in report["notes"]}
            self.assertIn("audit.verify-no-foreign-head", notes)
            self.assertIn("audit.verify-test-log", notes)

    def test_5_the_story_from_both_halves_has_every_chapter(self):
        shown = self.pair.consumer.tally(
            "--json", "audit", "show", self.pair.provider.folder, self.pair.consumer.folder,
            "--agreement", self.agreement)
        story = json.loads(shown.stdout)
        self.assertEqual(len(story["logs"]), 2)
        by_log = [{row["type"] for row in story["rows"] if row["log"] == log} for log in (0, 1)]
        self.assertLessEqual({"offer.published", "contract.agreed", "contract.finalized",
                              "transfer.sent", "receipt.issued", "receipt.held"},
                             by_log[0])
        self.assertLessEqual({"contract.agreed", "contract.finalized", "transfer.received",
                              "use.permitted", "use.executed", "use.denied", "policy.expired",
                              "obligation.due", "data.destroyed"}, by_log[1])

    def ask(self, *arguments, check=True):
        """`tally audit` about files alone: its exit code and its JSON."""
        told = self.pair.consumer.tally("--json", "audit", *arguments, check=check)
        return told.returncode, json.loads(told.stdout or "null")

    def test_5_a_query_finds_what_a_hand_count_finds(self):
        for side in (self.pair.provider, self.pair.consumer):
            records = side.records()
            code, found = self.ask("query", side.folder, "--agreement", self.agreement)
            self.assertEqual(code, 0)
            self.assertEqual([row["seq"] for row in found["records"]],
                             [record["seq"] for record in records
                              if record.get("agreement") == self.agreement])
        code, found = self.ask("query", self.pair.consumer.folder, "--party",
                               self.pair.provider.uri, "--count-by", "type")
        denied = len(self.pair.consumer.records("use.denied"))
        self.assertIn({"value": "use.denied", "count": denied}, found["counts"])
        self.assertGreater(denied, 0)
        # The level stands in the provider's contract, and the consumer's log does not say it.
        code, found = self.ask("query", self.pair.provider.folder, "--level-min", "0")
        self.assertEqual((code, found["undecided"]), (0, 0))
        self.assertGreater(found["count"], 0)
        code, found = self.ask("query", self.pair.consumer.folder, "--level-min", "0", check=False)
        self.assertEqual((code, found["count"]), (2, 0))

    def test_5_the_two_logs_reconcile(self):
        folders = [self.pair.provider.folder, self.pair.consumer.folder]
        code, result = self.ask("reconcile", *folders)
        self.assertEqual(code, 0)
        self.assertEqual({line["result"] for line in result["lines"]}, {"MATCH"})
        # Contract, data, two receipts, the note of deletion, and the records each saw of the other.
        self.assertLessEqual({"contract.finalized", "transfer.received", "receipt.issued",
                              "data.destroyed", "peer"},
                             {line["about"] for line in result["lines"]})
        self.assertEqual(self.ask("reconcile", folders[0], folders[0], check=False)[0], 3)

    def test_5_the_data_is_traced_from_the_offer_to_its_destruction(self):
        folders = [self.pair.provider.folder, self.pair.consumer.folder]
        content = self.pair.provider.records("transfer.sent")[0]["content"]
        _, trace = self.ask("trace", *folders, "--content", content)
        way = {(hop["direction"], hop["log"], hop["type"]) for hop in trace["hops"]}
        mine, theirs = (log["origin"] for log in trace["logs"])
        self.assertLessEqual(
            {("up", mine, "offer.published"), ("up", mine, "contract.finalized"),
             ("up", mine, "transfer.sent"), ("up", theirs, "transfer.received"),
             ("down", theirs, "use.executed"), ("down", theirs, "data.destroyed")}, way)
        prov = json.loads(self.pair.consumer.tally(
            "audit", "trace", *folders, "--content", content, "--prov").stdout)
        copy = [node for node in prov["@graph"] if "urn:" + content in
                node.get("specializationOf", [])]
        self.assertEqual(len(copy), 1)
        ended = [node for node in prov["@graph"] if copy[0]["@id"] in node.get("invalidated", [])]
        self.assertEqual([node["recordType"] for node in ended], ["data.destroyed"])

    def copy(self, name):
        to = self.world.path(name)
        shutil.copytree(self.pair.consumer.path("log"), os.path.join(to, "log"))
        segment = sorted(f for f in os.listdir(os.path.join(to, "log")) if f.endswith(".tlog"))[0]
        return to, os.path.join(to, "log", segment)

    def test_6_one_flipped_byte_in_a_copy_names_the_record(self):
        records = self.pair.consumer.records()
        for number in (0, len(records) // 2, len(records) - 1):
            copy, segment = self.copy("flipped-%d" % number)
            with open(segment, "r+b") as file:
                data = file.read()
                at = data.index(records[number]["event"].encode()) + 9
                file.seek(at)
                file.write(bytes([data[at] ^ 1]))
            code, report = self.pair.consumer.verify(copy)
            self.assertEqual((code, report["verdict"]), (1, "changed"), report)
            finding = report["finding"]
            self.assertEqual((finding["seq"], finding["file"]),
                             (number, os.path.basename(segment)))
            self.assertLessEqual(finding["offset"], at)
            # Nobody is told anything out of such a log.
            self.assertEqual(self.ask("query", copy, check=False), (1, None))

    def test_7_a_cut_copy_does_not_verify(self):
        records = self.pair.consumer.records()
        copy, segment = self.copy("cut")
        with open(segment, "r+b") as file:
            data = file.read()
            file.truncate(data.index(records[-2]["event"].encode()))
        code, report = self.pair.consumer.verify(copy)
        self.assertIn(code, (1, 2), report)
        os.remove(segment)
        self.assertIn(self.pair.consumer.verify(copy)[0], (1, 2))

    def test_7_a_log_shortened_with_its_head_verifies_and_does_not_reconcile(self):
        """What an owner can do to the newest end unseen by himself, the other side's log shows."""
        copy, segment = self.copy("shortened")
        with open(segment, "r+b") as file:
            data = file.read()
            # From the frame with the first destruction on, everything is gone.
            at = data.rindex(b"TLF1", 0, data.index(b'"type":"data.destroyed"'))
            file.seek(at)
            file.write(bytes(len(data) - at))
        left = connectors.read_segment(data[:at])
        last = left[-1]
        with open(os.path.join(copy, "log", "head"), "w") as head:
            head.write("tally/head/v1\n%s\n%d\n%s\n" % (
                json.loads(last)["log"], len(left), hashlib.sha256(b"\0" + last).hexdigest()))
        # What witnesses cosigned goes too, or it would tell.
        cosigned = os.path.join(copy, "log", "cosigned")
        if os.path.exists(cosigned):
            os.remove(cosigned)
        self.assertEqual(self.pair.consumer.verify(copy)[0], 0)
        code, result = self.ask("reconcile", self.pair.provider.folder, copy, check=False)
        self.assertEqual(code, 1)
        found = {(line["result"], line["about"]) for line in result["lines"]}
        self.assertLessEqual({("TRUNCATED", "peer"), ("UNSIGNED", "data.destroyed")}, found)
        self.assertIn(("MATCH", "transfer.received"), found)

    def test_8_a_wrong_call_of_verify_exits_3(self):
        for arguments in ((), (self.world.path("nowhere"),)):
            done = connectors.run(connectors.options.tally, "audit", "verify", *arguments,
                                  check=False)
            self.assertEqual(done.returncode, 3, done.stderr)


class Whole(unittest.TestCase):
    """Last of all: what the two running connectors of this file did together."""

    def test_both_logs_tell_the_same_of_every_agreement(self):
        pair.held()  # one at the least, also when this test runs alone

        def reconciled():
            told = consumer.tally("--json", "audit", "reconcile", provider.folder,
                                  consumer.folder, check=False)
            lines = json.loads(told.stdout)["lines"]
            differ = [line for line in lines if line["result"] != "MATCH"]
            self.last = differ
            return lines if not differ and told.returncode == 0 else None
        try:
            lines = eventually(reconciled, "both logs agree")
        except AssertionError:
            self.fail(json.dumps(self.last, indent=1))
        made = {record["agreement"] for record in consumer.records("contract.finalized")}
        self.assertEqual({line["agreement"] for line in lines}, made)


if __name__ == "__main__":
    connectors.main()
