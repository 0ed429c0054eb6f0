"""The exchange that both connectors are there for, in both directions."""
import hashlib
import http.server
import json
import threading
import time
import urllib.error
import urllib.request

from connectors import RESEARCH, eventually, run
from edc import Edc
from ours import ASSET, CONTENT, NAMESPACE, OUR_DATED, USES, Ours

FOREIGN = "readings"  # the asset at EDC
DATED = "dated"  # likewise, with a rule in a word of EDC's context
OPEN = "open"  # likewise, with an empty policy
FOREIGN_CONTENT = b"station,value\n" + b"".join(b"%d,%d\n" % (n, 7 * n) for n in range(20000))


class Tally:
    """What was done, as a person reads it, and what has to be ended."""

    def __init__(self):
        self.counts = {"agreements": 0, "transfers": 0, "bytes": 0, "refusals": 0, "restarts": 0}
        self.processes = []

    def step(self, text, **counted):
        for name, number in counted.items():
            self.counts[name] += number
        print("  " + text, flush=True)

    def end(self):
        for process in self.processes:
            process.kill()
        self.processes.clear()

    def __str__(self):
        return ", ".join("%d %s" % (number, name) for name, number in self.counts.items())


class Source:
    """What EDC's asset stands for: a server inside its company."""

    def __init__(self, content=FOREIGN_CONTENT):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/csv")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://localhost:%d/" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def kill(self):
        self.server.shutdown()
        self.server.server_close()


def check(holds, text, seen=None):
    if not holds:
        raise AssertionError("%s: %r" % (text, seen))


def fetch(endpoint, token, context=None):
    """As the application of EDC's consumer does it: the token as it came. Returns status, bytes."""
    request = urllib.request.Request(endpoint, headers={"Authorization": token})
    try:
        with urllib.request.urlopen(request, timeout=60, context=context) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read()


def meet(told, world, class_path, scheme="http"):
    """An EDC and a connector of ours that know each other; both offer something."""
    trust_store = None
    if scheme == "https":
        trust_store = world.path("trust.p12")
        run("keytool", "-importcert", "-noprompt", "-alias", "ca", "-file",
            world.authority.anchor("health"), "-keystore", trust_store, "-storetype", "PKCS12",
            "-storepass", "changeit")
    source = Source()
    edc = Edc(world, class_path, "stock", source.url, trust_store=trust_store)
    told.processes += [source, edc]
    ours = Ours(world, "ours", scheme)
    ours.knows(edc)
    ours.offer_counted(edc)
    ours.offer_dated(edc)
    begun = time.monotonic()
    edc.start()
    edc.offer(FOREIGN)
    edc.offer(DATED, permission=[{"action": "use", "constraint": [{
        "leftOperand": NAMESPACE + "inForceDate", "operator": "lteq",
        "rightOperand": "2099-12-31T00:00:00Z"}]}])
    edc.offer(OPEN, permission=[])
    told.step("EDC is ready after %.1f s" % (time.monotonic() - begun))
    ours.start()
    return edc, ours


def our_consumer(told, edc, ours, asset=FOREIGN):
    agreement = ours.agreement_as_consumer(edc, asset)
    told.step("our consumer, its provider: agreement %s" % agreement, agreements=1)
    done = ours.transfer(agreement)
    check(done["state"] == "COMPLETED", "the transfer completes", done)
    answer = ours.read(ours.app("notebook-" + agreement[-6:], RESEARCH), agreement)
    check(answer.status == 200 and answer.body == FOREIGN_CONTENT, "the bytes are EDC's", answer)
    theirs = done["peerPid"]
    # As a provider it goes on by itself, to give back what it had set aside.
    edc.reaches("transferprocesses", theirs, "COMPLETED", "DEPROVISIONED")
    shown = edc.shown_to(ours.uri, "transfers", theirs)
    check(shown.get("state") == "COMPLETED", "EDC shows the completion", shown)
    told.step("pulled, compared, completed: %d bytes, sha256:%s…" % (
        len(answer.body), hashlib.sha256(answer.body).hexdigest()[:12]),
        transfers=1, bytes=len(answer.body))
    return agreement


