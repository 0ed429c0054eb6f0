"""Who decides a negotiation: rules that are taken up while the daemon runs, people through the API
and the command line, and an agreement that was made elsewhere."""
import json
import unittest

import connectors
from connectors import (COHORT, HEALTH, INSTITUTE, HOSPITAL, MARKETING, RESEARCH, Pair, World,
                        eventually, policy)

APPROVED = "urn:hospital:approved"


def setUpModule():
    global world, provider, consumer, reader
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    provider.offer(count=3)
    provider.offer(APPROVED, name="approved", count=3)
    with open(provider.path("policies", "approved.json")) as file:
        document = json.load(file)
    provider.drop("policies", "approved", {**document, "decide": "approve"})
    reader = provider.add_token("reader", "auditor")
    pair.start()


def rules(connector, *rules, problems=0):
    """Puts a file of rules in force and waits until it is."""
    connector.drop("rules", "test", {"rules": list(rules)})

    def taken_up():
        shown = connector.get("/api/v1/rules")
        return (len(shown["items"]) == (0 if problems else len(rules))
                and len(shown["problems"]) == problems and shown)
    return eventually(taken_up, "the rules are in force")


def rule(role, state, act, **more):
    return {"process": "negotiation", "role": role, "state": state, "do": act, **more}


def waits(connector):
    return eventually(lambda: connector.items("approvals"), "something waits")[0]


def begin(asset=APPROVED, **more):
    return consumer.begin("negotiations", {
        "peer": provider.party_json, "asset": asset, "purposes": [RESEARCH], **more})


def ended(connector, pid):
    return connector.ended_process("negotiations", pid, ("FINALIZED", "TERMINATED"))


