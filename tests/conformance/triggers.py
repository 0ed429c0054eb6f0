"""The two calls by which the kit asks the connector under test to begin something as a consumer.

They are no part of the protocol and the connector has nothing like them: this server stands between
them and the management API."""
import http.server
import json
import threading


class Triggers:
    """Serves both on a port of its own, and begins what is asked for with `begin(kind, order)`."""

    def __init__(self, port, peer, begin):
        self.port, self.peer, self.begin = port, peer, begin
        self.faults = []
        triggers = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                try:
                    triggers._take(self.path, json.loads(body))
                    status = 200
                except Exception as error:  # the kit is told, and the run shows it
                    triggers.faults.append("%s %s: %s" % (self.path, body.decode(), error))
                    status = 500
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, kind):
        return "http://127.0.0.1:%d/%s" % (self.port, kind)

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def _take(self, path, asked):
        if asked["providerId"] != self.peer["uri"]:
            raise ValueError("who is %s?" % asked["providerId"])
        if path == "/negotiations":
            # The kit has no catalogue to ask; what it offers is this.
            self.begin("negotiations", {
                "peer": self.peer, "asset": asked["datasetId"], "offer": asked["offerId"],
                "policy": {"permission": [{"action": "use"}]}})
        elif path == "/transfers":
            self.begin("transfers", {"agreement": asked["agreementId"], "format": asked["format"]})
        else:
            raise ValueError("no such call")
