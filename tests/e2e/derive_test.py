"""Reading, exporting and deriving are three acts under rules of their own; what was derived stays
bound by the terms of everything that it was made from."""
import json
import unittest

import connectors
import wires
from connectors import COHORT, HEALTH, RESEARCH, Pair, World, eventually, policy

OTHER, STATISTICS = "urn:hospital:other-2026", "urn:hospital:statistics"
ODRL = "http://www.w3.org/ns/odrl/2/"
EXPORT = "urn:tally:profile:1#export"


def permission(action, count=None):
    constraints = [{"leftOperand": ODRL + "purpose", "operator": "isAnyOf",
                    "rightOperand": [RESEARCH]}]
    if count is not None:
        constraints.append({"leftOperand": ODRL + "count", "operator": "lteq",
                            "rightOperand": {"@value": str(count), "@type": "xsd:integer"}})
    return {"action": action, "constraint": constraints}


def offered(asset, name, *permissions):
    provider.offer(asset, name=name)
    with open(provider.path("policies", name + ".json")) as file:
        document = json.load(file)
    document["policy"].update(profile="urn:tally:profile:1", permission=list(permissions))
    provider.drop("policies", name, document)


def setUpModule():
    global world, pair, provider, consumer, token
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    inside = [permission(ODRL + "archive"), permission(ODRL + "read", 4),
              permission(ODRL + "derive", 3)]
    offered(COHORT, "cohort", *inside, permission(EXPORT, 2))
    offered(OTHER, "other", *inside)
    outside = permission(EXPORT)
    outside["constraint"].append({"leftOperand": "urn:tally:profile:1#artifactState",
                                  "operator": "isAllOf", "rightOperand": ["derived"]})
    offered(STATISTICS, "statistics", *inside, outside)
    pair.start()
    token = consumer.app("study", RESEARCH)


def ask(method, path, body=None, token_of=None, **fields):
    return wires.call(consumer.apps_port, method, path, body, token=token_of or token,
                      headers=fields)


def used(agreement):
    return {limit["rule"].rsplit("/", 1)[-1]: limit["used"]
            for limit in consumer.agreement(agreement)["limits"]}


def derived(*agreements, body=b"mean\n4.2\n", **fields):
    return ask("POST", "/api/v1/derivations?" + "&".join("input=" + one for one in agreements), body,
               **{"Content-Type": "text/csv", **fields})


def records(type, agreement):
    return [r for r in consumer.records(type) if r.get("agreement") == agreement]


class Acts(unittest.TestCase):
    def test_each_is_counted_under_its_own_rule(self):
        agreement = pair.held()
        self.assertEqual(consumer.read(token, agreement).status, 200)
        export = ask("GET", "/api/v1/exports/" + agreement)
        self.assertEqual((export.status, export.body), (200, consumer.read(token, agreement).body))
        self.assertEqual(export.headers["tally-remaining-uses"], "1")
        self.assertEqual(derived(agreement).status, 201)
        self.assertEqual(used(agreement), {"1": 2, "2": 1, "3": 1})
        self.assertEqual(ask("GET", "/api/v1/exports/" + agreement).status, 200)
        answer = ask("GET", "/api/v1/exports/" + agreement)
        self.assertEqual((answer.status, answer.code()), (403, "usage.limit-reached"))
        self.assertEqual({r["action"] for r in records("use.permitted", agreement)
                          if r["action"] != "archive"}, {"read", "derive", EXPORT})

    def test_what_may_only_be_read_does_not_leave(self):
        agreement = pair.held(OTHER)
        answer = ask("GET", "/api/v1/exports/" + agreement)
        self.assertEqual((answer.status, answer.code()), (403, "usage.action-not-allowed"))
        made = derived(agreement).json()
        answer = ask("GET", "/api/v1/artefacts/%s/export" % made["artefact"])
        self.assertEqual((answer.status, answer.code()), (403, "usage.action-not-allowed"))
        self.assertEqual(len(records("use.denied", agreement)), 2)


