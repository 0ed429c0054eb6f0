#!/usr/bin/env python3
"""One cohort, three contracts: masks, count and deletion for a research institute; one record for a
request for a member hospital; groups alone for a public-health department.

Plays the story with real daemons over mutual TLS on loopback, says each step as a person wants to
read it, and ends with an exit code other than 0 if any step is not as told.
"""
import argparse
import collections
import concurrent.futures
import csv
import io
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from make_cohort import write as write_cohort  # noqa: E402
from sentences import SENTENCES  # noqa: E402
from stage import NotAsTold, Stage  # noqa: E402
from tamper_proxy import TamperProxy  # noqa: E402

PARTIES = {
    "hospital": "health:did:web:hospital.example",
    "institute": "health:did:web:institute.example",
    "clinic": "health:did:web:clinic.example",
    "bureau": "city:did:web:bureau.example",
}
COHORT, RECORD, GROUPS = ("urn:hospital:cohort-2026", "urn:hospital:resident-2026",
                          "urn:hospital:districts-2026")
RESEARCH, CARE, HEALTH, MARKETING = ("urn:purpose:research", "urn:purpose:care",
                                     "urn:purpose:public-health", "urn:purpose:marketing")
END = "2027-06-01T00:00:00Z"
TERM = "urn:tally:profile:1#"
ODRL = "http://www.w3.org/ns/odrl/2/"
TYPES = {"resident": "text", "name": "text", "id_number": "text", "sex": "text", "born": "date",
         "district": "text", "icd10": "text", "hba1c_percent": "decimal", "ldl_mmol_l": "decimal",
         "systolic_mmhg": "integer"}
PRIVATE = {"name": "name", "id_number": "national-id", "born": "birth"}
# The eight kinds of event that the field wants on record.
LIFECYCLE = {"offer": "offer.published", "contract": "contract.finalized",
             "transfer": "transfer.received", "receipt": "receipt.issued", "use": "use.permitted",
             "processing": "process.executed", "expiry": "policy.expired",
             "destruction": "data.destroyed"}


def literal(value, kind):
    return {"@value": str(value), "@type": "xsd:" + kind}


def says(operand, operator, value):
    return {"leftOperand": operand, "operator": operator, "rightOperand": value}


def mask(action, column, **parameters):
    return {"action": TERM + action, "constraint": [
        says(TERM + "column", "eq", column),
        *[says(TERM + name, "eq", value) for name, value in parameters.items()]]}


PSEUDONYM = mask("pseudonymize", "name")
HIDDEN_ID = mask("maskKeep", "id_number", keepHead=literal(6, "integer"), keepTail=literal(0, "integer"))
BIRTH_YEAR = mask("generalize", "born", level="year")


def permission(action, purpose, *constraints, duties=()):
    out = {"action": ODRL + action, "constraint": [
        says(ODRL + "purpose", "isAnyOf", [purpose]), *constraints]}
    if duties:
        out["duty"] = list(duties)
    return out


def offer(name, asset, to, *permissions, delete=False):
    policy = {"@context": "http://www.w3.org/ns/odrl.jsonld", "@type": "Offer",
              "@id": "urn:hospital:offer:" + name, "profile": "urn:tally:profile:1",
              "target": asset, "permission": list(permissions)}
    if delete:
        policy["obligation"] = [{"action": ODRL + "delete"}]
    domain, uri = PARTIES[to].split(":", 1)
    return {"visibleTo": [{"domain": domain, "uri": uri}], "policy": policy}


UNTIL = says(ODRL + "dateTime", "lt", literal(END, "dateTime"))
OFFERS = {
    "institute": offer(
        "institute", COHORT, "institute",
        permission("archive", RESEARCH, UNTIL, duties=[PSEUDONYM, HIDDEN_ID, BIRTH_YEAR]),
        permission("read", RESEARCH, UNTIL, says(ODRL + "count", "lteq", literal(3, "integer")),
                   duties=[PSEUDONYM, HIDDEN_ID, BIRTH_YEAR]),
        permission("derive", RESEARCH, UNTIL), delete=True),
    "clinic": offer(
        "clinic", RECORD, "clinic",
        permission("read", CARE, UNTIL, says(TERM + "maxRows", "lteq", literal(1, "integer")),
                   says(TERM + "frequency", "lteq", "30/PT1M"),
                   says(TERM + "columns", "isAnyOf", list(TYPES)), duties=[HIDDEN_ID])),
    "bureau": offer(
        "bureau", GROUPS, "bureau",
        permission("aggregate", HEALTH, UNTIL,
                   says(TERM + "minGroupSize", "gteq", literal(10, "integer")),
                   says(TERM + "cellBudget", "lteq", literal(200, "integer")),
                   says(ODRL + "count", "lteq", literal(20, "integer")),
                   duties=[BIRTH_YEAR])),
}