class Decisions(unittest.TestCase):
    def tearDown(self):
        rules(provider)
        rules(consumer)

    def test_a_rule_is_taken_up_while_the_daemon_runs_and_recorded(self):
        rules(provider, rule("provider", "REQUESTED", "terminate", reason="not today"))
        process = consumer.negotiate(provider)
        self.assertEqual(process["state"], "TERMINATED")
        self.assertIn("not today", process["reason"]["text"])
        rules(provider)
        self.assertEqual(consumer.negotiate(provider)["state"], "FINALIZED")
        changes = [r for r in provider.records("config.changed") if r["change"] == "rules"]
        self.assertGreaterEqual(len(changes), 2)
        self.assertTrue(all("rules" in r["changed"] for r in changes))

    def test_a_bad_document_is_named_and_left_out(self):
        shown = rules(provider, rule("provider", "REQUESTD", "wait"), problems=1)
        problem = shown["problems"][0]
        self.assertEqual((problem["file"], problem["pointer"]),
                         ("rules/test.json", "/rules/0/state"))
        self.assertEqual(problem["params"]["closest"], "REQUESTED")
        self.assertEqual(consumer.negotiate(provider)["state"], "FINALIZED")

    def test_a_rule_waits_over_a_restart_and_goes_on_when_it_is_taken_away(self):
        rules(provider, rule("provider", "REQUESTED", "wait"))
        pid = begin(COHORT)
        waits(provider)
        provider.stop()
        provider.start()
        self.assertEqual(waits(provider)["why"]["code"], "negotiation.waits-by-rule")
        rules(provider)
        self.assertEqual(ended(consumer, pid)["state"], "FINALIZED")
        self.assertEqual(provider.items("approvals"), [])

    def test_a_person_approves(self):
        pid = begin()
        item = waits(provider)
        self.assertIn(item["id"], provider.tally("approvals").stdout)
        provider.tally("approve", item["id"])
        self.assertEqual(ended(consumer, pid)["state"], "FINALIZED")
        record = provider.records("approval.approved")[-1]
        self.assertEqual(record["pid"], item["id"])
        # The order and the decision are of the same token.
        order = [r for r in provider.records("admin.action") if r["action"] == "approve-negotiation"][-1]
        self.assertEqual(record["decidedBy"], {"role": order["role"], "token": order["token"]})
        again = provider.tally("approve", item["id"], check=False)
        self.assertNotEqual(again.returncode, 0)

    def test_a_person_rejects_and_says_why(self):
        pid = begin()
        provider.tally("reject", waits(provider)["id"], "--reason", "Ask Mrs Example.")
        process = ended(consumer, pid)
        self.assertEqual(process["state"], "TERMINATED")
        self.assertIn("Ask Mrs Example.", process["reason"]["text"])
        for connector in (provider, consumer):
            self.assertNotIn("Mrs Example", json.dumps(connector.records()))

    def test_people_on_both_sides_counter_and_approve(self):
        pid = begin(counterOffers="approve")
        with open(provider.path("less.json"), "w") as file:
            json.dump(policy(APPROVED, count=1), file)
        provider.tally("counter", waits(provider)["id"], "--policy", provider.path("less.json"))
        item = waits(consumer)
        self.assertEqual(item["id"], pid)
        self.assertEqual(item["why"]["code"], "negotiation.waits-counter-offer")
        consumer.tally("approve", pid)
        process = ended(consumer, pid)
        self.assertEqual(process["state"], "FINALIZED")
        limits = consumer.agreement(process["agreement"])["limits"]
        self.assertEqual([limit["limit"] for limit in limits], [1])

    def test_what_goes_beyond_the_offer_cannot_be_approved(self):
        pid = begin(purposes=[MARKETING])
        item = waits(provider)
        answer = provider.api("POST", "/api/v1/approvals/%s/approve" % item["id"])
        self.assertEqual(answer.status, 409)
        self.assertEqual(answer.json()["code"], "negotiation.widens-offer")
        provider.tally("reject", item["id"])
        self.assertEqual(ended(consumer, pid)["state"], "TERMINATED")

    def test_an_auditor_sees_and_does_not_decide(self):
        pid = begin()
        item = waits(provider)
        self.assertEqual(provider.api("GET", "/api/v1/approvals", token=reader).status, 200)
        path = "/api/v1/approvals/%s/approve" % item["id"]
        self.assertEqual(provider.api("POST", path, token=reader).status, 403)
        provider.tally("reject", item["id"])
        ended(consumer, pid)

    def test_the_provider_begins(self):
        rules(consumer, rule("consumer", "OFFERED", "accept", peer={"domain": HEALTH}))
        pid = provider.begin("negotiations", {
            "role": "provider", "peer": consumer.party_json, "offer": COHORT + ":offer"})
        process = ended(provider, pid)
        self.assertEqual(process["state"], "FINALIZED")
        held = consumer.agreement(process["agreement"])
        self.assertEqual((held["side"], held["asset"]), ("consumer", COHORT))
        again = provider.tally("--json", "offer", consumer.party, COHORT + ":offer")
        self.assertEqual(json.loads(again.stdout)["state"], "FINALIZED")
        unknown = provider.tally("offer", consumer.party, "urn:no:offer", check=False)
        self.assertNotEqual(unknown.returncode, 0)

    def test_the_consumer_asks_without_the_catalogue(self):
        pid = consumer.begin("negotiations", {
            "peer": provider.party_json, "asset": COHORT, "offer": COHORT + ":offer",
            "policy": policy(COHORT, count=2)})
        process = ended(consumer, pid)
        self.assertEqual(process["state"], "FINALIZED")
        pid = consumer.begin("negotiations", {
            "peer": provider.party_json, "asset": COHORT, "offer": COHORT + ":offer",
            "policy": "use"})
        self.assertIn(ended(consumer, pid)["reason"]["code"],
                      ("negotiation.widens-offer", "negotiation.permits-beyond-offer"))

    def test_ending_one_with_words(self):
        rules(provider, rule("provider", "REQUESTED", "wait"))
        pid = begin(COHORT)
        waits(provider)
        answer = consumer.api("POST", "/api/v1/negotiations/%s/termination" % pid,
                              {"reason": "We have it already."})
        self.assertEqual(answer.status, 200)
        theirs = [p["id"] for p in provider.items("negotiations") if p["peerPid"] == pid][0]
        self.assertIn("We have it already.", ended(provider, theirs)["reason"]["text"])

    def test_an_agreement_made_elsewhere_is_in_force_at_once(self):
        document = policy(COHORT, purposes=())
        del document["@context"]
        document.update({"@type": "Agreement", "@id": "urn:example:paper-7", "assigner": HOSPITAL,
                         "assignee": INSTITUTE, "timestamp": "2026-11-01T00:00:00Z"})
        for connector, other, role in ((provider, consumer, "provider"),
                                       (consumer, provider, "consumer")):
            order = {"peer": other.party_json, "role": role, "agreement": document}
            self.assertEqual(connector.api("POST", "/api/v1/agreements", order).status, 201)
            self.assertEqual(connector.api("POST", "/api/v1/agreements", order).status, 200)
            changed = {**order, "agreement": {**document, "timestamp": "2026-11-02T00:00:00Z"}}
            self.assertEqual(connector.api("POST", "/api/v1/agreements", changed).status, 409)
            held = connector.agreement("urn:example:paper-7")
            self.assertEqual((held["state"], held["enforcement"], held["imported"]),
                             ("active", "asserted", True))
            document["@id"] = "urn:example:paper-8"
            with open(connector.path("paper.json"), "w") as file:
                json.dump(document, file)
            connector.tally("import-agreement", other.party, connector.path("paper.json"),
                            "--role", role)
            self.assertEqual(connector.agreement(document["@id"])["state"], "active")
            document["@id"] = "urn:example:paper-7"
        process = consumer.transfer("urn:example:paper-7")
        self.assertEqual(process["state"], "COMPLETED", process)

    def test_z_both_logs_are_whole(self):
        for connector in (provider, consumer):
            connector.stop()
            code, report = connector.verify()
            self.assertEqual(code, 0, report)
            connector.start()


if __name__ == "__main__":
    connectors.main()
