"""A peer that knows nothing of Tally: words of its own context, offers without rules, and what is
said of all that rests on its word alone."""
import json
import unittest

import wires
from connectors import (COHORT, HEALTH, INSTITUTE, RESEARCH, Connector, World, eventually, free_port,
                        main, options, policy, run)
from stand_in import CONTENT, DSP, EDC, NAMESPACE, SIGNED_AT, WORDS, StandIn

FIELD = "did:web:field.example"
FROM_FIELD, FROM_US = "the field's word", "our word"
BARE = {"permission": [{"action": "use", "constraint": [
    {"leftOperand": "inForceDate", "operator": "lteq", "rightOperand": "2099-12-31T00:00:00Z"}]}]}
RELATIVE = {"permission": [{"action": "use", "constraint": [
    {"leftOperand": "inForceDate", "operator": "lteq", "rightOperand": "contractAgreement+3650d"}]}]}


def until(value):
    return {"permission": [{"action": "use", "constraint": [
        {"leftOperand": "inForceDate", "operator": "lteq", "rightOperand": value}]}]}


class Foreign(unittest.TestCase):
    def setUp(self):
        self.world = World()
        self.addCleanup(self.world.close)
        self.field = StandIn(FIELD, FROM_FIELD)
        self.addCleanup(self.field.close)
        self.ours = Connector(self.world, "ours", INSTITUTE)
        self.field.consumer_uri = INSTITUTE
        self.field.our_port = free_port()

    def start(self, **settings):
        def listen(config):
            config["insecureLoopback"] = True
            config["listeners"]["credentialPeers"] = {
                "port": self.field.our_port,
                "publicUrl": "http://localhost:%d" % self.field.our_port}
        self.ours.edit(listen)
        self.configure(**settings)
        self.ours.start()

    def configure(self, **settings):
        self.ours.edit(lambda config: config.update(peers=[{
            "domain": HEALTH, "uri": FIELD, "url": self.field.url, "hosts": [self.field.host],
            "acceptUnsigned": True, "callFormat": "HttpData-PULL",
            "credential": {"expects": FROM_FIELD, "sends": FROM_US}, **settings}]))

    def order(self, asset, **more):
        return {"peer": {"domain": HEALTH, "uri": FIELD}, "asset": asset, **more}

    def ask(self, asset, **more):
        pid = self.ours.begin("negotiations", self.order(asset, **more))
        return self.ours.ended_process("negotiations", pid, ("FINALIZED", "TERMINATED"))

    def in_force(self, agreement):
        record, = [r for r in self.ours.records("contract.finalized")
                   if r["agreement"] == agreement]
        return record

    def asserted(self, agreement, peers_side):
        """What all places say of an agreement that the peer did not sign."""
        seen = self.ours.agreement(agreement)
        self.assertEqual(seen["assurance"], "asserted")
        self.assertFalse(seen["signedBy"][peers_side])
        record = self.in_force(agreement)
        self.assertEqual(record["assurance"], "asserted")
        self.assertEqual((record["signatures"][peers_side], record["statements"][peers_side]),
                         ("asserted", "asserted"))
        return seen

    # --- contexts ---

    def test_words_of_its_context_at_our_consumer(self):
        self.field.offers = {"urn:field:bare": BARE, "urn:field:relative": RELATIVE}
        self.start(contexts={EDC: WORDS})
        process = self.ask("urn:field:bare")
        self.assertEqual(process["state"], "FINALIZED", process)
        # Our request says it in IRIs, under its context too.
        request, = self.field.named("ContractRequestMessage")
        self.assertEqual(request["@context"], [DSP, EDC])
        constraint, = request["offer"]["permission"][0]["constraint"]
        self.assertEqual(constraint["leftOperand"], NAMESPACE + "inForceDate")
        # The agreement stays as it came; what its word means stands beside it.
        seen = self.asserted(process["agreement"], "provider")
        self.assertEqual(seen["policy"]["permission"], BARE["permission"])
        self.assertTrue(seen["validUntil"].startswith("2099-12-31T00:00:00"), seen)
        reading = {"contexts": [EDC], "words": {"inForceDate": NAMESPACE + "inForceDate"}}
        self.assertEqual(seen["reading"], reading)
        record = self.in_force(process["agreement"])
        self.assertEqual((record["reading"], record["sources"]["reading"]), (reading, "config"))
        relative = self.ask("urn:field:relative")
        self.assertEqual(relative["state"], "FINALIZED", relative)
        self.assertTrue(self.ours.agreement(relative["agreement"])["validUntil"].startswith(
            "2036-11-17T10:00:00"), SIGNED_AT)
        # The agreement keeps its meaning when the configuration forgets the context, and for
        # whoever has nothing but the evidence of it.
        self.assertEqual(self.ours.stop(), 0)
        bundle = self.world.path("bundle.tar")
        run(options.tally, "audit", "bundle", self.ours.folder, "--agreement",
            process["agreement"], "--out", bundle)
        shown = run(options.tally, "--json", "audit", "check-bundle", bundle, check=False)
        self.assertIn("evidence.", shown.stdout)
        self.assertNotIn("evidence.policy-unread", shown.stdout)
        self.configure()
        self.ours.start()
        again = self.ours.agreement(process["agreement"])
        self.assertEqual((again["reading"], again["validUntil"]), (reading, seen["validUntil"]))
        # And a word under no declared context is one of ODRL's, which has none such.
        refused = self.ask("urn:field:bare")
        self.assertEqual(refused["state"], "TERMINATED")
        self.assertIn("inForceDate", json.dumps(refused["reason"]))

    def test_a_word_that_is_not_under_its_context_is_not_read(self):
        self.field.offers = {"urn:field:bare": BARE}
        self.start(contexts={EDC: WORDS})
        self.field.contexts = [DSP]
        refused = self.ask("urn:field:bare")
        self.assertEqual(refused["state"], "TERMINATED", refused)
        self.assertEqual(refused["reason"]["code"], "negotiation.rule-not-enforceable")

    def test_an_agreement_with_other_words_is_not_what_was_asked_for(self):
        self.field.offers = {"urn:field:bare": BARE}
        self.start(contexts={EDC: WORDS})
        for later in (until("2100-01-01T00:00:00Z"), {"permission": [{"action": "use"}]}):
            self.field.changes = lambda agreement: {**agreement, **later}
            process = self.ask("urn:field:bare")
            self.assertEqual((process["state"], process["reason"]["code"]),
                             ("TERMINATED", "negotiation.agreement-differs"))

    def our_offer(self, name, asset, **more):
        with open(self.ours.path("source", name + ".csv"), "wb") as file:
            file.write(CONTENT)
        self.ours.drop("assets", name, {
            "id": asset, "title": "Cohort", "mediaType": "text/csv", "delivery": "call",
            "source": {"type": "file", "path": name + ".csv"}})
        self.ours.drop("policies", name, {
            "visibleTo": [{"domain": HEALTH}], "requireSignature": False,
            "acceptUnconfirmed": True, "policy": policy(asset, **more)})

    def their_end(self):
        def look():
            last = self.ours.items("negotiations")[-1]
            return last if last["state"] in ("FINALIZED", "TERMINATED") else None
        return eventually(look, "the negotiation ends")

    def test_words_of_its_context_at_our_provider(self):
        self.our_offer("cohort", COHORT, purposes=(), until="2030-01-01T00:00:00Z", delete=False)
        self.start(contexts={EDC: WORDS}, emptyOffer="use")
        asked = until("2029-01-01T00:00:00Z")
        answer = self.field.request(COHORT + ":offer", COHORT, **asked)
        self.assertEqual(answer.status, 201, answer)
        eventually(lambda: self.field.named("ContractNegotiationEventMessage"), "it is in force")
        message, = self.field.named("ContractAgreementMessage")
        # As it was asked for, word for word, under the context that gives the word its meaning.
        self.assertEqual(message["@context"], [DSP, EDC])
        self.assertEqual(message["agreement"]["permission"], asked["permission"])
        seen = self.asserted(message["agreement"]["@id"], "consumer")
        self.assertEqual(seen["enforcement"], "asserted")
        self.assertTrue(seen["validUntil"].startswith("2029-01-01T00:00:00"), seen)
        # What goes beyond the offer is found out, and said with an act.
        self.field.received.clear()
        self.field.request(COHORT + ":offer", COHORT, **until("2031-01-01T00:00:00Z"))
        ended = eventually(lambda: self.field.named("ContractNegotiationTerminationMessage"),
                           "it is refused")[0]
        self.assertIn("2031-01-01T00:00:00Z", json.dumps(ended["reason"]))
        # Without its context the same word means nothing here.
        self.field.contexts = [DSP]
        self.field.received.clear()
        self.field.request(COHORT + ":offer", COHORT, **asked)
        eventually(lambda: self.field.named("ContractNegotiationTerminationMessage"), "so is that")

    def test_faults_of_the_configuration_are_named(self):
        def twice(word, one, other):
            return {"https://a.example/1": {word: one}, "https://a.example/2": {word: other}}
        for contexts, code, pointer in (
                ([], "daemon.config-type", "/peers/0/contexts"),
                ({"no url": {}}, "daemon.config-type", "/peers/0/contexts/no url"),
                ({DSP: {}}, "daemon.config-type", "/peers/0/contexts/https:~1~1w3id.org"),
                ({EDC: {"two words": "urn:x"}}, "daemon.config-type", "two words"),
                ({EDC: {"@vocab": "urn:x:"}}, "daemon.config-type", "@vocab"),
                ({EDC: {"word": "no-iri"}}, "daemon.config-type", "/word"),
                ({EDC: {"word": "urn:<x>"}}, "daemon.config-type", "/word"),
                ({EDC: {"word": 1}}, "daemon.config-type", "/word"),
                ({EDC: {"purpose": "urn:other"}}, "daemon.config-known-word", "/purpose"),
                ({EDC: {"tally": "urn:other#"}}, "daemon.config-known-word", "/tally"),
                ({EDC: {"https": "urn:other#"}}, "daemon.config-known-word", "/https"),
                (twice("word", "urn:1", "urn:2"), "daemon.config-word-twice", "/word"),
                ({EDC: {"w%d" % n: "urn:x" for n in range(257)}}, "daemon.config-type", EDC[-6:]),
                ({"urn:c:%d" % n: {} for n in range(17)}, "daemon.config-type", "/contexts"),
                (twice("word", "urn:1", "urn:1"), None, None),
                ({EDC: {"purpose": "http://www.w3.org/ns/odrl/2/purpose"}}, None, None)):
            self.start_config(contexts)
            checked = run(options.tallyd, "--check", self.ours.folder, check=False)
            self.assertEqual(checked.returncode, 1 if code else 0, (contexts, checked.stderr))
            if code:
                self.assertIn(code, checked.stderr)
                self.assertIn(pointer, checked.stderr)
        self.start_config({}, emptyOffer="yes")
        checked = run(options.tallyd, "--check", self.ours.folder, check=False)
        self.assertIn("/peers/0/emptyOffer", checked.stderr)

    def start_config(self, contexts, **more):
        self.ours.edit(lambda config: config.update(peers=[{
            "domain": HEALTH, "uri": FIELD, "url": "https://field.example/dsp",
            "contexts": contexts, **more}]))

    # --- offers without rules ---

    def test_an_offer_without_rules(self):
        self.field.offers = {"urn:field:open": {}}
        self.start()
        answer = self.ours.api("POST", "/api/v1/negotiations", self.order("urn:field:open"))
        self.assertEqual((answer.status, answer.code()), (400, "negotiation.empty-offer"))
        self.assertIn("emptyOffer", answer.json()["detail"])
        self.assertEqual(self.field.named("ContractRequestMessage"), [])
        self.configure(emptyOffer="use")
        self.ours.reload()
        narrowed = self.ours.api("POST", "/api/v1/negotiations",
                                 self.order("urn:field:open", purposes=[RESEARCH]))
        self.assertEqual((narrowed.status, narrowed.code()),
                         (400, "negotiation.empty-offer-narrowed"))
        process = self.ask("urn:field:open")
        self.assertEqual(process["state"], "FINALIZED", process)
        request, = self.field.named("ContractRequestMessage")
        self.assertEqual(set(request["offer"]), {"@id", "@type", "target"})
        seen = self.asserted(process["agreement"], "provider")
        self.assertEqual(seen["reading"], {"emptyPolicy": "use"})
        self.assertNotIn("permission", seen["policy"])
        self.assertEqual(self.in_force(process["agreement"])["reading"], {"emptyPolicy": "use"})
        done = self.ours.transfer(process["agreement"])
        self.assertEqual(done["state"], "COMPLETED", done)
        notebook = self.ours.app("notebook", RESEARCH)
        for _ in range(4):
            answer = self.ours.read(notebook, process["agreement"])
            self.assertEqual((answer.status, answer.body), (200, CONTENT))
        # One that was made means what it meant, whatever the configuration says now.
        self.assertEqual(self.ours.stop(), 0)
        self.configure()
        self.ours.start()
        self.assertEqual(self.ours.read(notebook, process["agreement"]).status, 200)
        # A rule that nobody asked for is not no rule.
        self.configure(emptyOffer="use")
        self.ours.reload()
        self.field.changes = lambda agreement: {**agreement, "prohibition": [{"action": "use"}]}
        other = self.ask("urn:field:open")
        self.assertEqual(other["reason"]["code"], "negotiation.agreement-differs")

    def test_an_agreement_without_rules_that_nobody_asked_for(self):
        self.field.offers = {"urn:field:bare": BARE}
        self.start(contexts={EDC: WORDS}, emptyOffer="use")
        self.field.changes = lambda agreement: {
            key: value for key, value in agreement.items() if key != "permission"}
        process = self.ask("urn:field:bare")
        self.assertEqual(process["reason"]["code"], "negotiation.agreement-differs")

    def test_nobody_gets_an_offer_of_ours_without_rules(self):
        self.our_offer("cohort", COHORT, purposes=())
        self.start(emptyOffer="use")
        answer = self.field.request(COHORT + ":offer", COHORT)
        self.assertEqual((answer.status, answer.json()["@type"]), (400, "ContractNegotiationError"))
        self.assertIn("dsp.policy-without-rule", json.dumps(answer.json()["reason"]))

    # --- what rests on its word ---

    def test_what_rests_on_its_word_says_so(self):
        self.our_offer("cohort", COHORT, purposes=(), count=3)
        self.start()
        shown = wires.call(self.field.our_port, "GET", "/dsp/2025-1/catalog/datasets/" + COHORT,
                           headers={"Authorization": FROM_FIELD}).json()
        self.field.request(COHORT + ":offer", COHORT,
                           permission=shown["hasPolicy"][0]["permission"])
        eventually(lambda: self.field.named("ContractNegotiationEventMessage"), "it is in force")
        agreement = self.field.named("ContractAgreementMessage")[0]["agreement"]["@id"]
        seen = self.asserted(agreement, "consumer")
        self.assertEqual(seen["enforcement"], "asserted")
        # It counts nothing: every limit counts here.
        self.assertEqual([limit["owner"] for limit in seen["limits"]], ["provider"])
        record, = self.ours.records("contract.verified")
        self.assertEqual((record["assurance"], record["enforces"]), ("asserted", "asserted"))
        self.assertNotIn("signature", record)
        # A use under it, then its end, with which the uses are stated.
        self.field.send(None, "/transfers/request", self.field.message(
            "TransferRequestMessage", consumerPid="urn:uuid:" + "1" * 8, agreementId=agreement,
            format="HttpData-PULL", callbackAddress=self.field.url))
        address = eventually(lambda: self.field.named("TransferStartMessage"), "data")[0]["dataAddress"]
        token = next(p["value"] for p in address["endpointProperties"]
                     if p["name"] == "authorization")
        path = "/" + address["endpoint"].split("/", 3)[3]
        got = wires.call(self.field.our_port, "GET", path, headers={"Authorization": token})
        self.assertEqual(got.status, 200, got)
        self.ours.api("POST", "/api/v1/agreements/%s/termination" % agreement, {"reason": "over"})
        statement = eventually(lambda: self.ours.items("statements"), "the uses are stated")[0]
        self.assertEqual((statement["state"], statement["assurance"]), ("kept", "asserted"))
        self.assertIn('"assurance":"asserted"', statement["note"])
        record, = self.ours.records("statement.issued")
        self.assertEqual((record["agreement"], record["assurance"]), (agreement, "asserted"))
        history = self.ours.get("/api/v1/agreements/%s/history" % agreement)
        said = {row["type"]: row["summary"] for row in history["rows"]}
        for kind in ("contract.verified", "contract.finalized", "statement.issued"):
            self.assertEqual(said[kind]["code"], "audit.story-%s-asserted" % kind)
            self.assertIn("asserted", said[kind]["text"])
        self.assertEqual(self.ours.stop(), 0)
        code, report = self.ours.verify()
        self.assertEqual(code, 0, report)


if __name__ == "__main__":
    main()
