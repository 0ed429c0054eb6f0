"""/openapi.json: what real connectors answer is what it says, of every route that is asked."""
import gzip
import json
import os
import re
import unittest
import urllib.parse

import connectors
import wires
from connectors import MARKETING, RESEARCH, Pair, World, eventually
from openapi_schema import Description

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def setUpModule():
    global provider, consumer, agreement, token, management, applications, asked
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    provider.offer(count=3)
    provider.offer("urn:hospital:waits", name="waits")
    with open(provider.path("policies", "waits.json")) as file:
        document = json.load(file)
    provider.drop("policies", "waits", {**document, "decide": "approve"})
    with open(os.open(provider.path("webhook.key"), os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write(SECRET + "\n")
    provider.edit(lambda config: config.update(webhooks=[
        {"name": "nobody", "url": "http://127.0.0.1:9/", "key": "webhook.key"}]))
    pair.start()
    agreement = pair.held()
    token = consumer.app("reader", RESEARCH)
    consumer.read(token, agreement)
    consumer.begin("negotiations", {"peer": provider.party_json, "asset": "urn:hospital:waits",
                                    "purposes": [RESEARCH]})
    eventually(lambda: provider.items("approvals"), "it waits")
    consumer.api("POST", "/api/v1/holds", {"scope": "asset", "target": "urn:nothing", "id": "one"})
    management = Description(wires.call(provider.management_port, "GET", "/openapi.json").json())
    applications = Description(wires.call(consumer.apps_port, "GET", "/openapi.json").json())
    asked = set()


def path_of(template, **values):
    return re.sub(r"{(\w+)}", lambda name: urllib.parse.quote(values[name[1]], safe=""), template)


class OpenApi(unittest.TestCase):
    def answered(self, description, port, method, template, body=None, *, query="", bearer,
                 status=None, **values):
        answer = wires.call(port, method, path_of(template, **values) + query, body, token=bearer)
        faults = description.faults_of_answer(method, template, answer)
        self.assertEqual(faults, [], "%s %s: %r" % (method, template, answer))
        if status:
            self.assertEqual(answer.status, status, answer)
        asked.add((method.lower(), template, answer.status))
        return answer

    def managed(self, side, method, template, body=None, **more):
        return self.answered(management, side.management_port, method, template, body,
                             bearer=side.token, **more)

    def test_every_list_and_every_thing_in_it(self):
        ones = {"negotiations", "transfers", "agreements"}
        seen = set()
        for path, operations in management.document["paths"].items():
            if "{" in path or "get" not in operations or path == "/api/v1/events":
                continue
            for side in (provider, consumer):
                status = None if path == "/log/cosigned" else 200
                answer = self.managed(side, "GET", path, status=status)
                if not answer.headers["content-type"].startswith("application/json"):
                    continue
                items = answer.json().get("items", [])
                if items:
                    seen.add(path)
                for item in items if path.rsplit("/", 1)[1] in ones else []:
                    self.managed(side, "GET", path + "/{id}", id=item["id"], status=200)
        for name in ("assets", "policies", "negotiations", "approvals", "agreements", "transfers",
                     "apps", "artefacts", "webhooks", "holds"):
            self.assertIn("/api/v1/" + name, seen)

    def test_of_an_agreement_and_what_is_held(self):
        for side in (provider, consumer):
            for tail in ("history", "use-notices", "duties"):
                self.managed(side, "GET", "/api/v1/agreements/{id}/" + tail, id=agreement,
                             status=200)
        artefact = consumer.items("artefacts")[0]["id"]
        self.managed(consumer, "GET", "/api/v1/lineage/{artefact}", artefact=artefact, status=200)
        self.managed(consumer, "POST", "/api/v1/artefacts/{id}/check", id=artefact, status=202)
        self.managed(provider, "GET", "/log/tile/{name}", name="0/000.p/1")

    def test_orders(self):
        order = {"peer": provider.party_json, "asset": connectors.COHORT, "purposes": [RESEARCH]}
        begun = self.managed(consumer, "POST", "/api/v1/negotiations", order, status=202)
        process = consumer.ended_process("negotiations", begun.json()["id"], ("FINALIZED",))
        other = process["agreement"]
        self.managed(consumer, "POST", "/api/v1/transfers", {"agreement": other}, status=202)
        self.managed(consumer, "POST", "/api/v1/catalog", {"peer": provider.party_json}, status=200)
        for verb, state in (("suspension", "suspended"), ("resumption", "active"),
                            ("termination", "terminated")):
            answer = self.managed(consumer, "POST", "/api/v1/agreements/{id}/" + verb, id=other)
            self.assertEqual(answer.json()["state"], state)
        held = self.managed(consumer, "POST", "/api/v1/holds", {"scope": "everything", "id": "all"},
                            status=201).json()["id"]
        self.managed(consumer, "POST", "/api/v1/holds/{id}/lift", id=held, status=200)
        waiting = provider.items("approvals")[0]["id"]
        self.managed(provider, "POST", "/api/v1/approvals/{id}/approve", id=waiting, status=200)
        self.managed(consumer, "POST", "/api/v1/decisions",
                     {"agreement": agreement, "app": "reader", "purpose": RESEARCH}, status=200)
        made = self.managed(consumer, "POST", "/api/v1/apps",
                            {"id": "another", "purposes": [RESEARCH]}, status=201)
        self.assertTrue(made.json()["token"])
        self.managed(consumer, "DELETE", "/api/v1/apps/{id}", id="another", status=204)
        self.managed(provider, "POST", "/api/v1/reload", status=200)
        self.managed(provider, "POST", "/api/v1/backups", status=201)

    def test_orders_of_log_keys_and_folder(self):
        self.managed(consumer, "POST", "/api/v1/custody/check", status=202)
        self.managed(consumer, "POST", "/api/v1/custody/key-rotation", status=202)
        self.managed(consumer, "POST", "/api/v1/log-key/rotation", {"overlapSeconds": 0}, status=200)
        self.managed(consumer, "POST", "/api/v1/log/pruning", status=409)
        self.managed(consumer, "POST", "/api/v1/agreements/{id}/statements", id=agreement, status=200)
        self.managed(consumer, "POST", "/api/v1/clock", {"advanceSeconds": 1}, status=200)
        fact = next(one["seq"] for one in consumer.records() if "private" in one)
        self.managed(consumer, "GET", "/api/v1/private/{seq}", seq=str(fact), status=200)
        self.managed(consumer, "POST", "/api/v1/private/erasures",
                     {"record": fact, "basis": "asked"}, status=200)

    def test_what_is_refused(self):
        for method, template, body in (
                ("GET", "/api/v1/agreements/{id}", None), ("GET", "/api/v1/transfers/{id}", None),
                ("POST", "/api/v1/negotiations", {"peer": 1}), ("POST", "/api/v1/apps", {"id": ""}),
                ("POST", "/api/v1/transfers/{id}/completion", None),
                ("GET", "/api/v1/private/{seq}", None),
                ("POST", "/api/v1/agreements/{id}/confirmations", {"reference": "A"})):
            answer = self.managed(provider, method, template, body, id="urn:nothing", seq="0")
            self.assertGreaterEqual(answer.status, 400)
        answer = self.answered(management, provider.management_port, "GET", "/api/v1/apps",
                               bearer="nobody's")
        self.assertEqual(answer.status, 401)

    def test_of_applications(self):
        def ask(method, template, body=None, **more):
            return self.answered(applications, consumer.apps_port, method, template, body,
                                 bearer=token, **more)
        mine = ask("GET", "/api/v1/my-agreements", status=200)
        self.assertTrue(mine.json()["items"])
        data = ask("GET", "/api/v1/data/{agreement}", agreement=agreement, status=200)
        self.assertIn("tally-use", data.headers)
        ask("GET", "/api/v1/exports/{agreement}", agreement=agreement)
        ask("GET", "/api/v1/artefacts/{id}/data", id=consumer.items("artefacts")[0]["id"])
        refused = ask("GET", "/api/v1/data/{agreement}", agreement=agreement,
                      query="?purpose=" + MARKETING, status=403)
        self.assertEqual(refused.json()["decision"], "deny")
        ask("POST", "/api/v1/aggregates/{agreement}", {"count": True}, agreement=agreement)

    def test_methods_are_those_that_are_described(self):
        for description, port, bearer in ((management, provider.management_port, provider.token),
                                          (applications, consumer.apps_port, token)):
            paths = description.document["paths"]
            for path, operations in paths.items():
                answer = wires.call(port, "PATCH", re.sub(r"{\w+}", "none", path), token=bearer)
                self.assertEqual(answer.status, 405, path)
                self.assertEqual(set(answer.headers["allow"].split(", ")),
                                 {method.upper() for method in operations}, path)

    def test_it_is_served_to_everybody_packed_and_once(self):
        plain = wires.call(provider.management_port, "GET", "/openapi.json")
        self.assertEqual(plain.json()["openapi"], "3.1.0")
        self.assertRegex(plain.json()["info"]["version"], r"\A[0-9]+\.[0-9]+\.[0-9]+\Z")
        packed = wires.call(provider.management_port, "GET", "/openapi.json",
                            headers={"Accept-Encoding": "gzip"})
        self.assertEqual(packed.headers["content-encoding"], "gzip")
        self.assertEqual(gzip.decompress(packed.body), plain.body)
        known = wires.call(provider.management_port, "GET", "/openapi.json",
                           headers={"If-None-Match": plain.headers["etag"]})
        self.assertEqual((known.status, known.body), (304, b""))

    def test_the_checker_sees_what_does_not_fit(self):
        answer = wires.call(provider.management_port, "GET", "/api/v1/status", token=provider.token)
        status = answer.json()
        for change in ({"offers": "1"}, {"time": "yesterday"}, {"participant": {"uri": "a"}},
                       {"log": None}, {"undescribed": 1}):
            answer.body = json.dumps({**status, **change}).encode()
            self.assertTrue(management.faults_of_answer("GET", "/api/v1/status", answer), change)
        answer.body = json.dumps({k: v for k, v in status.items() if k != "ready"}).encode()
        self.assertTrue(management.faults_of_answer("GET", "/api/v1/status", answer))


if __name__ == "__main__":
    connectors.main()
