"""A connector of the field that knows nothing of Tally: no certificate, no signature, the protocol
alone, and a context of its own beside the protocol's. Both roles, as far as the tests play them."""
import http.server
import json
import threading
import uuid

import wires

DSP = "https://w3id.org/dspace/2025/1/context.jsonld"
EDC = "https://w3id.org/edc/dspace/v0.0.1"
NAMESPACE = "https://w3id.org/edc/v0.0.1/ns/"
# What that context says, as far as it is known.
WORDS = {word: NAMESPACE + word
         for word in ("QuerySpec", "Criterion", "inForceDate", "id", "description", "isCatalog")}
CONTENT = b"station,value\n1,7\n"
SIGNED_AT = "2026-11-20T10:00:00Z"


class StandIn:
    """Serves its `offers` (asset → policy without id and target) and takes what it is sent."""

    def __init__(self, uri, sends):
        self.uri, self.sends = uri, sends  # its Authorization value
        self.contexts = [DSP, EDC]
        self.offers, self.received, self.callbacks, self.agreements = {}, [], {}, {}
        self.changes = lambda agreement: agreement  # what becomes of one before it is sent
        self.our_port = None
        stand_in = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path.startswith("/data"):
                    return self.reply(200, CONTENT, "text/csv")
                asset = self.path.rpartition("/")[2]
                if "/catalog/datasets/" in self.path and asset in stand_in.offers:
                    return self.reply(200, stand_in.dataset(asset))
                return self.reply(404, {})

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                stand_in.received.append(body)
                status, answer, then = stand_in.take(self.path, body)
                self.reply(status, answer)
                if then:
                    threading.Thread(target=then, daemon=True).start()

            def reply(self, status, body, media="application/json"):
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", media)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.host = "localhost:%d" % self.server.server_port
        self.url = "http://%s/protocol" % self.host
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def message(self, kind, **members):
        return {"@context": self.contexts, "@type": kind, "@id": str(uuid.uuid4()), **members}

    def dataset(self, asset):
        return self.message("Dataset", **{
            "@id": asset, "hasPolicy": [{"@id": asset + "-offer", "@type": "Offer",
                                         **self.offers[asset]}],
            "distribution": [{"@type": "Distribution", "format": "HttpData-PULL",
                              "accessService": {"@id": "urn:service", "@type": "DataService",
                                                "endpointURL": self.url}}]})

    def named(self, kind):
        """The messages of that type that came, the last one first."""
        return [message for message in reversed(self.received) if message["@type"] == kind]

    def send(self, base, path, body):
        """To our connector, at what it gave as its base, or below its DSP root."""
        path = "/dsp/2025-1" + path if base is None else base.split(str(self.our_port), 1)[1] + path
        return wires.call(self.our_port, "POST", path, body, headers={"Authorization": self.sends})

    # --- what comes in ---

    def take(self, path, body):
        kind = body["@type"]
        if path.endswith("/negotiations/request"):
            return self.begin(body)
        if kind == "ContractAgreementVerificationMessage":
            return 200, {}, lambda: self.step(body, "/events", "ContractNegotiationEventMessage",
                                              eventType="FINALIZED")
        if kind == "ContractAgreementMessage":
            return 200, {}, lambda: self.send(
                None, "/negotiations/%s/agreement/verification" % body["providerPid"],
                self.message("ContractAgreementVerificationMessage",
                             providerPid=body["providerPid"], consumerPid=body["consumerPid"]))
        if path.endswith("/transfers/request"):
            pid = "urn:uuid:" + str(uuid.uuid4())
            self.callbacks[pid] = body["callbackAddress"]
            start = self.message("TransferStartMessage", providerPid=pid,
                                 consumerPid=body["consumerPid"], dataAddress={
                                     "@type": "DataAddress",
                                     "endpointType": "https://w3id.org/idsa/v4.1/HTTP",
                                     "endpoint": "http://%s/data" % self.host,
                                     "endpointProperties": [
                                         {"@type": "EndpointProperty", "name": "authorization",
                                          "value": "token"}]})
            answer = self.message("TransferProcess", providerPid=pid, state="REQUESTED",
                                  consumerPid=body["consumerPid"])
            return 201, answer, lambda: self.send(
                body["callbackAddress"], "/transfers/%s/start" % body["consumerPid"], start)
        return 200, {}, None

    def begin(self, request):
        pid = "urn:uuid:" + str(uuid.uuid4())
        consumer = request["consumerPid"]
        self.callbacks[pid] = request["callbackAddress"]
        # As EDC does it: its own rules, whatever was asked for.
        agreement = self.changes({
            "@id": "urn:uuid:" + str(uuid.uuid4()), "@type": "Agreement",
            "target": request["offer"]["target"], "assigner": self.uri,
            "assignee": self.consumer_uri, "timestamp": SIGNED_AT,
            **self.offers[request["offer"]["target"]]})
        answer = self.message("ContractNegotiation", providerPid=pid, consumerPid=consumer,
                              state="REQUESTED")
        return 201, answer, lambda: self.step(
            {"providerPid": pid, "consumerPid": consumer}, "/agreement",
            "ContractAgreementMessage", agreement=agreement)

    def step(self, pids, path, kind, **members):
        return self.send(self.callbacks[pids["providerPid"]],
                         "/negotiations/%s%s" % (pids["consumerPid"], path),
                         self.message(kind, providerPid=pids["providerPid"],
                                      consumerPid=pids["consumerPid"], **members))

    # --- as a consumer ---

    def request(self, offer, target, **rules):
        return self.send(None, "/negotiations/request", self.message(
            "ContractRequestMessage", consumerPid="urn:uuid:" + str(uuid.uuid4()),
            callbackAddress=self.url,
            offer={"@type": "Offer", "@id": offer, "target": target, **rules}))