class Derived(unittest.TestCase):
    def test_it_is_bound_by_all_that_it_was_made_from(self):
        free, inside = pair.held(), pair.held(OTHER)
        answer = derived(free, inside, **{"Idempotency-Key": "once"})
        self.assertEqual(answer.status, 201, answer)
        made = answer.json()
        self.assertEqual(made["boundBy"], [free, inside])
        # The same once more is the same.
        self.assertEqual(derived(free, inside, **{"Idempotency-Key": "once"}).json(), made)
        for agreement in (free, inside):
            record, = records("process.executed", agreement)
            self.assertEqual(record["outputs"], [made["content"]])
            self.assertEqual(len(record["inputs"]), 2)
        path = "/api/v1/artefacts/%s/" % made["artefact"]
        read = ask("GET", path + "data")
        self.assertEqual((read.status, read.body), (200, b"mean\n4.2\n"))
        self.assertEqual(len(read.headers["tally-use"].split(", ")), 2)
        self.assertEqual([used(one)["1"] for one in (free, inside)], [1, 1])
        # One of the two forbids to take it out, and what the other had permitted is given back.
        answer = ask("GET", path + "export")
        self.assertEqual((answer.status, answer.json()["agreement"]), (403, inside))
        self.assertEqual(used(free)["3"], 0)
        # It is not what is read under an agreement.
        self.assertNotEqual(consumer.read(token, free).body, read.body)
        # Where one ends, so does it, over a restart as well.
        consumer.stop()
        consumer.start()
        self.assertEqual(ask("GET", path + "data").status, 200)
        consumer.api("POST", "/api/v1/agreements/%s/termination" % inside, {"reason": "over"})
        answer = eventually(lambda: (lambda got: got.status == 410 and got)(ask("GET", path + "data")),
                            "it is gone")
        self.assertEqual(answer.code(), "api.destroyed")
        self.assertIn(made["content"], records("data.destroyed", inside)[-1]["contents"])
        self.assertEqual(consumer.read(token, free).status, 200)
        self.assertEqual(consumer.verify()[0], 0)

    def test_a_policy_may_let_out_what_was_derived_and_not_the_data(self):
        agreement = pair.held(STATISTICS)
        made = derived(agreement).json()
        path = "/api/v1/artefacts/%s/export" % made["artefact"]
        for _ in range(2):
            self.assertEqual(ask("GET", "/api/v1/exports/" + agreement).code(),
                             "usage.value-not-allowed")
            self.assertEqual(ask("GET", path).status, 200)
        for artefact, expected in (({}, "deny"), ({"artefact": made["artefact"]}, "permit")):
            said = consumer.api("POST", "/api/v1/decisions", {
                "agreement": agreement, "app": "study", "purpose": RESEARCH, "action": EXPORT,
                **artefact}).json()
            self.assertEqual(said["decision"], expected)
        other = consumer.api("POST", "/api/v1/decisions", {
            "agreement": pair.held(COHORT), "app": "study", "artefact": made["artefact"]})
        self.assertEqual((other.status, other.code()), (404, "custody.unknown-artefact"))

    def test_who_may_not_use_an_input_sees_nothing_of_it(self):
        one, other = pair.held(), pair.held(OTHER)
        half = consumer.app("half", RESEARCH, agreements=[one])
        made = derived(one, other).json()
        for path in ("data", "export"):
            answer = ask("GET", "/api/v1/artefacts/%s/%s" % (made["artefact"], path), token_of=half)
            self.assertEqual((answer.status, answer.code()), (404, "custody.unknown-artefact"))
        self.assertEqual(ask("POST", "/api/v1/derivations?input=%s&input=%s" % (one, other), b"x",
                             token_of=half).status, 404)

    def test_inputs_are_named_and_held(self):
        agreement = consumer.agree(provider)
        for path, status in (("", 400), ("input=urn:nobody:knows", 404), ("input=" + agreement, 404)):
            self.assertEqual(ask("POST", "/api/v1/derivations?" + path, b"x").status, status, path)
        self.assertEqual(used(agreement), {"1": 0, "2": 0, "3": 0})


