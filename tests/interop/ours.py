"""Our connector as an operator configures it for such a peer: nothing but settings of a peer."""
import json

import connectors
from connectors import HEALTH, INSTITUTE, Connector, free_port

# What EDC's own context gives a meaning.
CONTEXT = "https://w3id.org/edc/dspace/v0.0.1"
NAMESPACE = "https://w3id.org/edc/v0.0.1/ns/"
WORDS = ("QuerySpec", "Criterion", "inForceDate", "id", "description", "isCatalog")
ASSET = "urn:interop:three-uses"
OUR_DATED = "urn:interop:dated"  # with a rule in a word of EDC's
USES = 3
CONTENT = b"id,value\n" + b"".join(b"%d,%d\n" % (n, n * n) for n in range(5000))


class Ours(Connector):
    """One that knows EDC connectors by the JSON that they send in place of a token."""

    def __init__(self, world, name, scheme):
        super().__init__(world, name, INSTITUTE)
        self.peer_port = free_port()
        self.root = "%s://localhost:%d" % (scheme, self.peer_port)

        def listen(config):
            config["insecureLoopback"] = True  # EDC itself serves no TLS
            config["listeners"]["credentialPeers"] = {
                "port": self.peer_port, "publicUrl": self.root}
        self.edit(listen)

    @property
    def base_url(self):
        return self.root + "/dsp/2025-1"

    @staticmethod
    def peer(edc):
        return {"domain": HEALTH, "uri": edc.name}

    def knows(self, edc):
        """Before start: the peer, its credential both ways, and the forms that it reads."""
        def add(config):
            config["peers"] = config.get("peers", []) + [{
                "domain": HEALTH, "uri": edc.name, "url": edc.base_url,
                "hosts": ["localhost:%d" % edc.ports["protocol"],
                          "localhost:%d" % edc.ports["public"]],
                "acceptUnsigned": True, "dataAddress": "full-iri-names", "dataToken": "bare",
                "callFormat": "HttpData-PULL", "emptyOffer": "use",
                "contexts": {CONTEXT: {word: NAMESPACE + word for word in WORDS}},
                "credential": {
                    "expects": edc.credential(self.base_url),
                    "sends": json.dumps({"region": "eu", "audience": edc.base_url,
                                         "clientId": self.uri}, separators=(",", ":"))}}]
        self.edit(add)

    def offer_counted(self, edc):
        """Three uses, each served and counted here, to one that signs nothing."""
        with open(self.path("source", "cohort.csv"), "wb") as file:
            file.write(CONTENT)
        self.drop("assets", "cohort", {
            "id": ASSET, "title": "Cohort", "mediaType": "text/csv", "delivery": "call",
            "source": {"type": "file", "path": "cohort.csv"}})
        self._offer("cohort", edc, connectors.policy(ASSET, count=USES, purposes=()))

    def offer_dated(self, edc):
        """What EDC can say in its own words, until a date."""
        self.drop("assets", "dated", {
            "id": OUR_DATED, "title": "Dated", "mediaType": "text/csv", "delivery": "call",
            "source": {"type": "file", "path": "cohort.csv"}})
        policy = connectors.policy(OUR_DATED, purposes=())
        policy["permission"][0]["constraint"] = [{
            "leftOperand": NAMESPACE + "inForceDate", "operator": "lteq",
            "rightOperand": "2099-12-31T00:00:00Z"}]
        self._offer("dated", edc, policy)

    def _offer(self, name, edc, policy):
        self.drop("policies", name, {
            "visibleTo": [{"domain": HEALTH, "uri": edc.name}],
            "requireSignature": False, "acceptUnconfirmed": True, "policy": policy})

    def agreement_as_consumer(self, edc, asset):
        process = self.ended_process("negotiations", self.begin("negotiations", {
            "peer": self.peer(edc), "asset": asset}),
            ("FINALIZED", "TERMINATED"))
        if process["state"] != "FINALIZED":
            raise AssertionError("no agreement: %s" % json.dumps(process, indent=1))
        return process["agreement"]
