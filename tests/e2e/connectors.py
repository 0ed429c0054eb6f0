"""Real connectors for tests: their authorities, folders, processes and logs.

A `World` holds everything of one test file in one temporary folder and ends all of it, whatever
happens. Nothing here sleeps for a fixed time: `eventually` waits for a condition."""
import argparse
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse
import unittest

import wires
from wires import PATIENCE

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

HEALTH, CITY = "health", "city"
HOSPITAL = "did:web:hospital.example"
INSTITUTE = "did:web:institute.example"
BROKER = "did:web:broker.example"
COHORT = "urn:hospital:cohort-2026"
RESEARCH, MARKETING = "urn:purpose:research", "urn:purpose:marketing"

options = argparse.Namespace(tallyd=None, tally=None, kill_at=None, encryption_off=None,
                             long=False)


def main():
    """Takes the programs under test and hands the rest of the line to unittest."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tallyd", required=True)
    parser.add_argument("--tally", required=True)
    parser.add_argument("--kill-at", help="the library of kill_at.cpp")
    parser.add_argument("--encryption-off", help="the connector of encryption_off.cpp")
    parser.add_argument("--long", action="store_true")
    parsed, rest = parser.parse_known_args()
    options.__dict__.update(vars(parsed))
    unittest.main(module="__main__", argv=sys.argv[:1] + rest, verbosity=2)


def eventually(condition, message="", patience=PATIENCE):
    """The first true value of `condition`; it is asked again until the patience ends."""
    deadline = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("not within %d s: %s (last: %r)" % (patience, message, value))
        time.sleep(0.02)


def free_port(taken=set()):
    # Below the range that the kernel uses for outgoing connections.
    while True:
        port = random.SystemRandom().randrange(12000, 32000)
        if port in taken:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        taken.add(port)
        return port


def run(*command, check=True, **more):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          timeout=PATIENCE * 2, **more)
    if check and done.returncode != 0:
        raise AssertionError("%s: exit %d\n%s%s" % (
            " ".join(map(str, command)), done.returncode, done.stdout, done.stderr))
    return done


class Authority:
    """The anchors of certs/make-test-pki, and certificates that no honest one would issue."""

    def __init__(self, folder):
        self.folder = folder
        run(os.path.join(SOURCE, "certs/make-test-pki"), folder, HEALTH + ":did:web:a.example",
            CITY + ":did:web:b.example")

    def anchor(self, domain, name="ca.pem"):
        return os.path.join(self.folder, "anchors", domain, name)

    def sign(self, domain, request, out):
        run(os.path.join(SOURCE, "certs/sign-request"), os.path.dirname(self.anchor(domain)),
            request, out)

    def issue(self, domain, uris, *, days=100, subject="/CN=test"):
        """A TLS certificate with these URIs. Returns the files of chain and key."""
        base = os.path.join(self.folder, "issued-%d" % len(os.listdir(self.folder)))
        key, request, chain = base + ".key", base + ".csr", base + ".pem"
        names = ["URI:" + uri for uri in uris] + ["DNS:localhost", "IP:127.0.0.1"]
        with open(base + ".ext", "w") as extensions:
            extensions.write(
                "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
                "extendedKeyUsage=clientAuth,serverAuth\nsubjectKeyIdentifier=hash\n"
                "authorityKeyIdentifier=keyid:always\nsubjectAltName=%s\n" % ",".join(names))
        run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-keyout", key, "-utf8", "-subj", subject, "-out", request)
        run("openssl", "x509", "-req", "-in", request, "-CA", self.anchor(domain),
            "-CAkey", self.anchor(domain, "ca.key"), "-days", days, "-sha256", "-set_serial",
            random.getrandbits(100), "-extfile", base + ".ext", "-out", chain)
        return chain, key

    def revoke(self, domain, chain):
        """Puts a certificate on the list of its authority and signs the list again."""
        settings = ["-config", self.anchor(domain, "ca.cnf"), "-md", "sha256",
                    "-keyfile", self.anchor(domain, "ca.key"), "-cert", self.anchor(domain)]
        run("openssl", "ca", *settings, "-revoke", chain)
        run("openssl", "ca", *settings, "-gencrl", "-crldays", 3650,
            "-out", self.anchor(domain, "crl.pem"))

    def context(self, certificate=None, key=None, domain=HEALTH):
        return wires.client_context(self.anchor(domain), certificate, key)


class World:
    """One temporary folder, one authority, and the processes that run in it."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="tally-e2e-")
        self.connectors = []
        self.authority = Authority(self.path("pki"))

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def close(self):
        for connector in self.connectors:
            connector.kill9()
        shutil.rmtree(self.folder, ignore_errors=True)