def own_words(told, edc, ours):
    """What its policies say in words of its own, and by saying nothing."""
    dated = ours.agreement(our_consumer(told, edc, ours, DATED))
    check(dated["policy"]["permission"][0]["constraint"][0]["leftOperand"] == "inForceDate"
          and dated["validUntil"].startswith("2099-12-31T00:00:00"), "inForceDate is read", dated)
    free = ours.agreement(our_consumer(told, edc, ours, OPEN))
    check(free["reading"].get("emptyPolicy") == "use", "no rule permits use", free)
    # It compares the agreement with its request by their words' IRIs.
    theirs = ours.agreement(its_agreement(edc, ours, OUR_DATED))
    check(theirs["policy"]["permission"][0]["constraint"][0]["leftOperand"] == "inForceDate"
          and theirs["validUntil"].startswith("2099-12-31T00:00:00"), "as it asked", theirs)
    told.counts["agreements"] += 1
    told.step("a bare inForceDate was read as a date, an empty policy as permission to use; "
              "it took an agreement in its own words")


def offer_of(dataset):
    """The one offer of a dataset as EDC's management API hands it over: as it came."""
    policy = dataset["hasPolicy"]
    return policy[0] if isinstance(policy, list) else policy


def its_agreement(edc, ours, asset=ASSET):
    catalogue = edc.catalog(ours.base_url, ours.uri)
    offer = offer_of(next(entry for entry in catalogue["dataset"] if entry["@id"] == asset))
    alone = offer_of(edc.dataset(ours.base_url, ours.uri, asset))
    check(offer == alone, "catalogue and dataset say the same", (offer, alone))
    pid = edc.negotiate(ours.base_url, ours.uri, offer, asset)
    return edc.reaches("contractnegotiations", pid, "FINALIZED")["contractAgreementId"]


def its_transfer(edc, ours, agreement):
    pid = edc.transfer(ours.base_url, ours.uri, agreement, "HttpData-PULL")
    edc.reaches("transferprocesses", pid, "STARTED")
    return pid, eventually(lambda: edc.address_of(pid), "EDC keeps the data address")


def our_transfer_of(ours, agreement):
    return next(item["id"] for item in ours.items("transfers")
                if item["agreement"] == agreement and item["state"] != "TERMINATED")


def its_consumer(told, edc, ours, context=None):
    agreement = its_agreement(edc, ours)
    told.step("its consumer, our provider: agreement %s" % agreement, agreements=1)
    transfer, (endpoint, token) = its_transfer(edc, ours, agreement)
    for _ in range(USES):
        status, body = fetch(endpoint, token, context)
        check((status, body) == (200, CONTENT), "the bytes are ours", (status, body[:300]))
    status, body = fetch(endpoint, token, context)
    check(status == 403 and b"usage.limit-reached" in body, "the fourth use is refused",
          (status, body))
    answer = ours.api("POST", "/api/v1/transfers/%s/completion" % our_transfer_of(ours, agreement))
    check(answer.status == 200, "our transfer is completed", answer)
    edc.reaches("transferprocesses", transfer, "COMPLETED", "DEPROVISIONED")
    eventually(lambda: edc.address_of(transfer) is None, "EDC forgets the data address")
    status, body = fetch(endpoint, token, context)
    check(status == 401, "the token is dead", (status, body))
    told.step("%d uses, the next refused, completed: %d bytes each" % (USES, len(CONTENT)),
              transfers=1, bytes=USES * len(CONTENT), refusals=1)


# --- the ugly side -------------------------------------------------------------------------------

AT_ONCE = 12


def early_refusals(process):
    """How often it answered 409 to a message of a process: it was not yet where it said."""
    lists = [entry["attempts"] for entry in process["history"] if "attempts" in entry]
    return sum(1 for attempts in lists for attempt in attempts["first"]
               if attempt["answer"].startswith("409"))


