"""One call followed through two connectors: the trace that an application began goes on to the
provider's, both tell a collector, and what they tell is codes and ids alone."""
import http.server
import json
import os
import re
import threading
import unittest

import wires
from connectors import RESEARCH, Pair, World, eventually, options, run

ASSET = "urn:hospital:stations"
CANARY = "canary-5d1e"
SERVER = 2  # SPAN_KIND_SERVER


class Collector:
    """Takes OTLP over HTTP as a collector does."""

    def __init__(self):
        self.bodies, self.status, self.waiting = [], 200, 0
        self.gate = threading.Event()  # shut: nothing is answered
        self.gate.set()
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if (self.path, self.headers["Content-Type"]) != ("/v1/traces", "application/json"):
                    return self.reply(404)
                collector.waiting += 1
                collector.gate.wait()
                collector.waiting -= 1
                if collector.status == 200:
                    collector.bodies.append(body.decode())
                return self.reply(collector.status)

            def reply(self, status):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = "http://127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()

    def spans(self, trace):
        """(who, span) of every span of the trace."""
        found = []
        for body in self.bodies:
            for resource in json.loads(body)["resourceSpans"]:
                of = {one["key"]: one["value"]["stringValue"]
                      for one in resource["resource"]["attributes"]}
                assert of["service.name"] == "tally", of
                found += [(of["service.instance.id"], span)
                          for scope in resource["scopeSpans"] for span in scope["spans"]
                          if span["traceId"] == trace]
        return found


def attributes(span):
    return {one["key"]: one["value"]["stringValue"] for one in span["attributes"]}


