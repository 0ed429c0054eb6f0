#!/usr/bin/env python3
"""schemathesis asks two connectors whatever their descriptions allow, and more: ./dev api-fuzz.

An answer of 5xx, one that is not what /openapi.json says, or a token that is not asked for, ends in
exit code 1; so does a connector that does not answer at the end, or a log that is not whole.

Half of the ids are real ones (real_names.py). Applications are asked for first: later an admin may
remove the one whose token is used. Left out: the stream of events, which has no end."""
import argparse
import collections
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
import connectors  # noqa: E402
import wires  # noqa: E402
from connectors import HEALTH, RESEARCH, Pair, World, eventually, policy  # noqa: E402
from real_names import with_real_names  # noqa: E402

CHECKS = ("not_a_server_error,status_code_conformance,content_type_conformance,"
          "response_schema_conformance,unsupported_method,allow_header_conformance,ignored_auth")

ASKED = "urn:hospital:asked"


def description(side, other, port, token):
    answer = wires.call(port, "GET", "/openapi.json", token=token)
    if answer.status != 200:
        raise AssertionError("GET /openapi.json: %r" % answer)
    return with_real_names(answer.json(), side, other)


def statuses(report):
    """How often each status was answered, by schemathesis's own report; 0: not at all."""
    counted = collections.Counter()
    with open(report) as lines:
        for line in lines:
            scenario = json.loads(line).get("ScenarioFinished", {})
            for one in scenario.get("recorder", {}).get("interactions", {}).values():
                counted[(one["response"] or {"status_code": 0})["status_code"]] += 1
    return counted


def run(options, name, document, port, token, seconds):
    """Whether nothing was found. Reports and what schemathesis keeps go into one folder."""
    folder = os.path.join(os.path.dirname(os.path.abspath(options.schemathesis)), "../reports")
    os.makedirs(folder, exist_ok=True)
    described, report = (os.path.join(folder, name + end) for end in (".json", ".ndjson"))
    with open(described, "w") as file:
        json.dump(document, file)
    command = [os.path.abspath(options.schemathesis), "run", described,
               "--url", "http://127.0.0.1:%d" % port,
               "--header", "Authorization: Bearer " + token, "--checks", CHECKS,
               "--phases", "examples,coverage,fuzzing", "--max-time", str(seconds),
               "--exclude-path", "/api/v1/events", "--continue-on-failure",
               "--suppress-health-check", "all", "--request-timeout", "60", "--no-color",
               "--generation-database", "none", "--warnings", "off", "--output-sanitize", "false",
               "--report", "ndjson", "--report-ndjson-path", report]
    if options.seed:
        command += ["--seed", str(options.seed)]
    code = subprocess.run(command, cwd=folder, env={**os.environ, "NO_PROXY": "127.0.0.1"}).returncode
    counted = statuses(report)
    print("%s: %d requests: %s" % (name, sum(counted.values()), ", ".join(
        "%d×%d" % (count, status) for status, count in sorted(counted.items()))), flush=True)
    return code == 0 and bool(counted)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tallyd", required=True)
    parser.add_argument("--tally", required=True)
    parser.add_argument("--schemathesis", required=True)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    connectors.options.tallyd, connectors.options.tally = options.tallyd, options.tally
    world = World()
    try:
        # Real logs: nobody moves their clocks by a century.
        pair = Pair(world, provider_options={"test": False}, consumer_options={"test": False})
        provider, consumer = pair.provider, pair.consumer
        provider.offer(count=100000)
        provider.offer(ASKED, name="asked")
        provider.drop("policies", "asked", {
            "visibleTo": [{"domain": HEALTH}], "policy": policy(ASKED), "decide": "approve"})
        for side in (provider, consumer):
            side.edit(lambda config: config.setdefault("limits", {}).update(
                {name: 1000000 for name in ("managementCallsPerSecond", "appCallsPerSecond",
                                            "failedTokensPerSecond", "failedTokensAtOnce")}))
        pair.start()
        pair.held()
        for _ in range(3):
            consumer.agree(provider)
        consumer.begin("negotiations", {"peer": provider.party_json, "asset": ASKED,
                                        "purposes": [RESEARCH]})
        eventually(lambda: provider.items("approvals"), "a negotiation waits for a person")
        provider.api("POST", "/api/v1/holds", {"scope": "asset", "target": ASKED, "id": "one"})
        token = consumer.app("reader", RESEARCH)
        each = max(10, int(options.minutes * 60 / 3))
        failed = False
        for name, side, other, port, bearer in (
                ("applications", consumer, provider, consumer.apps_port, token),
                ("provider", provider, consumer, provider.management_port, provider.token),
                ("consumer", consumer, provider, consumer.management_port, consumer.token)):
            print("== %s, port %d" % (name, port), flush=True)
            document = description(side, other, port, bearer)
            failed |= not run(options, name, document, port, bearer, each)
        for side in (provider, consumer):
            failed |= side.api("GET", "/health/live").status != 200
            failed |= side.stop() != 0
            code, report = side.verify()
            if code != 0:
                print(report)
            failed |= code != 0
        return int(failed)
    finally:
        world.close()


if __name__ == "__main__":
    sys.exit(main())
