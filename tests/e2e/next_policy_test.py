"""Class 17: what is passed on is passed on under the policy that its provider attached, or under a
narrower one; the attempt at a wider one is refused and recorded."""
import json
import unittest

import connectors
import wires
from connectors import HEALTH, RESEARCH, Pair, World, eventually, policy

ODRL = "http://www.w3.org/ns/odrl/2/"
TERM = "urn:tally:profile:1#"


def count(most):
    return {"leftOperand": ODRL + "count", "operator": "lteq",
            "rightOperand": {"@value": str(most), "@type": "xsd:integer"}}


FOR_RESEARCH = {"leftOperand": ODRL + "purpose", "operator": "isAnyOf", "rightOperand": [RESEARCH]}
BY_PROVIDER = {"leftOperand": TERM + "countedBy", "operator": "eq", "rightOperand": "provider"}
# For those who receive it next: to read twice, for research.
NEXT = {"@type": "Set", "uid": "urn:hospital:next", "profile": "urn:tally:profile:1",
        "permission": [{"action": ODRL + "read",
                        "constraint": [FOR_RESEARCH, count(2), BY_PROVIDER]}]}


def offered(name, duty):
    asset = "urn:hospital:" + name
    provider.offer(asset, name=name)
    provider.drop("policies", name, {"visibleTo": [{"domain": HEALTH}], "policy": {
        **policy(asset), "profile": "urn:tally:profile:1", "permission": [
            {"action": ODRL + "archive", "constraint": [FOR_RESEARCH]},
            {"action": ODRL + "distribute", "duty": [duty]}]}})
    return asset


def attached(document):
    return {"action": ODRL + "nextPolicy", "constraint": [
        {"leftOperand": TERM + "onwardPolicy", "operator": "eq",
         "rightOperand": json.dumps(document)}]}


def problem(connector, file, code):
    return eventually(lambda: [one for one in connector.get("/api/v1/policies")["problems"]
                               if (one["file"], one["code"]) == (file, code)],
                      "%s is refused with %s: %r" % (
                          file, code, connector.get("/api/v1/policies")["problems"]))[0]


def setUpModule():
    global world, pair, provider, consumer, asset
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    asset = offered("attached", attached(NEXT))
    offered("unreadable", attached(
        {"@type": "Set", "uid": "urn:hospital:none", "permission": [{"action": "reed"}]}))
    pair.start()


class NextPolicy(unittest.TestCase):
    def offer_again(self, name, *rules):
        asset = "urn:institute:" + name
        consumer.drop("assets", name, {
            "id": asset, "mediaType": "text/csv", "delivery": "call",
            "source": {"type": "custody", "agreement": self.agreement, "purpose": RESEARCH}})
        consumer.drop("policies", name, {"visibleTo": [{"domain": HEALTH}], "policy": {
            **policy(asset), "profile": "urn:tally:profile:1", "permission": list(rules)}})
        return asset

    def test_1_a_wider_offer_is_refused_naming_the_agreement_and_recorded(self):
        type(self).agreement = pair.held(asset)
        wider = {
            "more": {"action": ODRL + "read", "constraint": [FOR_RESEARCH, count(3), BY_PROVIDER]},
            "anything": {"action": ODRL + "read", "constraint": [count(2), BY_PROVIDER]},
            "export": {"action": "use", "constraint": [FOR_RESEARCH, count(2), BY_PROVIDER]},
        }
        for name, rule in wider.items():
            with self.subTest(name):
                sold = self.offer_again(name, rule)
                refused = problem(consumer, "policies/%s.json" % name, "catalog.onward-not-next")
                self.assertEqual(refused["params"]["agreement"], self.agreement)
                # Over the wire: there is no such offer.
                answer = provider.api("POST", "/api/v1/negotiations", {
                    "peer": consumer.party_json, "asset": sold, "purposes": [RESEARCH]})
                self.assertEqual((answer.status, answer.code()), (404, "api.asset-not-offered"))
        told = [record for record in consumer.records("policy.refused")
                if record.get("agreement") == self.agreement]
        self.assertEqual([record["reason"]["code"] for record in told],
                         ["catalog.onward-not-next"] * 3)

    def test_2_that_policy_or_a_narrower_one_is_offered_and_binds(self):
        for name, most in (("same", 2), ("narrower", 1)):
            again = self.offer_again(name, {"action": ODRL + "read", "constraint": [
                FOR_RESEARCH, count(most), BY_PROVIDER]})
            eventually(lambda: any(item["asset"] == again
                                   for item in consumer.get("/api/v1/policies")["items"]),
                       name + " is offered")
        agreement = provider.agree(consumer, "urn:institute:narrower")
        pid = provider.begin("transfers", {"agreement": agreement, "format": "HttpData-QUERY"})
        eventually(lambda: provider.get("/api/v1/transfers/" + pid)["state"] == "STARTED", "runs")
        token = provider.app("caller", RESEARCH)
        first, second = [wires.call(provider.apps_port, "GET", "/api/v1/data/" + agreement,
                                    token=token) for _ in range(2)]
        self.assertEqual(first.status, 200, first)
        self.assertEqual(second.status, 403, second)
        acts = [record["type"] for record in consumer.records("use.permitted", "use.denied")
                if record["agreement"] == self.agreement and record["action"] == "distribute"]
        self.assertEqual(acts[0], "use.permitted")

    def test_3_a_policy_that_could_not_be_offered_is_not_attached(self):
        refused = problem(provider, "policies/unreadable.json", "odrl.next-policy-not-loaded")
        self.assertIn("reed", refused["params"]["problem"])
        # Nor where nothing is passed on.
        offered("elsewhere", attached(NEXT))
        with open(provider.path("policies", "elsewhere.json")) as file:
            document = json.load(file)
        document["policy"]["permission"][1]["action"] = ODRL + "read"
        provider.drop("policies", "elsewhere", document)
        problem(provider, "policies/elsewhere.json", "odrl.next-policy-place")

    def test_4_the_logs_are_whole(self):
        for connector in (provider, consumer):
            self.assertEqual(connector.stop(), 0)
            code, report = connector.verify()
            self.assertEqual(code, 0, report)


if __name__ == "__main__":
    connectors.main()