def many_at_once(told, edc, ours):
    """It refuses what comes before it has stored its own last step; each comes again."""
    begun = [ours.begin("negotiations", {"peer": ours.peer(edc), "asset": FOREIGN})
             for _ in range(AT_ONCE)]
    ended = [ours.ended_process("negotiations", pid, ("FINALIZED", "TERMINATED")) for pid in begun]
    states = [process["state"] for process in ended]
    check(states == ["FINALIZED"] * AT_ONCE, "every negotiation comes to its agreement", ended)
    told.step("%d negotiations at once, %d messages that it refused as too early were sent again" % (
        AT_ONCE, sum(map(early_refusals, ended))), agreements=AT_ONCE)


def too_early(told, edc, ours):
    """A verification before there is an agreement: it answers 409, and nothing is lost by it."""
    pid = ours.begin("negotiations", {"peer": ours.peer(edc), "asset": FOREIGN})
    theirs = eventually(lambda: ours.get("/api/v1/negotiations/" + pid)["peerPid"], "it has answered")
    status = edc.told("/negotiations/%s/agreement/verification" % theirs, ours.uri, {
        "@type": "ContractAgreementVerificationMessage", "providerPid": theirs, "consumerPid": pid})
    check(status == 409, "EDC says that it is too early", status)
    process = ours.ended_process("negotiations", pid, ("FINALIZED", "TERMINATED"))
    check(process["state"] == "FINALIZED", "the negotiation goes on", process)
    told.step("too early: 409, and the negotiation came to its agreement", agreements=1)


def fatal_answers(told, edc, ours):
    """What we refuse ends on both sides, and nothing stays open."""
    offer = offer_of(edc.dataset(ours.base_url, ours.uri, ASSET))
    unknown = dict(offer, **{"@id": "urn:interop:no-such-offer"})
    wider = json.loads(json.dumps(offer))
    wider["permission"][0]["constraint"] = wider["permission"][0]["constraint"][1:]
    for what, asked in (("an offer that there is not", unknown), ("no limit", wider)):
        pid = edc.negotiate(ours.base_url, ours.uri, asked, ASSET)
        process = edc.reaches("contractnegotiations", pid, "TERMINATED")
        told.step("asked for %s: ended, %s" % (what, process.get("errorDetail", "")[:100]), refusals=1)
    eventually(lambda: all(item["state"] in ("FINALIZED", "TERMINATED")
                           for item in ours.items("negotiations")), "nothing stays open here")


def restarted(told, edc, ours):
    """It forgets everything. What was in the middle is ended by a person; new things work."""
    forgotten = ours.agreement_as_consumer(edc, FOREIGN)
    pid = ours.begin("negotiations", {"peer": ours.peer(edc), "asset": FOREIGN})
    edc.kill()
    edc.start()
    edc.offer(FOREIGN)
    transfer = ours.begin("transfers", {"agreement": forgotten})
    our_consumer(told, edc, ours)
    for kind, one in (("negotiations", pid), ("transfers", transfer)):
        state = ours.get("/api/v1/%s/%s" % (kind, one))["state"]
        if state not in ("FINALIZED", "TERMINATED"):
            answer = ours.api("POST", "/api/v1/%s/%s/termination" % (kind, one),
                              {"reason": "EDC was restarted"})
            check(answer.status // 100 == 2, "a person ends what it forgot", answer)
    told.step("restarted in the middle: what it forgot was ended by a person", restarts=1)


def verified(ours):
    ours.stop()
    code, report = ours.verify()
    check(code == 0, "our log is whole", report)


def plain(told, world, class_path):
    print("plain HTTP on loopback")
    edc, ours = meet(told, world, class_path)
    our_consumer(told, edc, ours)
    own_words(told, edc, ours)
    its_consumer(told, edc, ours)
    too_early(told, edc, ours)
    many_at_once(told, edc, ours)
    fatal_answers(told, edc, ours)
    restarted(told, edc, ours)
    verified(ours)


def over_tls(told, world, class_path):
    print("our listener over TLS, no client certificate")
    edc, ours = meet(told, world, class_path, "https")
    our_consumer(told, edc, ours)
    its_consumer(told, edc, ours, world.authority.context())
    verified(ours)
