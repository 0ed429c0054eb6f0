#!/usr/bin/env python3
"""The first contract: a provider, a consumer, one negotiated agreement, policed reads, two logs.

Plays the story with real daemons over mutual TLS on loopback, says each step as a person wants to
read it, and ends with an exit code other than 0 if any step is not as told.
"""
import argparse
import concurrent.futures
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))
from make_cohort import write as write_cohort  # noqa: E402
from sentences import SENTENCES  # noqa: E402
from tamper_proxy import TamperProxy  # noqa: E402

PROVIDER = "health:did:web:hospital.example"
CONSUMER = "health:did:web:institute.example"
BROKER = "city:did:web:broker.example"
COHORT = "urn:hospital:cohort-2026"
TRIAL = "urn:hospital:trial-2026"
RESEARCH = "urn:purpose:research"
MARKETING = "urn:purpose:marketing"


class NotAsTold(Exception):
    pass


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def offer_file(name, asset, count, until, left_operand="purpose"):
    def literal(value, kind):
        return {"@value": value, "@type": f"xsd:{kind}"}

    return {
        "visibleTo": [{"domain": "health", "uri": CONSUMER.split(":", 1)[1]}],
        "policy": {
            "@context": "http://www.w3.org/ns/odrl.jsonld",
            "@type": "Offer",
            "@id": f"urn:hospital:offer:{name}",
            "target": asset,
            "permission": [{
                "action": "use",
                "constraint": [
                    {"leftOperand": left_operand, "operator": "isAnyOf",
                     "rightOperand": [RESEARCH, "urn:purpose:public-health"]},
                    {"leftOperand": "count", "operator": "lteq",
                     "rightOperand": literal(str(count), "integer")},
                    {"leftOperand": "dateTime", "operator": "lt",
                     "rightOperand": literal(until, "dateTime")},
                ],
            }],
            "obligation": [{"action": "delete"}],
        },
    }


