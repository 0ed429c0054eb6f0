"""Classes 14 and 25: what is stored is masked where it lies once it was used, whatever interrupts
that; and rows leave anonymized by a technique that is carried out, or not at all."""
import csv
import io
import os
import unittest

import connectors
import wires
from connectors import HEALTH, RESEARCH, Pair, World, eventually, policy

TERM = "urn:tally:profile:1#"
ODRL = "http://www.w3.org/ns/odrl/2/"
COLUMNS = ["id", "name", "born", "ward"]
ROWS = [
    ["310101195203070917", "赵一鸣-canary-01", "1952-03-07", "A"],
    ["310101196811302244", "钱小雨-canary-02", "1968-11-30", "B"],
]
MASKED = [["310101************", "-", "1952", "A"], ["310101************", "-", "1968", "B"]]
CANARIES = [value.encode() for row in ROWS for value in row[:3]]


def schema():
    return {"columns": [
        {"name": name, "type": "date" if name == "born" else "text", "class": "personal",
         **({"privacy": name} if name != "ward" else {})} for name in COLUMNS]}


def as_csv(rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([COLUMNS, *rows])
    return text.getvalue().encode()


def says(operand, value, operator="eq", space=TERM):
    return {"leftOperand": space + operand, "operator": operator, "rightOperand": value}


AFTER = says("event", ODRL + "policyUsage", "gt", ODRL)
BEFORE = says("event", ODRL + "policyUsage", "lt", ODRL)
SIX = {"@value": "6", "@type": "xsd:integer"}


def duty(action, *constraints, space=TERM):
    return {"action": space + action, "constraint": list(constraints)}


MASKS = [duty("maskKeep", says("column", "id"), says("keepHead", SIX), AFTER),
         duty("replaceValue", says("column", "name"), says("replaceWith", "-"), AFTER),
         duty("generalize", says("column", "born"), says("level", "year"), AFTER)]


def anonymized(technique, *more):
    return duty("anonymize", says("technique", technique), *more, space=ODRL)


def offered(name, duties, *, named=True, content=None, of=None, actions=("use",)):
    asset = "urn:hospital:" + name
    with open(provider.path("source", name), "wb") as file:
        file.write(as_csv(ROWS) if content is None else content)
    provider.drop("assets", name, {
        "id": asset, "mediaType": "text/csv", "delivery": "custody",
        "source": {"type": "file", "path": name}, "schema": of or schema()})
    constraints = [says("purpose", [RESEARCH], "isAnyOf", ODRL)]
    if named:
        constraints.append(says("columns", COLUMNS, "isAnyOf"))
    document = {**policy(asset), "profile": "urn:tally:profile:1", "permission": [
        {"action": action, "constraint": constraints, "duty": list(duties)} for action in actions]}
    provider.drop("policies", name, {"visibleTo": [{"domain": HEALTH}], "policy": document})
    eventually(lambda: problems_of(name) or any(
        item["asset"] == asset for item in provider.get("/api/v1/policies")["items"]), "looked at")
    return asset


def problems_of(name):
    return [problem["code"] for problem in provider.get("/api/v1/policies")["problems"]
            if problem["file"] == "policies/%s.json" % name]


def setUpModule():
    global world, pair, provider, consumer, token
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    pair.start()
    token = consumer.app("study", RESEARCH)


def read(agreement, **fields):
    return wires.call(consumer.apps_port, "GET", "/api/v1/data/" + agreement, token=token,
                      headers=fields)


def rows_of(answer):
    return list(csv.reader(io.StringIO(answer.body.decode())))[1:]


def records(agreement, *types):
    return [record for record in consumer.records(*types) if record.get("agreement") == agreement]


def masked(agreement):
    return [record for record in records(agreement, "process.executed") if "duties" in record]


def held(agreement):
    return [item for item in consumer.items("artefacts")
            if item["agreement"] == agreement and item["state"] == "held"]


def is_done(agreement):
    return records(agreement, "data.destroyed") and len(held(agreement)) == 1


class AtRest(unittest.TestCase):
    def test_1_the_first_read_has_the_values_and_no_later_one(self):
        agreement = type(self).agreement = pair.held(offered("resting", MASKS))
        original, = held(agreement)
        first = read(agreement)
        self.assertEqual((first.status, rows_of(first)), (200, ROWS))
        use, tag = first.headers["tally-use"], first.headers["etag"]
        eventually(lambda: is_done(agreement), "masked")
        again = read(agreement)
        self.assertEqual((again.status, rows_of(again)), (200, MASKED))
        self.assertFalse([one for one in CANARIES if one in again.body])
        # The original cannot be had any more: not as the rest of the first use, nor by its name.
        rest = read(agreement, **{"Tally-Use": use, "Range": "bytes=1-", "If-Range": tag})
        self.assertFalse([one for one in CANARIES if one in rest.body], rest)
        gone = wires.call(consumer.apps_port, "GET",
                          "/api/v1/artefacts/%s/data" % original["id"], token=token)
        self.assertEqual(gone.status, 410, gone)
        copy, = held(agreement)
        self.assertNotEqual(copy["id"], original["id"])
        files = " ".join(consumer.custody_files())
        self.assertIn(copy["id"], files)
        self.assertNotIn("/" + original["id"] + ".", files)

    def test_2_it_stands_in_the_log_in_order_and_the_provider_is_told(self):
        agreement = self.agreement
        kinds = [(record["type"], record.get("action")) for record in records(agreement)
                 if record["type"] in ("process.executed", "data.destroyed") or
                 record.get("action") == "mask"]
        self.assertEqual(kinds, [("obligation.due", "mask")] * 3 + [
            ("process.executed", None), ("data.destroyed", None)] +
            [("obligation.fulfilled", "mask")] * 3)
        made, = masked(agreement)
        copy, = held(agreement)
        self.assertEqual(made["outputs"], [copy["content"]])
        gone, = records(agreement, "data.destroyed")
        self.assertEqual(gone["contents"], made["inputs"])
        eventually(lambda: [record for record in provider.records("receipt.held")
                            if record.get("of") == "deletion"
                            and record["content"] == made["inputs"][0]], "told")

    def test_3_what_lies_there_is_known_to_the_re_check(self):
        copy, = held(self.agreement)
        answer = consumer.api("POST", "/api/v1/artefacts/%s/check" % copy["id"], {})
        self.assertIn(answer.status, (200, 202), answer)
        eventually(lambda: held(self.agreement)[0].get("checked"), "looked at")
        self.assertEqual(records(self.agreement, "data.altered"), [])
        self.assertEqual(rows_of(read(self.agreement)), MASKED)

    def test_4_what_cannot_be_masked_is_used_no_more(self):
        broken = as_csv(ROWS) + b"one field\r\n"
        agreement = pair.held(offered("broken", MASKS, content=broken))
        self.assertEqual(read(agreement).status, 200)
        eventually(lambda: records(agreement, "obligation.violated"), "violated")
        refused = read(agreement)
        self.assertEqual((refused.status, refused.json()["code"]), (403, "usage.duty-overdue"))
        self.assertEqual(consumer.ready().status, 503)
        self.assertEqual(consumer.stop(), 0)
        consumer.start()
        self.assertEqual(read(agreement).status, 403)
        self.assertEqual(len(records(agreement, "obligation.violated")), 1)
        consumer.api("POST", "/api/v1/agreements/%s/termination" % agreement, {})
        eventually(lambda: consumer.ready().status == 200, "ready again")

    def test_5_killed_at_any_step_it_is_masked_by_the_next_start(self):
        if not connectors.options.kill_at:
            self.skipTest("no --kill-at")
        asset = offered("killed", MASKS)
        steps, killed = 0, 0
        while True:
            steps += 1 if connectors.options.long else 3
            agreement = pair.held(asset)
            self.assertEqual(consumer.stop(), 0)
            consumer.start(env={"LD_PRELOAD": connectors.options.kill_at,
                                "ASAN_OPTIONS": "verify_asan_link_order=0",
                                "TALLY_KILL_AT_FILE": world.path("kill-at")})
            self.assertEqual(rows_of(read(agreement)), ROWS)
            with open(world.path("kill-at"), "w") as file:
                file.write(str(steps))

            def over():
                try:
                    return consumer.ended() or is_done(agreement)
                except (OSError, AssertionError, ValueError):
                    return consumer.ended()
            eventually(over, "killed or masked")
            os.remove(world.path("kill-at"))
            if not consumer.ended():
                break
            killed += 1
            consumer.kill9()
            consumer.start()
            eventually(lambda: is_done(agreement), "masked at step %d" % steps)
            self.assertEqual(rows_of(read(agreement)), MASKED, steps)
            # Told again where a stop came before the provider's note was made.
            self.assertEqual({tuple(record["contents"]) for record in
                              records(agreement, "data.destroyed")},
                             {tuple(masked(agreement)[0]["inputs"])})
            self.assertEqual(len(records(agreement, "obligation.fulfilled")), len(MASKS))
            names = {os.path.basename(name).split(".")[0] for name in consumer.custody_files()}
            self.assertEqual({item["id"] for item in consumer.items("artefacts")
                              if item["state"] == "held"}, names)
        self.assertGreater(killed, 5)
        consumer.kill9()
        consumer.start()
        self.assertEqual(consumer.stop(), 0)
        code, report = consumer.verify()
        self.assertEqual(code, 0, report)
        consumer.start()


class Anonymized(unittest.TestCase):
    def test_1_by_suppression_no_private_column_leaves(self):
        for moment in ([], [BEFORE]):
            asset = offered("suppressed%d" % len(moment), [anonymized("suppression", *moment)])
            agreement = pair.held(asset)
            answer = read(agreement)
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(answer.body, b"ward\r\nA\r\nB\r\n")
            self.assertFalse([one for one in CANARIES if one in answer.body])

    def test_2_but_for_what_a_mask_of_its_own_treats(self):
        keep = duty("generalize", says("column", "born"), says("level", "year"))
        agreement = pair.held(offered("partly", [anonymized("suppression"), keep]))
        self.assertEqual(read(agreement).body, b"born,ward\r\n1952,A\r\n1968,B\r\n")

    def test_3_a_technique_that_nobody_carries_out_is_refused_by_name(self):
        for name, duties, of, code in (
                ("unknown", [anonymized("k-anonymity")], None, "odrl.unknown-technique"),
                ("without", [duty("anonymize", space=ODRL)], None, "odrl.unknown-technique"),
                ("rows", [anonymized("aggregation")], None, "dataplane.shape-technique"),
                ("mpc", [{"action": "https://w3id.org/idsa/code/MPC"}], None,
                 "odrl.unsupported-duty"),
                ("unlabelled", [anonymized("suppression")],
                 {"columns": [{"name": name, "type": "text", "class": "public"}
                              for name in COLUMNS]}, "dataplane.shape-nothing-private")):
            with self.subTest(name):
                asset = offered(name, duties, of=of)
                self.assertIn(code, problems_of(name))
                answer = consumer.api("POST", "/api/v1/negotiations", {
                    "peer": provider.party_json, "asset": asset, "purposes": [RESEARCH]})
                self.assertEqual((answer.status, answer.code()), (404, "api.asset-not-offered"))


if __name__ == "__main__":
    connectors.main()
