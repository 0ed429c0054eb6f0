"""What a connector tells Prometheus: the numbers are those of what was done, nobody reads them
without a token, they name no subject, and page, dashboard and alerts speak of metrics that exist."""
import json
import math
import os
import re
import unittest

import wires
from connectors import RESEARCH, SOURCE, Pair, World, eventually

MONITORING = os.path.join(SOURCE, "packaging/monitoring")
SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)')
PARTS = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
# Where a person, or what a person wrote, could be: none of it is in a label.
CANARY = "canary-7f3a"


def setUpModule():
    global world, provider, consumer, reader, agreement
    world = World()
    unittest.addModuleCleanup(world.close)
    pair = Pair(world)
    provider, consumer = pair.provider, pair.consumer
    provider.offer("urn:asset:%s" % CANARY, name=CANARY, count=3)
    pair.start()
    agreement = pair.held("urn:asset:%s" % CANARY)
    # One who says something else than TLS.
    wires.send_raw(provider.peers_port, [b"GET / HTTP/1.1\r\n\r\n"])
    reader = consumer.app("app-" + CANARY, RESEARCH, agreements=[agreement])


class Scrape:
    """The text format as its specification has it; anything else is an error."""

    def __init__(self, text):
        self.types, self.help, self.samples = {}, {}, {}
        for line in text.splitlines():
            if line.startswith("# HELP "):
                name, self.help[name] = line[7:].split(" ", 1)
            elif line.startswith("# TYPE "):
                name, kind = line[7:].split(" ")
                assert name not in self.types, "twice: " + name
                self.types[name] = kind
            else:
                self.sample(line)

    def sample(self, line):
        name, labels, value = SAMPLE.match(line).groups()
        family = next((family for family, kind in self.types.items() for part in PARTS[kind]
                       if family + part == name), None)
        assert family, "no TYPE: " + line
        found = LABEL.findall(labels or "")
        assert LABEL.sub("", labels or "") == "", line
        key = (name, frozenset(found))
        assert key not in self.samples, "twice: " + line
        self.samples[key] = float(value)

    def of(self, name, **labels):
        """The sum of the samples with these labels."""
        return sum(value for (one, has), value in self.samples.items()
                   if one == name and set(labels.items()) <= has)

    def names(self):
        return {name for name, _ in self.samples}


def scrape(connector, **more):
    answer = connector.api("GET", "/metrics", **more)
    assert answer.status == 200, answer
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8", answer
    return Scrape(answer.body.decode())


def uses():
    consumed = [consumer.read(reader, agreement).status for _ in range(5)]
    assert consumed == [200, 200, 200, 403, 403], consumed


