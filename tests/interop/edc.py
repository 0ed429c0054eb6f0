"""A stock Eclipse EDC: one process, its configuration, and its management API."""
import json
import os
import signal
import subprocess
import urllib.error
import urllib.request

import maven
from connectors import eventually, free_port, run

HERE = os.path.dirname(os.path.abspath(__file__))
NAMESPACE = "https://w3id.org/edc/v0.0.1/ns/"
CONTEXT = "https://w3id.org/dspace/2025/1/context.jsonld"
ODRL = "http://www.w3.org/ns/odrl.jsonld"
START_SECONDS = 240  # it takes three on a quiet machine
PROTOCOL = "dataspace-protocol-http:2025-1"


def install(tools):
    """The class path of EDC and of our extension, which is put into `tools`."""
    return maven.install(os.path.join(HERE, "pom.xml"), os.path.join(HERE, "edc"), tools)


class Edc:
    """One connector with everything in memory, as it comes: a restart forgets all of it."""

    def __init__(self, world, class_path, name, source, *, trust_store=None):
        self.source = source  # a URL: what its assets are
        self.world, self.class_path, self.name = world, class_path, name
        self.trust_store = trust_store
        self.process = None
        self.log_file = world.path(name + ".log")
        self.ports = {part: free_port() for part in (
            "", "control", "management", "protocol", "version", "public")}
        keys = {}
        for alias in ("private-key", "public-key"):
            keys[alias] = world.path("%s-%s.pem" % (name, alias))
        run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-out", keys["private-key"])
        run("openssl", "pkey", "-in", keys["private-key"], "-pubout", "-out", keys["public-key"])
        settings = {
            "edc.participant.id": name, "edc.component.id": name + "-1",
            "edc.hostname": "localhost", "edc.dsp.callback.address": self.address,
            "edc.dataplane.api.public.baseurl": "http://localhost:%d/public" % self.ports["public"],
            "edc.transfer.proxy.token.signer.privatekey.alias": "private-key",
            "edc.transfer.proxy.token.verifier.publickey.alias": "public-key",
            **{"tally.interop." + alias: file for alias, file in keys.items()}}
        for part, port in self.ports.items():
            settings["web.http.%sport" % (part and part + ".")] = port
            settings["web.http.%spath" % (part and part + ".")] = "/" + (part or "api")
        self.settings_file = world.path(name + ".properties")
        with open(self.settings_file, "w") as file:
            file.writelines("%s=%s\n" % item for item in settings.items())

    @property
    def address(self):
        return "http://localhost:%d/protocol" % self.ports["protocol"]

    @property
    def base_url(self):
        return self.address + "/2025-1"

    def credential(self, receiver):
        """What it puts into `Authorization` when it calls the receiver, who is known by this base."""
        return json.dumps({"region": "eu", "audience": receiver, "clientId": self.name},
                          separators=(",", ":"))

    # --- the process ---

    def start(self):
        trust = ["-Djavax.net.ssl.trustStore=" + self.trust_store,
                 "-Djavax.net.ssl.trustStorePassword=changeit"] if self.trust_store else []
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx512m",
                 "-Dedc.fs.config=" + self.settings_file, *trust, "-cp", self.class_path,
                 "org.eclipse.edc.boot.system.runtime.BaseRuntime", "--log-level=DEBUG"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        eventually(self._ready, "EDC %s is ready" % self.name, START_SECONDS)
        return self

    def _ready(self):
        if self.process.poll() is not None:
            with open(self.log_file, errors="replace") as file:
                raise AssertionError("EDC ended at start:\n" + file.read()[-4000:])
        try:
            # `/api/check/readiness` answers 200 before the other ports do.
            return self._call(self.ports["management"], "POST", "/management/v3/assets/request",
                              {"@context": {"@vocab": NAMESPACE}, "@type": "QuerySpec"},
                              timeout=5)[0] == 200
        except OSError:
            return False

    def _is_offered(self, asset):
        """Whether a peer finds the asset in the catalogue, with a way to get it: there is none
        before EDC knows its own data plane."""
        status, said = self._as_peer(self.name, "POST", "/catalog/request", {
            "@context": [CONTEXT], "@type": "CatalogRequestMessage"})
        datasets = json.loads(said).get("dataset", []) if status == 200 else []
        return any(entry["@id"] == asset and entry.get("distribution") for entry in datasets)

    def kill(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    # --- its management API ---

    @staticmethod
    def _call(port, method, path, body=None, authorization=None, timeout=60):
        request = urllib.request.Request(
            "http://localhost:%d%s" % (port, path), method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json",
                     **({"Authorization": authorization} if authorization else {})})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.read()

    def api(self, method, path, body=None):
        """The answer as JSON; None where there is nothing (404)."""
        if body is not None:
            body = {"@context": {"@vocab": NAMESPACE}, **body}
        status, said = self._call(self.ports["management"], method, "/management/v3" + path, body)
        if status == 404:
            return None
        if status // 100 != 2:
            raise AssertionError("EDC: %s %s: %d %s" % (method, path, status, said[:2000]))
        return json.loads(said) if said else {}

    def offer(self, asset, *, permission=({"action": "use"},)):
        """Offers its source to everybody."""
        self.api("POST", "/assets", {
            "@id": asset, "properties": {"name": asset, "contenttype": "text/csv"},
            "dataAddress": {"type": "HttpData", "baseUrl": self.source}})
        self.api("POST", "/policydefinitions", {
            "@id": asset + "-policy", "policy": {
                "@context": ODRL, "@type": "Set", "permission": list(permission)}})
        self.api("POST", "/contractdefinitions", {
            "@id": asset + "-definition", "accessPolicyId": asset + "-policy",
            "contractPolicyId": asset + "-policy", "assetsSelector": [{
                "@type": "Criterion", "operandLeft": NAMESPACE + "id", "operator": "=",
                "operandRight": asset}]})
        eventually(lambda: self._is_offered(asset), "EDC offers %s" % asset)

    def catalog(self, base, participant):
        """The catalogue of a peer. It always asks with a filter, a `QuerySpec` of the first 50."""
        return self.api("POST", "/catalog/request", {
            "@type": "CatalogRequest", "counterPartyAddress": base, "counterPartyId": participant,
            "protocol": PROTOCOL})

    def dataset(self, base, participant, asset):
        return self.api("POST", "/catalog/dataset/request", {
            "@type": "DatasetRequest", "@id": asset, "counterPartyAddress": base,
            "counterPartyId": participant, "protocol": PROTOCOL})

    def negotiate(self, base, participant, offer, asset):
        """Begins one for an offer of a catalogue. Returns its id."""
        terms = dict(offer, **{"@context": ODRL, "@type": "Offer", "assigner": participant,
                               "target": asset})
        return self.api("POST", "/contractnegotiations", {
            "@type": "ContractRequest", "counterPartyAddress": base,
            "counterPartyId": participant, "protocol": PROTOCOL, "policy": terms})["@id"]

    def transfer(self, base, participant, agreement, kind):
        return self.api("POST", "/transferprocesses", {
            "@type": "TransferRequest", "counterPartyAddress": base, "connectorId": participant,
            "contractId": agreement, "protocol": PROTOCOL, "transferType": kind})["@id"]

    def reaches(self, kind, pid, *wanted):
        """Waits until the process is in one of these states; an end elsewhere is a failure. Returns
        the process."""
        seen = []

        def look():
            process = self.api("GET", "/%s/%s" % (kind, pid))
            if process["state"] not in seen[-1:]:
                seen.append(process["state"])
            if seen[-1] not in wanted and seen[-1] == "TERMINATED":
                raise AssertionError("EDC: %s %s ended: %r" % (kind, pid, process))
            return process if seen[-1] in wanted else None
        try:
            return eventually(look, "", 30)
        except AssertionError as failed:
            raise AssertionError("EDC's %s %s is to be %s and was %s (%s)" % (
                kind, pid, " or ".join(wanted), ", ".join(seen), failed)) from failed

    def address_of(self, transfer):
        """Where and how its application fetches; None when it has none (any more)."""
        found = self.api("GET", "/edrs/%s/dataaddress" % transfer)
        return found and (found["endpoint"], found["authorization"])

    # --- its protocol, by hand ---

    def _as_peer(self, party, method, path, body=None):
        return self._call(self.ports["protocol"], method, "/protocol/2025-1" + path, body, json.dumps(
            {"region": "eu", "audience": self.base_url, "clientId": party}))

    def shown_to(self, party, kind, pid):
        """A process as the protocol shows it to this peer; the status where it does not."""
        status, said = self._as_peer(party, "GET", "/%s/%s" % (kind, pid))
        return json.loads(said) if status == 200 else {"status": status, "said": said[:300]}

    def told(self, path, party, message):
        """Sends it a message as this peer. Returns the status."""
        return self._as_peer(party, "POST", path, {"@context": [CONTEXT], **message})[0]
