"""A program that is told of events: prints each, after the check of its signature.

    python3 webhook_receiver.py webhook.key 9001

With the key's file in tally.json:  "webhooks": [{"name": "desk", "url": "http://127.0.0.1:9001/",
"key": "webhook.key"}]. An event may come twice, with the same webhook-id."""
import http.server
import json
import sys

import standard_webhooks


class Receiver(http.server.BaseHTTPRequestHandler):
    secret = ""
    take = staticmethod(print)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        good = standard_webhooks.verified(self.secret, self.headers, body)
        if good:
            self.take(self.headers["webhook-id"], json.loads(body))
        self.send_response(204 if good else 401)  # anything but 2xx: it comes again
        self.end_headers()

    def log_message(self, *parts):
        pass


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        Receiver.secret = file.read()
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Receiver).serve_forever()
