#!/usr/bin/env python3
"""The public conformance kit of the Dataspace Protocol judges a connector. The last line counts.

Where the kit cannot be had, one line says why and the exit code is 0."""
import argparse
import os
import shutil
import sys

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(SOURCE, "tests", part) for part in ("e2e", "support")]

import cases
import connector as under_test
import connectors
import kit as public_kit
import maven
from triggers import Triggers


def judge_itself(class_path, groups):
    """The kit against the connector that it has in itself: whether all is well with kit and machine."""
    kit = public_kit.Kit(class_path, connectors.free_port(), {"dsp.local.connector": "true"})
    wanted = [case for group in groups for case in cases.of_group(group)]
    return kit.run(wanted, {})  # it names its own


def judge_connector(class_path, groups, rounds, restart, keep):
    """The kit against ours. With `restart` it is killed before each group and started again."""
    world = connectors.World()
    triggers = None
    passed = None
    try:
        kit = public_kit.Kit(class_path, connectors.free_port(), {})
        connector, peer, root = under_test.prepare(world, kit.address)
        triggers = Triggers(connectors.free_port(), peer, connector.begin)
        kit.properties.update({
            "dsp.connector.agent.id": under_test.UNDER_TEST,
            "dsp.connector.http.base.url": root,
            "dsp.connector.http.url": root + "/dsp/2025-1",
            "dsp.connector.http.headers.authorization": under_test.CREDENTIAL,
            "dsp.connector.negotiation.initiate.url": triggers.url("negotiations"),
            "dsp.connector.transfer.initiate.url": triggers.url("transfers")})
        connector.start()
        under_test.import_agreements(connector, peer)
        for number in range(rounds):
            if rounds > 1:
                print("round %d" % (number + 1))
            good = set()
            for chosen in [[group] for group in groups] if restart else [groups]:
                if restart:
                    connector.kill9()
                    connector.start()
                wanted = [case for group in chosen for case in cases.of_group(group)]
                good |= kit.run(wanted, cases.kit_properties())
            passed = good if passed is None else passed & good
        for fault in triggers.faults:
            print("the connector did not begin: " + fault)
        connector.stop()
        code, report = connector.verify()
        if code != 0:
            print("the log is not whole: %s" % report)
            return set()
        return passed
    finally:
        if triggers:
            triggers.close()
        if keep:
            shutil.copytree(world.folder, keep, symlinks=True)
        world.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", help="folder of tallyd and tally")
    parser.add_argument("--tools", required=True, help="where the kit is, or is put")
    parser.add_argument("--self", action="store_true", help="the kit against itself")
    parser.add_argument("--group", action="append", choices=cases.GROUPS, help="these alone")
    parser.add_argument("--rounds", type=int, default=1, help="so often, with the same connector")
    parser.add_argument("--restart", action="store_true",
                        help="kill the connector between groups and start it again")
    parser.add_argument("--keep", metavar="DIR", help="leave folder and log of the connector there")
    arguments = parser.parse_args()
    groups = [group for group in cases.GROUPS if group in (arguments.group or cases.GROUPS)]
    try:
        class_path = public_kit.install(arguments.tools)
    except maven.Skipped as why:
        print("skipped: the conformance kit: %s" % why)
        return 0
    if arguments.self:
        passed = judge_itself(class_path, groups)
    else:
        connectors.options.tallyd = os.path.join(arguments.bin, "tallyd")
        connectors.options.tally = os.path.join(arguments.bin, "tally")
        passed = judge_connector(class_path, groups, arguments.rounds,
                                 arguments.restart, arguments.keep)
    wanted = sum(len(cases.of_group(group)) for group in groups)
    print("%d passed, %d failed" % (len(passed), wanted - len(passed)))
    return 0 if len(passed) == wanted else 1


if __name__ == "__main__":
    sys.exit(main())