class Connector:
    """One connector: made with `tally init`, enrolled, trusting both anchors, started on demand."""

    def __init__(self, world, name, uri, domain=HEALTH, *, test=True, folder=None,
                 prefixes=None, peers_port=None):
        self.world, self.name, self.uri, self.domain = world, name, uri, domain
        self.folder = folder or world.path(name)
        self.log_file = world.path(name + ".stderr")
        self.peers_port, self.apps_port, self.management_port = (free_port() for _ in range(3))
        self.peers_port = peers_port or self.peers_port
        self.process = None
        self.program, self.env = options.tallyd, {}
        self.wrapping_key = world.path("keys", name + ".key")
        world.connectors.append(self)
        run(options.tally, "init", self.folder, "--participant", self.party,
            "--public-url", "https://localhost:%d" % self.peers_port,
            "--wrapping-key", self.wrapping_key, "--apps-port", self.apps_port,
            "--management-port", self.management_port, *(["--test"] if test else []))
        self.made()
        chains = {}
        for kind in ("tls", "contract"):
            chains[kind] = self.path(kind, "issued.pem")
            world.authority.sign(domain, self.path(kind, "request.pem"), chains[kind])
        run(options.tally, "import", self.folder, "--tls", chains["tls"], "--contract",
            chains["contract"])
        for trusted in (HEALTH, CITY):
            allowed = (prefixes or {}).get(trusted, ["did:web:"])
            run(options.tally, "trust", self.folder, "--domain", trusted,
                "--anchors", world.authority.anchor(trusted), "--crl",
                world.authority.anchor(trusted, "crl.pem"),
                *[part for prefix in allowed for part in ("--uri-prefix", prefix)])
        with open(self.path("operator.token")) as token:
            self.token = token.read().strip()

    def made(self):
        """The folder is there, and nothing is signed yet."""

    @property
    def party(self):
        return "%s:%s" % (self.domain, self.uri)

    @property
    def party_json(self):
        return {"domain": self.domain, "uri": self.uri}

    @property
    def base_url(self):
        return "https://localhost:%d/dsp/2025-1" % self.peers_port

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    # --- configuration ---

    def add_peer(self, other, *hosts):
        more = [part for host in hosts for part in ("--host", host)]
        run(options.tally, "peer", self.folder, other.party, other.base_url, *more)

    def edit(self, change):
        """Changes tally.json as an operator with an editor would."""
        with open(self.path("tally.json")) as file:
            config = json.load(file)
        change(config)
        with open(self.path("tally.json"), "w") as file:
            json.dump(config, file, indent=1)

    def let_tokens_be_tried(self):
        """As many wrong ones as a test likes; from an address few are answered as such."""
        self.edit(lambda config: config.setdefault("limits", {}).update(failedTokensAtOnce=100000))

    def add_token(self, name, role):
        done = run(options.tally, "token", "add", self.folder, "--name", name, "--role", role)
        return done.stdout.split()[-1]

    def drop(self, kind, name, document):
        """Puts a file into assets/, policies/ or rules/."""
        os.makedirs(self.path(kind), exist_ok=True)
        beside = self.path(name + ".new")
        with open(beside, "w") as file:
            json.dump(document, file, ensure_ascii=False)
        os.rename(beside, self.path(kind, name + ".json"))

    def offer(self, asset=COHORT, *, name="cohort", visible_to=None, content=b"id,value\n1,2\n",
              source=None, delivery="custody", **policy_options):
        """An asset with its source file, and an offer of it."""
        path = source or name + ".csv"
        if source is None:
            with open(self.path("source", path), "wb") as file:
                file.write(content)
        self.drop("assets", name, {
            "id": asset, "title": "Cohort", "mediaType": "text/csv", "delivery": delivery,
            "source": {"type": "file", "path": path}})
        self.drop("policies", name, {
            "visibleTo": visible_to or [{"domain": HEALTH}],
            "policy": policy(asset, **policy_options)})

    # --- the process ---

    def spawn(self, *arguments, env=None):
        self.log = open(self.log_file, "ab")
        self.process = subprocess.Popen([self.program, *arguments, self.folder],
                                        stdout=self.log, stderr=self.log,
                                        env=dict(os.environ, LANG="C.UTF-8", LC_ALL="C.UTF-8", **self.env,
                                                 **(env or {})))
        return self

    def start(self, *arguments, env=None):
        seen = len(self.notices("daemon.serving"))
        self.spawn(*arguments, env=env)
        eventually(lambda: len(self.notices("daemon.serving")) > seen or self.ended(),
                   self.name + " serves")
        if self.ended():
            raise AssertionError("%s ended at start:\n%s" % (self.name, self.text()))
        return self

    def ended(self):
        return self.process is None or self.process.poll() is not None

    def wait_ended(self):
        return self.process.wait(PATIENCE)

    def stop(self):
        """Ends it as a service manager would. Returns the exit code."""
        if self.process is None:
            return None
        if not self.ended():
            self.process.send_signal(signal.SIGTERM)
        code = self.wait_ended()
        self.log.close()
        self.process = None
        return code

    def kill9(self):
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        self.log.close()
        self.process = None

    def take_revocations(self, domain=HEALTH):
        """Replaces a revocation list by the authority's newest and tells the daemon."""
        shutil.copy(self.world.authority.anchor(domain, "crl.pem"),
                    self.path("trust", domain + ".crl"))
        self.reload()

    def reload(self):
        seen = len(self.notices("daemon.reloaded"))
        self.process.send_signal(signal.SIGHUP)
        eventually(lambda: len(self.notices("daemon.reloaded")) > seen, self.name + " reloads")

    def text(self):
        try:
            with open(self.log_file, errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def notices(self, code=None):
        """The operational log: one JSON line each."""
        found = []
        for line in self.text().splitlines():
            try:
                notice = json.loads(line)
            except ValueError:
                continue
            if code in (None, notice.get("code")):
                found.append(notice)
        return found

    # --- asking it ---

    def api(self, method, path, body=None, token=None, **more):
        return wires.call(self.management_port, method, path, body,
                          token=self.token if token is None else token, **more)

    def get(self, path):
        answer = self.api("GET", path)
        if answer.status != 200:
            raise AssertionError("GET %s: %r" % (path, answer))
        return answer.json()

    def items(self, kind):
        """The whole list, over all its pages."""
        path = "/api/v1/" + kind
        page = self.get(path)
        items = page["items"]
        while "next" in page:
            page = self.get(path + "?after=" + urllib.parse.quote(page["next"], safe=""))
            items += page["items"]
        return items

    def ready(self):
        return self.api("GET", "/health/ready", token="")

    def tally(self, *arguments, check=True):
        return run(options.tally, "--connector", self.folder, *arguments, check=check)

    def app(self, name, *purposes, agreements=()):
        """Registers an application; returns its token."""
        answer = self.api("POST", "/api/v1/apps", {
            "id": name, "purposes": list(purposes), "agreements": list(agreements)})
        if answer.status != 201:
            raise AssertionError(repr(answer))
        return answer.json()["token"]

    def read(self, token, agreement, *, key=None, purpose=None, **more):
        path = "/api/v1/data/" + agreement + ("?purpose=" + purpose if purpose else "")
        return wires.call(self.apps_port, "GET", path, token=token,
                          headers={"Idempotency-Key": key} if key else None, **more)

    def clock(self, seconds):
        answer = self.api("POST", "/api/v1/clock", {"advanceSeconds": seconds})
        if answer.status != 200:
            raise AssertionError(repr(answer))

    # --- contracts ---

    def ended_process(self, kind, pid, ends):
        def look():
            process = self.get("/api/v1/%s/%s" % (kind, pid))
            return process if process["state"] in ends else None
        return eventually(look, "%s %s of %s ends" % (kind, pid, self.name))

    def begin(self, kind, order):
        def ask():
            answer = self.api("POST", "/api/v1/" + kind, order)
            # After a start, until the partner has said what it knows of our log.
            waits = answer.status == 503 and answer.code() == "negotiation.not-asked-yet"
            return None if waits else answer
        answer = eventually(ask, "the partner is asked about our log")
        if answer.status != 202:
            raise AssertionError("%s: %r" % (order, answer))
        return answer.json()["id"]

    def negotiate(self, other, asset=COHORT, purpose=RESEARCH):
        """Runs a negotiation to its end. Returns the process."""
        pid = self.begin("negotiations", {
            "peer": other.party_json, "asset": asset, "purposes": [purpose]})
        return self.ended_process("negotiations", pid, ("FINALIZED", "TERMINATED"))

    def agree(self, other, asset=COHORT, purpose=RESEARCH):
        """An agreement that both sides hold active. Returns its id."""
        process = self.negotiate(other, asset, purpose)
        if process["state"] != "FINALIZED":
            raise AssertionError("no agreement: %r" % process)
        return process["agreement"]

    def transfer(self, agreement):
        """Pulls the data. Returns the process as it ended."""
        pid = self.begin("transfers", {"agreement": agreement})
        return self.ended_process("transfers", pid, ("COMPLETED", "TERMINATED"))

    def agreement(self, agreement):
        return self.get("/api/v1/agreements/" + agreement)

    # --- its evidence ---

    def verify(self, folder=None):
        """`tally audit verify` on the folder, with no daemon needed. Returns exit code and report."""
        done = run(options.tally, "--json", "audit", "verify", folder or self.folder, check=False)
        return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr

    def entries(self):
        """The bytes of every record of the log in order, read without the program."""
        found = []
        for segment in sorted(os.listdir(self.path("log"))):
            if segment.endswith(".tlog"):
                with open(self.path("log", segment), "rb") as file:
                    found += read_segment(file.read())
        return found

    def records(self, *types):
        found = map(json.loads, self.entries())
        return [record for record in found if not types or record["type"] in types]

    def custody_files(self):
        found = []
        for folder, _, files in os.walk(self.path("custody")):
            found += [os.path.join(folder, name) for name in files
                      if name.endswith((".key", ".part", ".sealed", ".blob"))]
        return sorted(found)


def read_segment(data):
    """The bytes of the records in a segment's frames (docs/audit-log-format.md)."""
    found, at = [], 0
    while at + 32 <= len(data) and data[at:at + 4] == b"TLF1":
        length, _, count, slot = struct.unpack(">IQII", data[at + 4:at + 24])
        if at + length > len(data):
            break
        inner = at + 32 + slot
        for _ in range(count):
            size, = struct.unpack(">I", data[inner:inner + 4])
            found.append(data[inner + 4:inner + 4 + size])
            inner += 4 + size
        at += length
    return found


def policy(asset, *, id=None, count=None, purposes=(RESEARCH,), until=None, delete=None,
           log_for=None):
    """An ODRL offer as an operator writes it. One that has an end obliges to delete."""
    constraints = []
    if purposes:
        constraints.append({"leftOperand": "purpose", "operator": "isAnyOf",
                            "rightOperand": list(purposes)})
    if count is not None:
        constraints.append({"leftOperand": "count", "operator": "lteq",
                            "rightOperand": {"@value": str(count), "@type": "xsd:integer"}})
    if until is not None:
        constraints.append({"leftOperand": "dateTime", "operator": "lt",
                            "rightOperand": {"@value": until, "@type": "xsd:dateTime"}})
    document = {
        "@context": "http://www.w3.org/ns/odrl.jsonld", "@type": "Offer",
        "@id": id or asset + ":offer", "target": asset,
        "permission": [{"action": "use", "constraint": constraints}]}
    if not constraints:
        del document["permission"][0]["constraint"]
    # Without an end the duty would be due with the end of the first use.
    if until is not None if delete is None else delete:
        document["obligation"] = [{"action": "delete"}]
    if log_for is not None:
        document["profile"] = "urn:tally:profile:1"
        document["permission"][0]["duty"] = [{
            "action": "urn:tally:profile:1#log",
            "constraint": [{"leftOperand": "urn:tally:profile:1#retention", "operator": "gteq",
                            "rightOperand": {"@value": log_for, "@type": "xsd:duration"}}]}]
    return document


class Pair:
    """A provider and a consumer that know each other."""

    def __init__(self, world, *, provider_options=None, consumer_options=None):
        self.provider = Connector(
            world, **{"name": "provider", "uri": HOSPITAL, **(provider_options or {})})
        self.consumer = Connector(
            world, **{"name": "consumer", "uri": INSTITUTE, **(consumer_options or {})})
        self.provider.add_peer(self.consumer)
        self.consumer.add_peer(self.provider)

    def start(self):
        self.provider.start()
        self.consumer.start()
        return self

    def held(self, asset=COHORT):
        """An agreement whose data the consumer holds."""
        agreement = self.consumer.agree(self.provider, asset)
        process = self.consumer.transfer(agreement)
        if process["state"] != "COMPLETED":
            raise AssertionError("no data: %r" % process)
        return agreement