class Demo(Stage):
    def prepare(self):
        self.say("title", 0)
        self.say("pki")
        self.make_connectors(PARTIES)
        port = self.spare_port()
        base = {name: "https://localhost:%d/dsp/2025-1" % ports["peers"]
                for name, ports in self.ports.items()}
        for name in ("institute", "clinic", "bureau"):
            self.tally("peer", self.folder / "hospital", PARTIES[name], base[name], show=False)
            self.tally("peer", self.folder / name, PARTIES["hospital"], base["hospital"],
                       "--host", "localhost:%d" % self.ports["hospital"]["peers"],
                       "--host", "localhost:%d" % port, show=False)
        # Data are fetched over a line of its own, so that the demo can disturb it.
        self.configure("hospital", dataRoot="../source", dataUrl="https://localhost:%d" % port)
        (self.folder / "source").mkdir()
        write_cohort(self.folder / "source/cohort.csv")
        self.proxy = TamperProxy(
            port, self.ports["hospital"]["peers"],
            (self.folder / "hospital/tls/chain.pem", self.folder / "hospital/tls/key.pem"),
            (self.folder / "institute/tls/chain.pem", self.folder / "institute/tls/key.pem"))
        for name in PARTIES:
            self.start(name)
        self.say("start")

    # --- 1 ---

    def offers(self):
        self.say("step1", 0)
        self.say("columns")
        with open(self.folder / "source/cohort.csv", encoding="utf-8") as file:
            self.original = list(csv.DictReader(file))
        with open(self.folder / "source/cohort.csv", encoding="utf-8") as file:
            self.quote("".join(file.readlines()[:3]))
        hospital = self.folder / "hospital"
        schema = {"columns": [
            {"name": name, "type": kind, "class": "personal" if name in PRIVATE else "enterprise",
             **({"privacy": PRIVATE[name]} if name in PRIVATE else {})}
            for name, kind in TYPES.items()]}
        for name, asset, title, delivery, more in (
                ("cohort", COHORT, "居民队列 2026", "custody", {}),
                ("resident", RECORD, "居民记录 2026", "call",
                 {"parameters": [{"name": "resident", "required": True}]}),
                ("districts", GROUPS, "行政区统计 2026", "call", {})):
            (hospital / f"assets/{name}.json").write_text(json.dumps({
                "id": asset, "title": title, "mediaType": "text/csv", "level": 3, "class": "health",
                "delivery": delivery, "source": {"type": "file", "path": "cohort.csv"},
                "schema": schema, **more}, ensure_ascii=False))
        for name, document in OFFERS.items():
            (hospital / f"policies/{name}.json").write_text(json.dumps(document))
        misspelt = offer("typing-error", COHORT, "institute", permission("use", RESEARCH))
        misspelt["policy"]["permission"][0]["constraint"][0]["leftOperand"] = "purpoze"
        (hospital / "policies/typing-error.json").write_text(json.dumps(misspelt))
        (hospital / "policies/bare-names.json").write_text(json.dumps(offer(
            "bare-names", COHORT, "institute",
            permission("use", RESEARCH, duties=[HIDDEN_ID, BIRTH_YEAR]))))
        policies = self.wait_for("the offers", lambda: (
            lambda answer: answer if len(answer["items"]) == 3 and len(answer["problems"]) == 2 else None
        )(self.query("hospital", "policies")))
        for item in policies["items"]:
            self.say("offered", offer=f"{item['id']} ({item['home']})")
        problems = {problem["file"]: problem for problem in policies["problems"]}
        for said, name, code in (("misspelt", "typing-error", "purpose"),
                                 ("unmasked", "bare-names", "dataplane.shape-privacy")):
            self.say(said)
            problem = problems[f"policies/{name}.json"]
            self.quote(f"{problem['file']}{problem['pointer']}: {problem['text']}")
            self.expect(code in (problem["code"], problem["params"].get("closest")), name)

    # --- 2 ---

    def institute(self):
        self.say("step2", 0)
        self.say("wrong_purpose")
        refusal = self.tally("negotiate", PARTIES["hospital"], COHORT, "--purpose", MARKETING,
                             connector="institute", code=1)
        self.expect(RESEARCH in refusal and MARKETING in refusal, "what was asked and what is permitted")
        self.say("right_purpose")
        self.cohort = self.negotiate("institute", PARTIES["hospital"], COHORT, RESEARCH)
        for side in ("institute", "hospital"):
            known = self.wait_for("the agreement", lambda: self.query(side, "agreements", self.cohort))
            self.expect(known["state"] == "active" and all(known["signedBy"].values()), f"active at the {side}")
        self.say("signed", agreement=self.cohort, state=known["state"],
                 by_provider=known["signedBy"]["provider"], by_consumer=known["signedBy"]["consumer"])
        self.stranger()
        self.say("disturbed")
        self.proxy.flip = True
        self.tally("transfer", self.cohort, connector="institute", code=1)
        self.proxy.flip = False
        held = [one for one in self.query("institute", "artefacts")["items"] if one["state"] == "held"]
        rejected = [row for row in self.query("institute", "history", self.cohort)["rows"]
                    if row["type"] == "transfer.rejected"]
        self.expect(not held and len(rejected) == 1, "nothing held, and a record of the rejection")
        self.say("rejected", held=len(held), record=f"{rejected[0]['seq']} transfer.rejected")
        self.say("clean")
        self.tally("transfer", self.cohort, connector="institute")
        self.reads()

    def stranger(self):
        base = "/dsp/2025-1/catalog/datasets/"
        hidden, unknown = (self.as_peer("bureau", "hospital", "GET", base + urllib.parse.quote(one, safe=""))
                           for one in (COHORT, "urn:nobody:knows"))
        self.expect(hidden[0] == unknown[0] == 404 and
                    hidden[1].replace(COHORT, "X") == unknown[1].replace("urn:nobody:knows", "X"),
                    "the same answer for hidden and unknown")
        self.say("stranger", status=hidden[0], body=json.loads(hidden[1])["reason"][0])

    def reads(self):
        self.study = self.app("institute", "study", RESEARCH)
        advertising = self.app("institute", "advertising", MARKETING)
        path = "/api/v1/data/" + urllib.parse.quote(self.cohort, safe="")
        first = {"Idempotency-Key": "first"}
        self.ask("institute", "GET", path, self.study, first, lose_answer=True)
        uses = set()
        for _ in range(10):
            status, headers, body = self.ask("institute", "GET", path, self.study, first)
            self.expect(status == 200, "the data, again")
            uses.add(headers["Tally-Use"])
        used, limit = self.used("institute", self.cohort)
        self.expect(len(uses) == 1 and used == 1, "ten repeats, one use")
        self.say("masked")
        self.quote("\n".join(body.decode().splitlines()[:3]))
        rows = list(csv.DictReader(io.StringIO(body.decode())))
        self.expect(len(rows) == len(self.original), "every resident")
        for row, original in zip(rows, self.original):
            self.expect(row["name"] != original["name"] and len(row["name"]) == 32 and
                        row["id_number"] == original["id_number"][:6] + "*" * 12 and
                        row["born"] == original["born"][:4] and
                        row["ldl_mmol_l"] == original["ldl_mmol_l"], "masked as agreed")
        self.say("one_use", use=uses.pop(), used=used, limit=limit)
        for _ in range(2):
            status, _, again = self.ask("institute", "GET", path, self.study)
            self.expect(status == 200 and again == body, "two more reads")
        self.say("other_app")
        self.refused(self.ask("institute", "GET", path + "?purpose=" + RESEARCH, advertising),
                     403, "usage.purpose-not-registered")
        mean = sum(float(row["ldl_mmol_l"]) for row in rows) / len(rows)
        status, _, made = self.ask(
            "institute", "POST", "/api/v1/derivations?input=" + urllib.parse.quote(self.cohort, safe=""),
            self.study, {"Content-Type": "text/csv"}, body=f"mean_ldl_mmol_l\n{mean:.3f}\n")
        self.expect(status == 201, f"a derived artefact: {status} {made[:300]}")
        self.statistic = json.loads(made)["artefact"]
        self.say("derived", artefact=self.statistic)
        self.say("export")
        self.refused(self.ask("institute", "GET", path.replace("/data/", "/exports/"), self.study),
                     403, "usage.action-not-allowed")
        self.say("reoffer")
        (self.folder / "institute/assets/resold.json").write_text(json.dumps({
            "id": "urn:institute:resold", "mediaType": "text/csv", "delivery": "call",
            "source": {"type": "custody", "agreement": self.cohort, "purpose": RESEARCH}}))
        problem = self.wait_for("the refusal", lambda: self.query("institute", "policies")["problems"])[0]
        self.quote(f"{problem['file']}{problem['pointer']}: {problem['text']}")
        self.expect(self.cohort in problem["text"], "the agreement that forbids it")

    # --- 3 ---

    def clinic(self):
        # The line that the demo disturbs knows the institute alone.
        self.stop("hospital")
        self.configure("hospital", dataUrl=None)
        self.start("hospital")
        self.say("step3", 0)
        agreement = self.negotiate("clinic", PARTIES["hospital"], RECORD, CARE)
        ward = self.app("clinic", "ward", CARE)
        path = "/api/v1/data/" + urllib.parse.quote(agreement, safe="")
        self.say("record", resident="R00042")
        answer = self.ask("clinic", "GET", path + "?resident=R00042", ward)
        self.expect(answer[0] == 200, f"a record: {answer[0]} {answer[2][:300]}")
        self.quote(answer[2].decode())
        rows = list(csv.DictReader(io.StringIO(answer[2].decode())))
        self.expect(len(rows) == 1 and rows[0]["name"] == self.original[41]["name"], "one record")
        self.say("many")
        self.refused(self.ask("clinic", "GET", path + "?district=" + urllib.parse.quote("西湖区"), ward),
                     403, "api.parameter-undeclared")
        self.say("store")
        self.tally("transfer", agreement, connector="clinic", code=1)
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda n: self.ask(
                "clinic", "GET", f"{path}?resident=R{n:05d}", ward), range(1, 41)))
        ok = sum(answer[0] == 200 for answer in answers)
        refused = [answer for answer in answers if answer[0] == 403]
        self.say("minute", ok=ok, refused=len(refused))
        self.refused(refused[0], 403, "usage.too-often")
        self.expect(ok == 29 and len(refused) == 11, "thirty in a minute with the first")

    # --- 4 ---

    def bureau(self):
        self.say("step4", 0)
        agreement = self.negotiate("bureau", PARTIES["hospital"], GROUPS, HEALTH)
        desk = self.app("bureau", "desk", HEALTH)
        path = "/api/v1/aggregates/" + urllib.parse.quote(agreement, safe="")

        def groups(query):
            return self.ask("bureau", "POST", path, desk, {"Content-Type": "application/json"},
                            body=json.dumps(query))

        self.say("groups")
        question = {"groupBy": ["district"],
                    "values": [{"function": "count"}, {"function": "avg", "column": "ldl_mmol_l"}]}
        answer = groups(question)
        self.expect(answer[0] == 200, f"groups: {answer[0]} {answer[2][:300]}")
        told = json.loads(answer[2])
        for group in told["groups"]:
            self.quote(json.dumps([*group["key"], *group["values"]], ensure_ascii=False))
        counts = collections.Counter(row["district"] for row in self.original)
        self.expect({group["key"][0]: group["values"][0] for group in told["groups"]} == counts,
                    "each district with its residents")
        self.say("rows")
        self.refused(self.ask("bureau", "GET", path.replace("/aggregates/", "/data/"), desk),
                     403, "usage.action-not-allowed")
        pressures = sorted(int(row["systolic_mmhg"]) for row in self.original)
        high = pressures[-4]
        self.say("less_one", high=high, few=sum(one >= high for one in pressures))
        whole = {"values": [{"function": "count"}, {"function": "avg", "column": "ldl_mmol_l"}]}
        self.expect(groups(whole)[0] == 200, "all residents")
        self.refused(groups({**whole, "filter": [
            {"column": "systolic_mmhg", "operator": "lt", "value": high}]}), 403, "aggregates.too-close")
        answer = groups(question)
        self.expect(answer[0] == 200 and json.loads(answer[2]) == told, "the same answer")
        self.say("again", repeated=answer[1].get("Tally-Use-Repeated", "-"))

    # --- 5 ---

    def alone(self):
        self.say("step5", 0)
        self.stop("hospital")
        path = "/api/v1/data/" + urllib.parse.quote(self.cohort, safe="")
        self.say("fourth")
        self.refused(self.ask("institute", "GET", path, self.study), 403, "usage.limit-reached")
        answer = self.tally("clock", "--advance", 300 * 24 * 3600, connector="institute", show=False)
        self.say("time", time=answer.strip())
        self.wait_for("the destruction", lambda: all(
            one["state"] == "destroyed" for one in self.query("institute", "artefacts")["items"]))
        self.say("destroyed")
        self.refused(self.ask("institute", "GET", path, self.study), 410, "api.destroyed")
        self.refused(self.ask("institute", "GET", f"/api/v1/artefacts/{self.statistic}/data", self.study),
                     410, None, show=False)
        left = {part: len(list((self.folder / "institute/custody" / part).glob("*")))
                for part in ("keys", "blobs")}
        self.say("nothing_left", **left)
        self.expect(left == {"keys": 0, "blobs": 0}, "nothing left in custody")
        self.start("hospital")
        records = self.wait_for("the deletion record", lambda: self.query(
            "hospital", "deletion-records")["items"], seconds=90)
        self.say("back", count=len(records))
        self.tally("deletion-records", connector="hospital")

    # --- 6 ---

    def audit(self):
        self.say("step6", 0)
        for name in PARTIES:
            self.stop(name)
        for name in PARTIES:
            self.tally("audit", "verify", self.folder / name)
        found = self.canaries()
        self.say("canaries", found=found)
        self.expect(found == 0, "no original value outside the source")
        on_record = collections.Counter()
        for name in ("hospital", "institute"):
            rows = self.tally("audit", "show", self.folder / name, "--agreement", self.cohort,
                              show=False, as_json=True)["rows"]
            on_record.update(row["type"] for row in rows)
        for word, kind in LIFECYCLE.items():
            self.expect(on_record[kind] > 0, f"{word}: a record {kind}")
        self.say("lifecycle", types=", ".join(f"{word} ({kind} × {on_record[kind]})"
                                              for word, kind in LIFECYCLE.items()))
        copy = self.folder / "flipped"
        shutil.copytree(self.folder / "institute/log", copy)
        segment = max(copy.glob("*"), key=lambda file: file.stat().st_size)
        text = bytearray(segment.read_bytes())
        text[text.index(b'"use.permitted"') + 5] ^= 1
        segment.write_bytes(text)
        self.say("flip")
        verdict = self.tally("audit", "verify", copy, code=1)
        shutil.rmtree(copy)
        self.expect(segment.name in verdict, "the file of the flipped byte")
        self.say("story")
        both = ("audit", "show", self.folder / "hospital", self.folder / "institute",
                "--agreement", self.cohort)
        self.tally(*both)
        told = {row["type"] for row in self.tally(*both, show=False, as_json=True)["rows"]}
        for kind in (*LIFECYCLE.values(), "contract.offered", "transfer.sent", "receipt.held", "use.denied"):
            self.expect(kind in told, f"{kind} in the story")

    def canaries(self):
        """How many names and identity numbers stand in any file outside `source`. Names of two
        characters are found in other words, so of names only whole cells count."""
        numbers = {row["id_number"].encode() for row in self.original}
        names = {row["name"].encode() for row in self.original}
        found = 0
        for name in PARTIES:
            for folder, _, files in os.walk(self.folder / name):
                for file in files:
                    data = (pathlib.Path(folder) / file).read_bytes()
                    found += len(numbers & set(re.findall(rb"\d{17}[\dX]", data)))
                    found += len(names & set(re.findall(rb"(?<=,)[^,\n]{6,9}(?=,)", data)))
        return found

    def play(self):
        return self.perform([self.prepare, self.offers, self.institute, self.clinic, self.bureau,
                             self.alone, self.audit])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True, help="folder of tallyd and tally")
    parser.add_argument("--lang", choices=("en", "zh"), default="en")
    parser.add_argument("--keep", metavar="DIR", help="leave the connectors' folders in DIR")
    arguments = parser.parse_args()
    os.environ["LC_ALL"] = "C.UTF-8"
    if arguments.keep:
        demo = Demo(arguments.bin, arguments.lang, arguments.keep, SENTENCES)
        code = demo.play()
        if code == 0:
            demo.say("kept", 0, dir=arguments.keep)
        return code
    with tempfile.TemporaryDirectory(prefix="tally-demo-") as folder:
        return Demo(arguments.bin, arguments.lang, folder, SENTENCES).play()


if __name__ == "__main__":
    sys.exit(main())
