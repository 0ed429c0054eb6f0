"""Only groups leave: an agreement that permits `aggregate` and not `read`, asked by an application
through its own connector. What is counted and what is remembered holds over a kill of the provider
between any two queries, and no value of a filter is in a log."""
import os
import unittest
import urllib.parse

import connectors
import wires
from connectors import HEALTH, RESEARCH, MARKETING, Pair, World, eventually, policy

TERM = "urn:tally:profile:1#"
ODRL = "http://www.w3.org/ns/odrl/2/"
WARDS = ["A", "B", "C"]
CANARY = "canary-diagnosis-7"
LEAST = 10


def rows():
    """120 people, 40 in each ward, and one more whose pay is a secret."""
    out = ["ward,age,diagnosis,pay"]
    for i in range(120):
        out.append("%s,%d,d%d,%d" % (WARDS[i % 3], 20 + i // 6, i % 4, 1000 + i))
    out.append("A,77,%s,91234" % CANARY)
    return out


def as_csv(lines):
    return ("\r\n".join(lines) + "\r\n").encode()


SCHEMA = {"columns": [
    {"name": "ward", "type": "text", "class": "enterprise"},
    {"name": "age", "type": "integer", "class": "enterprise"},
    {"name": "diagnosis", "type": "text", "class": "personal", "privacy": "health"},
    {"name": "pay", "type": "integer", "class": "personal", "privacy": "income"}]}


def says(operand, value, operator="eq"):
    return {"leftOperand": TERM + operand, "operator": operator, "rightOperand": value}


def number(value):
    return {"@value": str(value), "@type": "xsd:integer"}


def groups(*more, least=LEAST, count=None, purposes=(RESEARCH,)):
    out = [{"leftOperand": ODRL + "purpose", "operator": "isAnyOf", "rightOperand": list(purposes)},
           *more]
    if least is not None:
        out.append(says("minGroupSize", number(least), "gteq"))
    if count:
        out.append({"leftOperand": ODRL + "count", "operator": "lteq",
                    "rightOperand": number(count)})
    return {"action": ODRL + "aggregate", "constraint": out}


def offered(name, *permissions, lines=None, delivery="call", source=None, schema=SCHEMA,
            asset=None):
    asset = asset or "urn:hospital:" + name
    path = source or name
    if lines is not None or source is None:
        with open(provider.path("source", path), "wb") as file:
            file.write(as_csv(rows() if lines is None else lines))
    document = {"id": asset, "mediaType": "text/csv", "delivery": delivery,
                "source": {"type": "file", "path": path}}
    if schema:
        document["schema"] = schema
    if asset.endswith(":" + name):
        provider.drop("assets", name, document)
        eventually(lambda: any(item["id"] == asset for item in
                               provider.get("/api/v1/assets")["items"]), "the asset is taken up")
    provider.drop("policies", name, {
        "visibleTo": [{"domain": HEALTH}], "policy": {
            **policy(asset), "@id": "urn:offer:" + name, "profile": "urn:tally:profile:1",
            "permission": list(permissions)}})
    eventually(lambda: any(item["id"] == "urn:offer:" + name for item in
                           provider.get("/api/v1/policies")["items"]) or problems_of(name),
               "it is looked at")
    return asset


def problems_of(name):
    return [problem["message"]["code"] if "message" in problem else problem["code"]
            for problem in provider.get("/api/v1/policies")["problems"]
            if problem["file"] == "policies/%s.json" % name]


def agree(name, asset=None):
    asset = asset or "urn:hospital:" + name
    pid = consumer.begin("negotiations", {
        "peer": provider.party_json, "asset": asset, "offer": "urn:offer:" + name,
        "purposes": [RESEARCH]})
    process = consumer.ended_process("negotiations", pid, ("FINALIZED", "TERMINATED"))
    assert process["state"] == "FINALIZED", process
    return process["agreement"]


COUNT = {"values": [{"function": "count"}]}
BY_WARD = {"groupBy": ["ward"], "totals": True,
           "values": [{"function": "count"}, {"function": "sum", "column": "pay"}]}


def where(column, operator, value, **more):
    return {**COUNT, **more,
            "filter": [{"column": column, "operator": operator, "value": value}]}


def ask(agreement, query, purpose=None, as_app=None):
    path = "/api/v1/aggregates/" + agreement + ("?purpose=" + purpose if purpose else "")
    return wires.call(consumer.apps_port, "POST", path, query, token=as_app or token)


def told(answer, key=()):
    assert answer.status == 200, repr(answer)
    for group in answer.json()["groups"] + answer.json().get("totals", []):
        if group["key"] == list(key):
            return group["values"]
    return None


def uses(agreement):
    """How many the provider's limit counts."""
    limits = provider.agreement(agreement)["limits"]
    return limits[0]["used"] if limits else None


def setUpModule():
    global world, provider, consumer, token
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world).start()
    provider, consumer = pair.provider, pair.consumer
    token = consumer.app("statistics", RESEARCH)


class Offers(unittest.TestCase):
    def test_what_is_refused_when_it_is_loaded(self):
        cases = {
            "no-size": ([groups(least=None)], {}, "aggregates.offer-no-group-size"),
            "size-one": ([groups(least=1)], {}, "aggregates.offer-group-size-value"),
            "no-schema": ([groups()], {"schema": None}, "aggregates.offer-no-schema"),
            "pulled": ([groups()], {"delivery": "custody"}, "catalog.aggregate-not-called"),
            "beside": ([groups(), {"action": "use", "constraint": [
                says("columns", ["ward"], "isAnyOf")]}], {}, "aggregates.offer-beside-use"),
            "rows-too": ([{"action": "use", "constraint": [
                says("columns", ["ward"], "isAnyOf"), says("minGroupSize", number(5), "gteq")]}], {},
                "aggregates.offer-not-aggregate"),
        }
        for name, (permissions, more, code) in cases.items():
            offered(name, *permissions, **more)
            self.assertIn(code, problems_of(name), name)


class Answers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        offered("wards", groups(says("cellBudget", number(60), "lteq"), count=8))
        cls.agreement = agree("wards")

    def test_an_application_asks_through_its_own_connector(self):
        answer = ask(self.agreement, BY_WARD)
        # 41 in ward A; nobody can tell which of them is the one with the secret.
        self.assertEqual(told(answer), [121, 91234 + sum(range(1000, 1120))])
        self.assertEqual(told(answer, ["B"])[0], 40)
        self.assertEqual(answer.json()["minGroupSize"], LEAST)
        self.assertIn("tally-use", answer.headers)
        self.assertIn("tally-use-receipt", answer.headers)
        before = uses(self.agreement)

        # The same question is free, over a kill too; another order of its parts is the same.
        provider.kill9()
        provider.start()
        again = ask(self.agreement, {"values": list(reversed(BY_WARD["values"])), "totals": True,
                                     "groupBy": ["ward"]})
        self.assertEqual(again.json(), answer.json())
        self.assertEqual(again.headers["tally-use-repeated"], "true")
        self.assertNotEqual(again.headers["tally-use"], answer.headers["tally-use"])
        self.assertEqual(uses(self.agreement), before)

        # What cannot be asked costs nothing.
        for query, code in (({"values": []}, "aggregates.query-empty"),
                            ({**COUNT, "groupBy": ["wart"]}, "aggregates.misspelt-column"),
                            ({**COUNT, "groupBy": ["diagnosis"]}, "aggregates.private-column"),
                            (where("diagnosis", "eq", CANARY), "aggregates.private-column"),
                            ({"values": [{"function": "max", "column": "age"}]},
                             "aggregates.function-not-allowed")):
            refused = ask(self.agreement, query)
            self.assertEqual(refused.code(), code, refused)
        self.assertEqual(uses(self.agreement), before)

        # The person alone, and nobody: the same.
        alone, nobody = ask(self.agreement, where("age", "eq", 77)), \
            ask(self.agreement, where("age", "eq", 99))
        self.assertEqual(told(alone), [{"suppressed": True}])
        self.assertEqual(told(nobody), told(alone))

        # Everybody but one, after everybody: refused, recorded, counted, and again over a kill.
        counted = uses(self.agreement)
        refused = ask(self.agreement, where("age", "lt", 77))
        self.assertEqual((refused.status, refused.code()), (403, "aggregates.too-close"))
        self.assertEqual(uses(self.agreement), counted + 1)
        provider.kill9()
        provider.start()
        for query in (where("age", "lt", 77), where("age", "lteq", 76)):
            refused = ask(self.agreement, query)
            self.assertEqual((refused.status, refused.code()), (403, "aggregates.too-close"), query)
        self.assertEqual(uses(self.agreement), counted + 2, "one of the two was asked before")

        answered = provider.records("aggregate.answered")
        self.assertEqual(len(answered), 3)
        self.assertEqual(answered[0]["cells"], 8)
        self.assertEqual(len(provider.records("aggregate.refused")), 2)
        own = [record for record in consumer.records("use.permitted")
               if record["action"] == "aggregate" and record["agreement"] == self.agreement]
        self.assertTrue(own)
        for record in own:
            self.assertEqual((record["app"], record["rules"]), ("statistics", []))

        # The rows themselves are not permitted.
        address = consumer.get("/api/v1/transfers/%s/address" % next(
            item["id"] for item in consumer.items("transfers") if item["state"] == "STARTED"))
        path = urllib.parse.urlsplit(address["endpoint"]).path
        context = world.authority.context(
            consumer.path("tls", "chain.pem"), consumer.path("tls", "key.pem"))
        rows_refused = wires.call(provider.peers_port, "GET", path,
                                  token=address["authorization"], context=context)
        self.assertEqual((rows_refused.status, rows_refused.code()),
                         (403, "usage.action-not-allowed"))

        # Neither log nor notice has a value of a filter or of the data.
        for connector in (provider, consumer):
            self.assertNotIn(CANARY, connector.text())
            for name in os.listdir(connector.path("log")):
                with open(connector.path("log", name), "rb") as file:
                    self.assertNotIn(CANARY.encode(), file.read(), name)
            self.assertEqual(connector.verify()[0], 0)

    def test_dry_run_and_purposes(self):
        decision = consumer.api("POST", "/api/v1/decisions", {
            "agreement": self.agreement, "app": "statistics", "action": ODRL + "aggregate"}).json()
        self.assertEqual(decision["decision"], "permit", decision)
        decision = consumer.api("POST", "/api/v1/decisions", {
            "agreement": self.agreement, "app": "statistics"}).json()
        self.assertEqual(decision["decision"], "deny")
        refused = ask(self.agreement, COUNT, purpose=MARKETING)
        self.assertEqual(refused.code(), "usage.purpose-not-registered")
        stranger = consumer.app("stranger", RESEARCH, agreements=["urn:another"])
        self.assertEqual(ask(self.agreement, COUNT, as_app=stranger).status, 403)
        self.assertEqual(ask("urn:none", COUNT).status, 404)


class Budgets(unittest.TestCase):
    def test_queries_and_values_are_counted_over_kills(self):
        offered("budget", groups(says("cellBudget", number(5), "lteq"), count=3))
        agreement = agree("budget")
        self.assertEqual(told(ask(agreement, COUNT)), [121])
        provider.kill9()
        provider.start()
        self.assertEqual(told(ask(agreement, {**COUNT, "groupBy": ["ward"]}), ["C"]), [40])
        spent = ask(agreement, {"values": [{"function": "sum", "column": "pay"},
                                           {"function": "avg", "column": "pay"}]})
        self.assertEqual((spent.status, spent.code()), (403, "aggregates.cells-spent"))
        provider.kill9()
        provider.start()
        refused = ask(agreement, where("age", "lt", 30))
        self.assertEqual((refused.status, refused.code()), (403, "usage.limit-reached"))
        # What was answered is still there.
        self.assertEqual(told(ask(agreement, COUNT)), [121])


class TwoAgreements(unittest.TestCase):
    def test_another_agreement_on_the_asset_knows_what_was_told(self):
        asset = offered("everybody", groups())
        offered("younger", groups(says("rowFilter", "age lt 77")), asset=asset, source="everybody")
        first, second = agree("everybody", asset), agree("younger", asset)
        self.assertEqual(told(ask(first, COUNT)), [121])
        refused = ask(second, COUNT)
        self.assertEqual((refused.status, refused.code()), (403, "aggregates.too-close"))
        self.assertEqual(told(ask(second, where("age", "lt", 30))), [60])

    def test_data_that_change(self):
        offered("changing", groups())
        agreement = agree("changing")
        self.assertEqual(told(ask(agreement, COUNT)), [121])

        def put(lines):
            with open(provider.path("source", "changing.new"), "wb") as file:
                file.write(as_csv(lines))
            os.rename(provider.path("source", "changing.new"), provider.path("source", "changing"))

        def refused_with(code):
            # A file is looked at again a moment later.
            eventually(lambda: ask(agreement, COUNT).code() == code, code)
        put(rows() + ["B,50,d1,1"])
        refused_with("aggregates.too-close")
        put(rows()[:-1] + ["B,50,d1,1"])
        refused_with("aggregates.source-edited")
        put(rows() + ["B,%d,d1,1" % age for age in range(30, 45)])
        eventually(lambda: ask(agreement, COUNT).status == 200, "grown by enough")
        self.assertEqual(told(ask(agreement, COUNT)), [136])


if __name__ == "__main__":
    connectors.main()