class Metrics(unittest.TestCase):
    def test_1_numbers_are_those_of_what_was_done(self):
        before = scrape(consumer)
        self.assertEqual(before.of("tally_uses_left", agreement=agreement), 3)
        self.assertEqual(before.of("tally_uses_total", outcome="permitted"), 0)
        uses()
        after = scrape(consumer)
        of_action = {"action": "read"}
        self.assertEqual(after.of("tally_uses_total", outcome="permitted", **of_action), 3)
        self.assertEqual(after.of("tally_uses_total", outcome="refused", **of_action), 2)
        self.assertEqual(after.of("tally_refusals_total"), 2)
        self.assertEqual(after.of("tally_refusals_total", reason="usage.limit-reached"), 2)
        self.assertEqual(after.of("tally_use_decision_duration_seconds_count"), 5)
        self.assertEqual(after.of("tally_uses_left", agreement=agreement), 0)
        self.assertEqual(after.of("tally_agreements", state="open"), 1)
        route = {"listener": "apps", "method": "GET", "route": "/api/v1/data/:agreement"}
        for status, count in (("2xx", 3), ("4xx", 2)):
            self.assertEqual(after.of("tally_http_requests_total", status=status, **route)
                             - before.of("tally_http_requests_total", status=status, **route),
                             count)
        self.assertEqual(after.of("tally_custody_artefacts", state="held"), 1)
        self.assertEqual(after.of("tally_custody_bytes", state="held"), len("id,value\n1,2\n"))
        self.assertEqual(after.of("tally_ready"), len(consumer.ready().json()["checks"]))
        self.assertGreater(after.of("tally_log_free_bytes"), 1 << 20)
        self.assertGreater(after.of("tally_store_commits_total", outcome="committed"), 0)
        self.assertGreater(after.of("process_resident_memory_bytes"), 1 << 20)
        self.assertGreater(after.of("process_open_fds"), 3)

    def test_2_the_log_is_counted_as_it_is(self):
        seen = scrape(provider)
        records = seen.of("tally_log_records_total")
        flushed = seen.of("tally_log_flush_records_sum")
        self.assertLessEqual(records, len(provider.entries()))
        # All but the first record, which made the log, went through the writer of this process.
        self.assertEqual(records - 1, flushed)
        self.assertEqual(seen.of("tally_log_flush_duration_seconds_count"),
                         seen.of("tally_log_flush_records_count"))

    def test_3_peers_and_strangers(self):
        def looks():
            seen = scrape(provider)
            return seen.of("tally_peer_connections", peer=consumer.party) >= 1 and seen
        consumer.api("POST", "/api/v1/catalog", {"peer": provider.party_json})
        eventually(looks, "the consumer's connection is seen")
        refused = {"name": "tally_connections_refused_total", "reason": "net.not-tls"}
        self.assertEqual(scrape(provider).of(**refused), 1)
        wires.send_raw(provider.peers_port, [b"GET / HTTP/1.1\r\n\r\n"])
        eventually(lambda: scrape(provider).of(**refused) == 2, "a stranger is counted")
        eventually(lambda: provider.api("GET", "/api/v1/status", token="nobody's").status == 429,
                   "too many tokens are tried")
        self.assertEqual(scrape(provider).of("tally_calls_limited_total", listener="management",
                                             reason="api.tokens-limited"), 1)

    def test_4_certificates_authorities_lists(self):
        seen = scrape(consumer)
        for name in ("tally_certificate_expiry_timestamp_seconds",
                     "tally_anchor_expiry_timestamp_seconds",
                     "tally_revocation_list_expiry_timestamp_seconds"):
            ends = [value for (one, _), value in seen.samples.items() if one == name]
            self.assertEqual(len(ends), 2, name)
            for end in ends:
                self.assertGreater(end - seen.of("process_start_time_seconds"), 86400, name)

    def test_5_histograms_add_up(self):
        seen = scrape(consumer)
        for family, kind in seen.types.items():
            if kind != "histogram":
                continue
            rows = {}
            for (name, labels), value in seen.samples.items():
                if name == family + "_bucket":
                    bound = dict(labels)["le"]
                    others = frozenset(one for one in labels if one[0] != "le")
                    rows.setdefault(others, []).append((float(bound.replace("Inf", "inf")), value))
            self.assertTrue(rows, family)
            for labels, row in rows.items():
                row.sort()
                self.assertEqual(row[-1][0], math.inf, family)
                self.assertEqual([count for _, count in row], sorted(count for _, count in row))
                self.assertEqual(row[-1][1], seen.samples[(family + "_count", labels)], family)

    def test_6_who_may_read(self):
        self.assertEqual(consumer.api("GET", "/metrics", token="").status, 401)
        self.assertEqual(consumer.api("GET", "/metrics", token="wrong").status, 401)
        self.assertEqual(consumer.api("GET", "/metrics", token=reader).status, 401)
        there = wires.call(consumer.apps_port, "GET", "/metrics", token=reader)
        self.assertEqual(there.status, 404)
        consumer.stop()
        token = consumer.add_token("prometheus", "auditor")
        consumer.start()
        scrape(consumer, token=token)

    def test_7_nobody_and_nothing_personal_in_a_label(self):
        consumer.read(reader, agreement, key="key-" + CANARY, purpose=CANARY)
        wires.call(consumer.apps_port, "GET", "/" + CANARY + "?q=" + CANARY, token=reader)
        wires.call(consumer.management_port, CANARY.upper(), "/api/v1/status",
                   token=consumer.token)
        text = consumer.api("GET", "/metrics").body.decode()
        self.assertIn('route="none"', text)
        for told in (CANARY, CANARY.upper(), reader, consumer.token, world.folder):
            self.assertNotIn(told, text)

    def test_8_help_in_two_languages(self):
        english = scrape(consumer).help
        chinese = scrape(consumer, headers={"Accept-Language": "zh"}).help
        self.assertEqual(english.keys(), chinese.keys())
        for name in english:
            self.assertTrue(english[name].isascii() and english[name].strip(), name)
            self.assertFalse(chinese[name].isascii(), name)

    def test_9_the_page_names_what_is_told(self):
        with open(os.path.join(SOURCE, "docs/operations.md"), encoding="utf-8") as page:
            rows = re.findall(r"^\| `(\w+)` \| (counter|gauge|histogram) \|", page.read(), re.M)
        self.assertEqual(dict(rows), scrape(consumer).types)
        self.assertEqual(len(rows), len(set(rows)))