class Demo:
    def __init__(self, binaries, lang, folder):
        self.binaries = pathlib.Path(binaries).resolve()
        self.column = 1 if lang == "zh" else 0
        self.lang = lang
        self.folder = pathlib.Path(folder).resolve()
        self.daemons = {}
        self.proxy = None
        self.began = time.monotonic()

    # --- what a person reads ---

    def say(self, code, indent=2, **values):
        text = SENTENCES[code][self.column].format(**values)
        print(f"\n{text}" if indent == 0 else " " * indent + text, flush=True)

    def quote(self, text):
        for line in text.rstrip("\n").splitlines():
            print("      " + line, flush=True)

    def expect(self, condition, what):
        if not condition:
            raise NotAsTold(what)

    # --- programs ---

    def tally(self, *arguments, connector=None, token=None, code=0, show=True, as_json=False):
        command = [str(self.binaries / "tally"), "--lang", self.lang]
        if connector:
            command += ["--connector", str(self.folder / connector)]
        if token:
            command += ["--token", token]
        if as_json:
            command.append("--json")
        command += [str(argument) for argument in arguments]
        if show:
            shown = " ".join(str(argument) for argument in arguments)
            shown = shown.replace(str(self.folder) + "/", "")
            print(f"    $ tally {'--connector ' + connector + ' ' if connector else ''}{shown}")
        ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if show:
            self.quote(ran.stdout + ran.stderr)
        self.expect(ran.returncode == code,
                    f"tally {arguments[0]}: exit {ran.returncode}, wanted {code}: {ran.stderr}")
        return json.loads(ran.stdout) if as_json else ran.stdout + ran.stderr

    def query(self, connector, *arguments):
        return self.tally(*arguments, connector=connector, show=False, as_json=True)

    def wait_for(self, what, condition, seconds=30):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                found = condition()
                if found:
                    return found
            except (OSError, NotAsTold, http.client.HTTPException):
                pass
            time.sleep(0.05)
        raise NotAsTold(f"still waiting for: {what}")

    def start(self, name):
        log = open(self.folder / f"{name}.log", "ab")
        self.daemons[name] = subprocess.Popen(
            [str(self.binaries / "tallyd"), "--lang", self.lang, str(self.folder / name)],
            stdout=log, stderr=log)
        log.close()

        def ready():
            if self.daemons[name].poll() is not None:
                raise SystemExit((self.folder / f"{name}.log").read_text())
            connection = http.client.HTTPConnection("127.0.0.1", self.ports[name]["management"], timeout=5)
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == 200

        self.wait_for(f"{name} to be ready", ready)

    def stop(self, name):
        daemon = self.daemons.pop(name, None)
        if daemon:
            daemon.send_signal(signal.SIGTERM)
            self.expect(daemon.wait(30) == 0, f"{name} did not stop cleanly")

    # --- the application's side ---

    def read(self, agreement, token, key=None, purpose=None, lose_answer=False):
        """(status, headers, body) of one read over the application API."""
        path = "/api/v1/data/" + urllib.parse.quote(agreement, safe="")
        if purpose:
            path += "?purpose=" + urllib.parse.quote(purpose, safe="")
        headers = {"Authorization": f"Bearer {token}", "Accept-Language": self.lang}
        if key:
            headers["Idempotency-Key"] = key
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["consumer"]["apps"], timeout=60)
        connection.request("GET", path, headers=headers)
        if lose_answer:
            connection.close()
            return None
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, dict(answer.getheaders()), body

    def show_refusal(self, answer):
        status, _, body = answer
        problem = json.loads(body)
        self.quote(f"{status} {problem['code']}: {problem['detail']}")
        for reason in problem.get("reasons", []):
            self.quote("  " + reason["text"])
        return status, problem

    def ask_as_broker(self, method, path, body=None):
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
        context.check_hostname = False
        context.load_verify_locations(self.folder / "pki/anchors/health/ca.pem")
        context.load_cert_chain(self.folder / "pki/broker/tls.pem", self.folder / "pki/broker/tls.key")
        connection = http.client.HTTPSConnection(
            "localhost", self.ports["provider"]["peers"], context=context, timeout=30)
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    # --- the story ---

    def prepare(self):
        self.say("title", 0)
        for name in ("provider", "consumer", "source"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        ports = free_ports(7)
        self.ports = {
            "provider": dict(zip(("peers", "apps", "management"), ports[0:3])),
            "consumer": dict(zip(("peers", "apps", "management"), ports[3:6])),
        }
        self.say("pki")
        subprocess.run([ROOT / "certs/make-test-pki", self.folder / "pki", BROKER,
                        "health:did:web:authority.example"], check=True, stdout=subprocess.DEVNULL)
        for name, party in (("provider", PROVIDER), ("consumer", CONSUMER)):
            place = self.folder / name
            port = self.ports[name]
            self.tally("init", place, "--participant", party, "--test",
                       "--public-url", f"https://localhost:{port['peers']}",
                       "--wrapping-key", self.folder / f"keys/{name}.key",
                       "--apps-port", port["apps"], "--management-port", port["management"],
                       show=False)
            for part in ("tls", "contract"):
                subprocess.run([ROOT / "certs/sign-request", self.folder / "pki/anchors/health",
                                place / part / "request.pem", self.folder / f"{name}-{part}.pem"],
                               check=True)
            self.tally("import", place, "--tls", self.folder / f"{name}-tls.pem",
                       "--contract", self.folder / f"{name}-contract.pem", show=False)
            for domain in ("health", "city"):
                anchor = self.folder / "pki/anchors" / domain
                self.tally("trust", place, "--domain", domain, "--anchors", anchor / "ca.pem",
                           "--crl", anchor / "crl.pem", "--uri-prefix", "did:web", show=False)
        base = {name: f"https://localhost:{self.ports[name]['peers']}/dsp/2025-1" for name in self.ports}
        self.tally("peer", self.folder / "provider", CONSUMER, base["consumer"], show=False)
        self.tally("peer", self.folder / "consumer", PROVIDER, base["provider"],
                   "--host", f"localhost:{self.ports['provider']['peers']}",
                   "--host", f"localhost:{ports[6]}", show=False)
        # Data is fetched over a line of its own, so that the demo can disturb it.
        config_file = self.folder / "provider/tally.json"
        config = json.loads(config_file.read_text())
        config["dataRoot"] = "../source"
        config["dataUrl"] = f"https://localhost:{ports[6]}"
        config_file.write_text(json.dumps(config, indent=2))
        (self.folder / "source").mkdir()
        write_cohort(self.folder / "source/cohort.csv")
        write_cohort(self.folder / "source/trial.csv", count=200, seed=7)
        self.proxy = TamperProxy(
            ports[6], self.ports["provider"]["peers"],
            (self.folder / "provider/tls/chain.pem", self.folder / "provider/tls/key.pem"),
            (self.folder / "consumer/tls/chain.pem", self.folder / "consumer/tls/key.pem"))
        self.start("provider")
        self.start("consumer")
        self.say("start", provider=base["provider"], consumer=base["consumer"])

    def step1_offer(self):
        self.say("step1", 0)
        provider = self.folder / "provider"
        for name, asset, title in (("cohort", COHORT, "居民队列 2026"), ("trial", TRIAL, "试验队列 2026")):
            (provider / f"assets/{name}.json").write_text(json.dumps({
                "id": asset, "title": title, "mediaType": "text/csv", "version": "1", "level": 3,
                "class": "health", "delivery": "custody",
                "source": {"type": "file", "path": f"{name}.csv"}}, ensure_ascii=False))
        until = "2027-06-01T00:00:00Z"
        (provider / "policies/research.json").write_text(json.dumps(offer_file("research", COHORT, 3, until)))
        (provider / "policies/trial.json").write_text(json.dumps(offer_file("trial", TRIAL, 10, until)))
        (provider / "policies/typing-error.json").write_text(
            json.dumps(offer_file("typing-error", COHORT, 3, until, left_operand="purpoze")))
        self.say("drop")
        policies = self.wait_for("the offers", lambda: (
            lambda answer: answer if len(answer["items"]) == 2 and answer["problems"] else None
        )(self.query("provider", "policies")))
        for item in policies["items"]:
            self.say("offered", offer=f"{item['id']} ({item['home']})")
        self.say("misspelt")
        problem = policies["problems"][0]
        self.quote(f"{problem['file']}{problem['pointer']}: {problem['text']}")
        self.expect(problem["file"] == "policies/typing-error.json", "the file of the bad policy")
        self.expect(problem["pointer"].endswith("/constraint/0/leftOperand"), "the pointer of the bad policy")
        self.expect(problem["params"].get("closest") == "purpose", "the closest known term")

    def negotiate(self, asset, show=True):
        answer = self.tally("negotiate", PROVIDER, asset, "--purpose", RESEARCH,
                            connector="consumer", show=show)
        self.expect("urn:" in answer, "an agreement's id")
        return "urn:" + answer.split("urn:", 1)[1].split()[0]

    def step2_negotiate(self):
        self.say("step2", 0)
        catalog = self.tally("catalog", PROVIDER, connector="consumer")
        self.expect(COHORT in catalog, "the cohort in the catalogue")
        self.say("wrong_purpose")
        refusal = self.tally("negotiate", PROVIDER, COHORT, "--purpose", MARKETING,
                             connector="consumer", code=1)
        for part in ("purpose", RESEARCH, MARKETING):
            self.expect(part in refusal, f"{part} in the refusal")
        self.say("right_purpose")
        self.agreement = self.negotiate(COHORT)
        for side in ("consumer", "provider"):
            known = self.wait_for("the agreement", lambda: self.query(side, "agreements", self.agreement))
            self.expect(known["state"] == "active", f"active at the {side}")
            self.expect(all(known["signedBy"].values()), "both signatures")
        self.say("signed", agreement=self.agreement, state=known["state"],
                 by_provider=known["signedBy"]["provider"], by_consumer=known["signedBy"]["consumer"])
        self.say("stranger")
        base = "/dsp/2025-1/catalog"
        hidden = self.ask_as_broker("GET", f"{base}/datasets/{urllib.parse.quote(COHORT, safe='')}")
        unknown = self.ask_as_broker("GET", f"{base}/datasets/{urllib.parse.quote('urn:nobody:knows', safe='')}")
        self.expect(hidden[0] == unknown[0] == 404, "404 for both")
        self.expect(hidden[1].replace(COHORT, "X") == unknown[1].replace("urn:nobody:knows", "X"),
                    "the same answer for hidden and unknown")
        status, text = self.ask_as_broker("POST", f"{base}/request", json.dumps({
            "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"],
            "@type": "CatalogRequestMessage"}))
        shown = json.loads(text)
        self.expect(status == 200 and "dataset" not in shown, "an empty catalogue for the stranger")
        self.say("stranger_same", status=hidden[0], body=json.loads(hidden[1])["reason"][0], count=0)

    def step3_transfer(self):
        self.say("step3", 0)
        self.say("disturbed")
        self.proxy.flip = True
        self.tally("transfer", self.agreement, connector="consumer", code=1)
        self.proxy.flip = False
        held = [a for a in self.query("consumer", "artefacts")["items"] if a["state"] == "held"]
        rows = self.query("consumer", "history", self.agreement)["rows"]
        rejected = [row for row in rows if row["type"] == "transfer.rejected"]
        self.expect(not held, "no artefact after a digest mismatch")
        self.expect(len(rejected) == 1, "a record of the rejection")
        self.say("rejected", held=len(held), record=f"{rejected[0]['seq']} transfer.rejected")
        self.say("clean")
        self.tally("transfer", self.agreement, connector="consumer")
        sides = {}
        for side, kind in (("provider", "transfer.sent"), ("consumer", "transfer.received")):
            rows = self.query(side, "history", self.agreement)["rows"]
            sides[side] = [row for row in rows if row["type"] == kind][-1]["summary"]["params"]
            issued = [row for row in rows if row["type"] == "receipt.issued"]
            self.expect(issued, f"a receipt of the {side}")
        self.expect(sides["provider"]["content"] == sides["consumer"]["content"], "equal digests")
        self.expect(sides["provider"]["bytes"] == sides["consumer"]["bytes"], "equal sizes")
        self.say("digests", sent=f"{sides['provider']['bytes']} B {sides['provider']['content']}",
                 received=f"{sides['consumer']['bytes']} B {sides['consumer']['content']}")

    def used(self, agreement):
        limit = self.query("consumer", "agreements", agreement)["limits"][0]
        return limit["used"], limit["limit"]

    def step4_read(self):
        self.say("step4", 0)

        def register(name, purpose):
            return self.tally("app", "add", name, "--purpose", purpose, connector="consumer",
                              show=False).strip().splitlines()[-1]

        self.study = register("study", RESEARCH)
        advertising = register("advertising", MARKETING)
        original = (self.folder / "source/cohort.csv").read_bytes()
        self.read(self.agreement, self.study, key="first", lose_answer=True)
        self.say("lost")
        uses = set()
        for _ in range(10):
            status, headers, body = self.read(self.agreement, self.study, key="first")
            self.expect(status == 200 and body == original, "the data, again")
            uses.add(headers["Tally-Use"])
        used, limit = self.used(self.agreement)
        self.expect(len(uses) == 1 and used == 1, "ten repeats, one use")
        self.say("one_use", use=uses.pop(), used=used, limit=limit)
        for n in (2, 3):
            status, headers, body = self.read(self.agreement, self.study, purpose=RESEARCH)
            self.expect(status == 200 and body == original, f"read {n}")
            self.say("read", n=n, status=status, bytes=len(body), use=headers["Tally-Use"])
        self.say("fourth")
        status, problem = self.show_refusal(self.read(self.agreement, self.study))
        self.expect(status == 403 and problem["code"] == "usage.limit-reached", "the fourth read refused")
        self.expect(problem["params"]["used"] == "3" and problem["params"]["limit"] == "3", "3 of 3")
        self.say("other_app")
        status, problem = self.show_refusal(self.read(self.agreement, advertising, purpose=RESEARCH))
        self.expect(status == 403, "the application of another purpose refused")
        status, _, _ = self.read(self.agreement, advertising)
        self.expect(status == 403, "also without the claim")
        self.trial = self.negotiate(TRIAL, show=False)
        self.tally("transfer", self.trial, connector="consumer", show=False)
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            statuses = [answer[0] for answer in
                        pool.map(lambda _: self.read(self.trial, self.study), range(100))]
        ok, refused = statuses.count(200), statuses.count(403)
        self.say("parallel", ok=ok, refused=refused)
        self.expect(ok == 10 and refused == 90, "exactly ten of a hundred")

    def step5_alone(self):
        self.say("step5", 0)
        self.stop("provider")
        self.say("still")
        status, problem = self.show_refusal(self.read(self.agreement, self.study))
        self.expect(status == 403 and problem["code"] == "usage.limit-reached", "refused without the provider")
        answer = self.tally("clock", "--advance", 300 * 24 * 3600, connector="consumer", show=False)
        self.say("time", time=answer.strip())
        self.wait_for("the destruction", lambda: all(
            a["state"] == "destroyed" for a in self.query("consumer", "artefacts")["items"]))
        self.say("destroyed")
        status, problem = self.show_refusal(self.read(self.agreement, self.study))
        self.expect(status == 410 and problem["code"] == "api.destroyed", "gone")
        custody = self.folder / "consumer/custody"
        left = {part: len(list((custody / part).glob("*"))) for part in ("keys", "blobs")}
        self.say("nothing_left", **left)
        self.expect(left == {"keys": 0, "blobs": 0}, "nothing left in custody")
        self.stop("consumer")
        self.start("consumer")
        status, _, _ = self.read(self.agreement, self.study)
        self.expect(status == 410, "gone also after a restart")
        self.say("restarted", status=status)
        self.start("provider")
        records = self.wait_for("the deletion records", lambda: (
            lambda items: items if len(items) == 2 else None
        )(self.query("provider", "deletion-records")["items"]), seconds=90)
        self.say("back", count=len(records))
        self.tally("deletion-records", connector="provider")

    def step6_audit(self):
        self.say("step6", 0)
        self.stop("provider")
        self.stop("consumer")
        for side in ("provider", "consumer"):
            self.tally("audit", "verify", self.folder / side)
        copy = self.folder / "flipped"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.folder / "consumer/log", copy)
        segment = max(copy.glob("*"), key=lambda file: file.stat().st_size)
        text = bytearray(segment.read_bytes())
        at = text.index(b'"use.permitted"') + 5
        text[at] ^= 1
        segment.write_bytes(text)
        self.say("flip")
        verdict = self.tally("audit", "verify", copy, code=1)
        shutil.rmtree(copy)
        self.expect(segment.name in verdict, "the file of the flipped byte")
        self.say("story")
        self.tally("audit", "show", self.folder / "provider", self.folder / "consumer",
                   "--agreement", self.agreement)
        story = self.tally("audit", "show", self.folder / "provider", self.folder / "consumer",
                           "--agreement", self.agreement, show=False, as_json=True)
        told = {row["type"] for row in story["rows"]}
        for kind in ("offer.published", "contract.offered", "contract.finalized", "transfer.started",
                     "transfer.sent", "transfer.received", "receipt.issued", "receipt.held",
                     "use.permitted", "use.denied", "policy.expired", "data.destroyed"):
            self.expect(kind in told, f"{kind} in the story")

    def play(self):
        try:
            self.prepare()
            self.step1_offer()
            self.step2_negotiate()
            self.step3_transfer()
            self.step4_read()
            self.step5_alone()
            self.step6_audit()
            self.say("good", 0, seconds=round(time.monotonic() - self.began))
            return 0
        except NotAsTold as wrong:
            self.say("bad", 0, what=wrong)
            for name in ("provider", "consumer"):
                log = self.folder / f"{name}.log"
                if log.exists():
                    print(f"--- {name}")
                    print("\n".join(log.read_text().splitlines()[-15:]))
            return 1
        finally:
            if self.proxy:
                self.proxy.stop()
            for daemon in self.daemons.values():
                daemon.kill()
                daemon.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True, help="folder of tallyd and tally")
    parser.add_argument("--lang", choices=("en", "zh"), default="en")
    parser.add_argument("--keep", metavar="DIR", help="leave the connectors' folders in DIR")
    arguments = parser.parse_args()
    os.environ["LC_ALL"] = "C.UTF-8"
    if arguments.keep:
        demo = Demo(arguments.bin, arguments.lang, arguments.keep)
        code = demo.play()
        if code == 0:
            demo.say("kept", 0, dir=arguments.keep)
        return code
    with tempfile.TemporaryDirectory(prefix="tally-demo-") as folder:
        return Demo(arguments.bin, arguments.lang, folder).play()


if __name__ == "__main__":
    sys.exit(main())
