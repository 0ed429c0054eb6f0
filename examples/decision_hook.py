"""A program that decides: agrees to what stays within the offer, leaves the rest to a person.

    python3 decision_hook.py hook.key 9000

With the key's file in tally.json:  "hooks": [{"name": "desk", "url": "http://127.0.0.1:9000/",
"key": "hook.key"}], and in an offer:  "decide": "hook", "hook": "desk"."""
import http.server
import json
import sys

import standard_webhooks


def decide(question):
    return {"decision": "agree" if question["wider"] is None else "wait"}


class Hook(http.server.BaseHTTPRequestHandler):
    secret = ""
    decide = staticmethod(decide)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not standard_webhooks.verified(self.secret, self.headers, body):
            return self.send_error(401)
        answer = json.dumps(self.decide(json.loads(body))).encode()
        self.send_response(200)
        fields = standard_webhooks.signed(self.secret, self.headers["webhook-id"], answer)
        for name, value in {**fields, "Content-Length": str(len(answer))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *parts):
        pass


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        Hook.secret = file.read()
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Hook).serve_forever()
