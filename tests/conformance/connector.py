"""The connector under test: made, seeded and restarted as an operator would do it, by its files, its
command line and its management API. It knows of no kit, only of one peer that has a credential."""
import cases
import connectors
from connectors import HEALTH, Connector, free_port

KIT = "TCK_PARTICIPANT"
CREDENTIAL = "Bearer conformance"
AFTER = "PT0.3S"  # between a state and what follows: the kit has to note the state first
UNDER_TEST = "did:web:under-test.example"


def prepare(world, kit_address):
    """A connector with all that the tests name, not started yet; the kit as it knows it; and the root
    of what it serves to the kit."""
    connector = Connector(world, "under-test", UNDER_TEST)
    peer = {"domain": HEALTH, "uri": KIT}

    port = free_port()
    root = "http://127.0.0.1:%d" % port

    def change(config):
        config["insecureLoopback"] = True  # the kit serves no TLS
        config["listeners"]["credentialPeers"] = {"port": port, "publicUrl": root}
        config["peers"] = [dict(peer, url=kit_address, acceptUnsigned=True, credential={
            "expects": CREDENTIAL, "sends": CREDENTIAL})]
    connector.edit(change)

    for asset in cases.subjects("CN") + ["CAT0101", "CAT0102"]:
        connector.drop("assets", asset, {
            "id": asset, "title": asset, "mediaType": "text/csv", "delivery": "custody",
            "source": {"type": "file", "path": "cohort.csv"}})
        connector.drop("policies", asset, {
            "visibleTo": [peer], "requireSignature": False, "acceptUnconfirmed": True,
            "policy": dict(connectors.policy(asset, id=cases.offer_id(asset), purposes=()))})
    with open(connector.path("source", "cohort.csv"), "w") as file:
        file.write("id,value\n1,2\n")
    connector.drop("rules", "conformance", cases.reactions(peer, AFTER))
    return connector, peer, root


def import_agreements(connector, peer):
    """Those of the transfers: nobody ever negotiated them."""
    for group, role in (("TP", "provider"), ("TP_C", "consumer")):
        provider, consumer = (UNDER_TEST, KIT) if role == "provider" else (KIT, UNDER_TEST)
        for agreement in cases.subjects(group):
            answer = connector.api("POST", "/api/v1/agreements", {
                "peer": peer, "role": role, "agreement": {
                    "@context": "http://www.w3.org/ns/odrl.jsonld", "@type": "Agreement",
                    "@id": agreement, "target": "CAT0101", "assigner": provider,
                    "assignee": consumer, "timestamp": "2026-11-26T00:00:00Z",
                    "permission": [{"action": "use"}]}})
            if answer.status not in (200, 201):
                raise AssertionError("%s: %r" % (agreement, answer))