# --- what asks for them ---

WORDS = {"by", "without", "on", "ignoring", "group_left", "group_right", "and", "or", "unless",
         "bool", "offset", "inf", "nan"}


def metrics_of(expression):
    """The names of metrics in PromQL: identifiers that are no function, keyword or label."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", bare)
    bare = re.sub(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", bare)
    found = re.findall(r"\b([a-zA-Z_:][a-zA-Z0-9_:]*)\b(?!\s*\()", bare)
    return {name for name in found if name not in WORDS}


def dashboard_expressions():
    with open(os.path.join(MONITORING, "grafana.json"), encoding="utf-8") as file:
        board = json.load(file)
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["definition"].removeprefix("label_values(").split(",")[0]


def alert_expressions():
    with open(os.path.join(MONITORING, "alerts.yaml"), encoding="utf-8") as file:
        return re.findall(r"^\s+expr: (.*)$", file.read(), re.M)


class Watching(unittest.TestCase):
    """After the numbers: what only some connectors have was told by then."""

    def setUp(self):
        self.told = scrape(consumer).names() | scrape(provider).names()

    def test_names_are_found_in_expressions(self):
        self.assertEqual(
            metrics_of('histogram_quantile(0.9, sum by (le) (rate(a_bucket{x=~"b"}[$__x]))) > 1 '
                       'and on (job) min(c{d="e f"}) - time() < 3 * 86400'), {"a_bucket", "c"})

    def check(self, expressions, at_least):
        asked = set()
        for expression in expressions:
            names = metrics_of(expression)
            self.assertTrue(names, expression)
            asked |= names
        self.assertGreaterEqual(len(asked), at_least)
        asked.discard("up")  # Prometheus' own
        self.assertEqual(asked - self.told, set())
        return asked

    def test_the_dashboard_asks_for_metrics_that_exist(self):
        asked = self.check(dashboard_expressions(), 20)
        families = scrape(consumer).types
        shown = {family for family, kind in families.items() for part in PARTS[kind]
                 if family + part in asked}
        self.assertEqual(set(families) - shown, set(), "not on the dashboard")

    def test_the_alerts_ask_for_metrics_that_exist(self):
        self.check(alert_expressions(), 7)

    def test_labels_that_are_asked_for_exist(self):
        asked = " ".join([*dashboard_expressions(), *alert_expressions()])
        values = {dict(labels).get(label) for label in ("outcome", "state")
                  for _, labels in scrape(consumer).samples}
        for label, value in re.findall(r'\b(outcome|state)="(\w+)"', asked):
            self.assertIn(value, values, label)


if __name__ == "__main__":
    import connectors
    connectors.main()