class PassingOn(unittest.TestCase):
    reader = None  # the token of an application of the hospital

    def offer_again(self, name, agreement, *rules, **asset_members):
        asset = "urn:institute:" + name
        consumer.drop("assets", name, {
            "id": asset, "mediaType": "text/csv", "delivery": "call",
            "source": {"type": "custody", "agreement": agreement, "purpose": RESEARCH},
            **asset_members})
        consumer.drop("policies", name, {"visibleTo": [{"domain": HEALTH}], "policy": {
            **policy(asset), "profile": "urn:tally:profile:1", "permission": list(rules)}})
        return asset

    def problem(self, file, code):
        return eventually(lambda: [one for one in consumer.get("/api/v1/policies")["problems"]
                                   if (one["file"], one["code"]) == (file, code)],
                          file + " is refused")[0]

    def test_without_distribute_it_is_refused_and_stands_in_the_agreements_story(self):
        agreement = pair.held(OTHER)
        self.offer_again("resold", agreement, permission(ODRL + "read"))
        problem = self.problem("assets/resold.json", "catalog.not-passed-on")
        self.assertEqual(problem["pointer"], "/source/agreement")
        self.assertEqual(problem["params"]["agreement"], agreement)
        refused, = records("policy.refused", agreement)
        self.assertEqual(refused["reason"]["code"], "catalog.not-passed-on")
        self.assertEqual(consumer.verify()[0], 0)

    def test_with_it_each_call_is_an_act_under_the_agreement(self):
        offered("urn:hospital:onward", "onward", permission(ODRL + "archive"), permission(ODRL + "read"),
                {"action": ODRL + "distribute", "constraint": [
                    {"leftOperand": ODRL + "count", "operator": "lteq",
                     "rightOperand": {"@value": "2", "@type": "xsd:integer"}}]})
        eventually(lambda: any(item["asset"] == "urn:hospital:onward"
                               for item in provider.get("/api/v1/policies")["items"]), "it is offered")
        agreement = pair.held("urn:hospital:onward")
        self.offer_again("wider", agreement, {"action": ODRL + "use"})
        self.problem("policies/wider.json", "catalog.onward-wider")
        asset = self.offer_again("onward", agreement, permission(ODRL + "read"))
        eventually(lambda: any(item["asset"] == asset
                               for item in consumer.get("/api/v1/policies")["items"]), "it is offered")
        onward = provider.agree(consumer, asset)
        # A call that is repeated is passed on once.
        for key in ("first", "first", "second"):
            answer = self.call(onward, **{"Idempotency-Key": key})
            self.assertEqual((answer.status, answer.body), (200, b"id,value\n1,2\n"), answer)
        answer = self.call(onward)
        self.assertEqual((answer.status, answer.code()), (403, "api.not-passed-on"))
        self.assertNotIn(agreement, answer.body.decode())
        acts = [r["type"] for r in consumer.records("use.permitted", "use.denied")
                if r["agreement"] == agreement and r["action"] == "distribute"]
        self.assertEqual(acts, ["use.permitted", "use.permitted", "use.denied"])

    def test_groups_over_it_are_refused_on_record(self):
        schema = {"columns": [{"name": name, "type": "integer", "class": "enterprise"}
                              for name in ("id", "value")]}
        offered("urn:hospital:grouped", "grouped", permission(ODRL + "use"))
        eventually(lambda: any(item["asset"] == "urn:hospital:grouped"
                               for item in provider.get("/api/v1/policies")["items"]), "it is offered")
        agreement = pair.held("urn:hospital:grouped")
        asset = self.offer_again("grouped", agreement, {
            "action": ODRL + "aggregate", "constraint": [
                *permission(ODRL + "use")["constraint"],
                {"leftOperand": "urn:tally:profile:1#minGroupSize", "operator": "gteq",
                 "rightOperand": {"@value": "2", "@type": "xsd:integer"}}]}, schema=schema)
        eventually(lambda: any(item["asset"] == asset
                               for item in consumer.get("/api/v1/policies")["items"]),
                   "it is offered", patience=10)
        onward = provider.agree(consumer, asset)
        answer = self.call(onward, "POST", "aggregates", {"values": [{"function": "count"}]})
        self.assertEqual((answer.status, answer.code()), (403, "api.not-passed-on"))
        self.assertNotIn(agreement, answer.body.decode())
        refused, = [r for r in consumer.records("use.denied") if r["agreement"] == onward]
        self.assertEqual(refused["action"], "aggregate")

    def call(self, agreement, method="GET", what="data", body=None, **fields):
        """Of the hospital's application, by way of its connector: it calls what it gave away."""
        if not PassingOn.reader:
            PassingOn.reader = provider.app("caller", RESEARCH)
        if not [one for one in provider.items("transfers") if one["agreement"] == agreement]:
            pid = provider.begin("transfers", {"agreement": agreement, "format": "HttpData-QUERY"})
            eventually(lambda: provider.get("/api/v1/transfers/" + pid)["state"] == "STARTED",
                       "it runs")
        return wires.call(provider.apps_port, method, "/api/v1/%s/%s" % (what, agreement), body,
                          token=PassingOn.reader, headers=fields)


if __name__ == "__main__":
    connectors.main()