def setUpModule():
    global world, provider, consumer, collector, agreement, reader
    world = World()
    unittest.addModuleCleanup(world.close)
    collector = Collector()
    unittest.addModuleCleanup(collector.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    for side in (provider, consumer):
        side.edit(lambda config: config.update(telemetry={"otlpEndpoint": collector.url}))
    provider.offer(ASSET, name="stations", delivery="call", count=4)
    pair.start()
    agreement = consumer.agree(provider, ASSET)
    reader = consumer.app("app-" + CANARY, RESEARCH, agreements=[agreement])
    pid = consumer.begin("transfers", {"agreement": agreement, "format": "HttpData-QUERY"})
    consumer.ended_process("transfers", pid, ("STARTED", "TERMINATED"))


def begin(sampled=True):
    """What an application that traces sends: (trace, span, header)."""
    trace, span = os.urandom(16).hex(), os.urandom(8).hex()
    return trace, span, {"traceparent": "00-%s-%s-%s" % (trace, span, "01" if sampled else "00")}


def call(headers, query="purpose=" + RESEARCH):
    return wires.call(consumer.apps_port, "GET", "/api/v1/data/%s?%s" % (agreement, query),
                      token=reader, headers=headers)


def ask(connection, answers, request, times):
    """Requests in one piece, and their answers read to the end."""
    connection.sendall(request * times)
    for _ in range(times):
        assert b" 200 " in answers.readline()
        length = 0
        for line in iter(answers.readline, b"\r\n"):
            name, value = line.split(b":", 1)
            length = int(value) if name.lower() == b"content-length" else length
        answers.read(length)


def spans_of(connector):
    """How many it has exported and dropped."""
    text = connector.api("GET", "/metrics").body.decode()
    return tuple(int(re.search(r'tally_spans_total\{outcome="%s"\} (\d+)' % outcome, text)[1])
                 for outcome in ("exported", "dropped"))


class Traces(unittest.TestCase):
    def test_1_a_call_through_two_connectors_is_one_trace(self):
        trace, span, headers = begin()
        answer = call(headers)
        self.assertEqual(answer.status, 200)
        eventually(lambda: len(collector.spans(trace)) == 2, "both tell of it")
        told = dict(collector.spans(trace))
        ours, theirs = told[consumer.uri], told[provider.uri]
        self.assertEqual(ours["parentSpanId"], span)
        self.assertEqual(theirs["parentSpanId"], ours["spanId"])
        self.assertEqual(ours["name"], "GET /api/v1/data/:agreement")
        for one in (ours, theirs):
            self.assertEqual(one["kind"], SERVER)
            self.assertEqual(attributes(one)["http.response.status_code"], "200")
            self.assertNotIn("status", one)
            self.assertLess(int(one["startTimeUnixNano"]), int(one["endTimeUnixNano"]))
        self.assertEqual(attributes(theirs)["tally.use"], answer.headers["tally-use"])
        self.assertLessEqual(int(ours["startTimeUnixNano"]), int(theirs["startTimeUnixNano"]))

    def test_2_a_refusal_says_its_code(self):
        trace, _, headers = begin()
        self.assertEqual(call(headers, "purpose=urn:purpose:other").status, 403)
        (who, span), = eventually(lambda: collector.spans(trace), "the refusal is told")
        self.assertEqual(who, consumer.uri)
        self.assertEqual(attributes(span)["http.response.status_code"], "403")
        self.assertEqual(attributes(span)["tally.code"], "usage.purpose-not-registered")

    def test_3_what_nobody_wants_recorded_is_not(self):
        trace, span, headers = begin(sampled=False)
        self.assertEqual(call(headers).status, 200)
        bad = {"traceparent": "00-%s-%s-zz" % (trace, span)}
        self.assertEqual(consumer.api("GET", "/api/v1/status", headers=bad).status, 200)
        marker, _, headers = begin()
        self.assertEqual(consumer.api("GET", "/api/v1/status", headers=headers).status, 200)
        # Spans keep their order: what came before would be there by now.
        eventually(lambda: collector.spans(marker), "the marker is told")
        self.assertEqual(collector.spans(trace), [])

    def test_4_codes_and_ids_alone(self):
        trace, _, headers = begin()
        headers["Idempotency-Key"] = "key-" + CANARY
        headers["tracestate"] = "vendor=" + CANARY
        call(headers, "purpose=%s&column=%s" % (RESEARCH, CANARY))
        call(headers, "purpose=" + CANARY)
        consumer.api("PUT", "/api/v1/policies/" + CANARY, {"note": CANARY}, headers=headers)
        wires.call(consumer.apps_port, "GET", "/%s?q=%s" % (CANARY, CANARY), token=reader,
                   headers=headers)
        eventually(lambda: len(collector.spans(trace)) >= 4, "all are told")
        told = "".join(collector.bodies)
        for text in (CANARY, reader, consumer.token, RESEARCH, ASSET, world.folder):
            self.assertNotIn(text, told)

    def test_5_no_collector_holds_up_nothing_and_is_counted(self):
        exported, dropped = spans_of(consumer)
        self.assertGreater(exported, 0)
        collector.status = 503
        _, _, headers = begin()
        self.assertEqual(consumer.api("GET", "/api/v1/status", headers=headers).status, 200)
        eventually(lambda: spans_of(consumer)[1] == dropped + 1, "it is dropped")
        self.assertTrue(consumer.notices("daemon.collector-refuses"))
        collector.status = 200
        trace, _, headers = begin()
        self.assertEqual(consumer.api("GET", "/api/v1/status", headers=headers).status, 200)
        eventually(lambda: collector.spans(trace), "it is taken again")

    def test_6_a_flood_is_bounded(self):
        """While the collector says nothing, what the queue has no room for is dropped."""
        queue, batch, many = 2048, 512, 3000
        exported, dropped = spans_of(consumer)
        collector.gate.clear()
        self.addCleanup(collector.gate.set)
        _, _, headers = begin()
        request = ("GET /health/live HTTP/1.1\r\nHost: localhost\r\ntraceparent: %s\r\n\r\n"
                   % headers["traceparent"]).encode()
        with wires.connect(consumer.management_port) as connection:
            answers = connection.makefile("rb")
            ask(connection, answers, request, 1)
            eventually(lambda: collector.waiting, "the first batch is on its way")
            for _ in range(many // 100):
                ask(connection, answers, request, 100)
        collector.gate.set()
        eventually(lambda: sum(spans_of(consumer)) - exported - dropped == many + 1,
                   "each is told or dropped")
        # A batch is given up on a machine so slow that all this takes longer than its answer may.
        told = spans_of(consumer)[0] - exported
        self.assertGreaterEqual(told, queue - batch)
        self.assertLessEqual(told, queue + batch)

    def test_7_only_this_machine_in_the_clear(self):
        for url, good in (("http://collector.example:4318", False), ("http://127.0.0.1:4318", True),
                          ("https://collector.example:4318", True), ("ftp://127.0.0.1", False)):
            with open(consumer.path("tally.json")) as file:
                before = json.load(file)
            consumer.edit(lambda config: config["telemetry"].update(otlpEndpoint=url))
            done = run(options.tallyd, "--check", consumer.folder, check=False)
            consumer.edit(lambda config: config.update(before))
            self.assertEqual(done.returncode == 0, good, url + "\n" + done.stdout + done.stderr)

    def test_8_without_a_collector_the_trace_goes_through(self):
        consumer.stop()
        consumer.edit(lambda config: config.pop("telemetry"))
        consumer.start()
        trace, span, headers = begin()
        self.assertEqual(call(headers).status, 200)
        (who, told), = eventually(lambda: collector.spans(trace), "the provider tells")
        self.assertEqual((who, told["parentSpanId"]), (provider.uri, span))


if __name__ == "__main__":
    import connectors
    connectors.main()
