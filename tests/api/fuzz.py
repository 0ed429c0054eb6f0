#!/usr/bin/env python3
"""schemathesis asks two connectors whatever their descriptions allow, and more: ./dev api-fuzz.

An answer of 5xx, one that is not what /openapi.json says, or a token that is not asked for, ends in
exit code 1; so does a connector that does not answer at the end, or a log that is not whole.

Left out: the stream of events, which has no end."""
import argparse
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
import connectors  # noqa: E402
from connectors import RESEARCH, Pair, World  # noqa: E402

CHECKS = ("not_a_server_error,status_code_conformance,content_type_conformance,"
          "response_schema_conformance,unsupported_method,allow_header_conformance,ignored_auth")


def run(options, url, token, seconds):
    command = [options.schemathesis, "run", url + "/openapi.json", "--url", url,
               "--header", "Authorization: Bearer " + token, "--checks", CHECKS,
               "--phases", "examples,coverage,fuzzing", "--max-time", str(seconds),
               "--exclude-path", "/api/v1/events", "--continue-on-failure",
               "--suppress-health-check", "all", "--request-timeout", "60", "--no-color",
               "--generation-database", "none", "--warnings", "off", "--output-sanitize", "false"]
    if options.seed:
        command += ["--seed", str(options.seed)]
    return subprocess.run(command, env={**os.environ, "NO_PROXY": "127.0.0.1"}).returncode


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
        for side in (provider, consumer):
            side.edit(lambda config: config.setdefault("limits", {}).update(
                {name: 1000000 for name in ("managementCallsPerSecond", "appCallsPerSecond",
                                            "failedTokensPerSecond", "failedTokensAtOnce")}))
        pair.start()
        pair.held()
        token = consumer.app("reader", RESEARCH)
        each = max(10, int(options.minutes * 60 / 3))
        failed = False
        for side, port, bearer in ((provider, provider.management_port, provider.token),
                                   (consumer, consumer.management_port, consumer.token),
                                   (consumer, consumer.apps_port, token)):
            print("== %s, port %d" % (side.name, port), flush=True)
            failed |= run(options, "http://127.0.0.1:%d" % port, bearer, each) != 0
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
