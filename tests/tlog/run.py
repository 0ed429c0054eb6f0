#!/usr/bin/env python3
"""The log and the witness under the eyes of programs by others, each in a world of its own.

They are installed with Go; one that cannot be had is skipped, in a line that says why. The last line
counts."""
import argparse
import os
import sys
import traceback

import judging
import connectors
import fsck
import litewitness
import oneshot


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True, help="folder of tallyd and tally")
    parser.add_argument("--tools", required=True, help="where the programs are, or are put")
    arguments = parser.parse_args()
    connectors.options.tallyd = os.path.join(arguments.bin, "tallyd")
    connectors.options.tally = os.path.join(arguments.bin, "tally")
    check = judging.Checks()
    for module in (fsck, litewitness, oneshot):
        program, why = judging.install(module.MODULE, arguments.tools)
        if program is None:
            print("skipped  %s: %s" % (module.__name__, why))
            continue
        print(module.__name__, flush=True)
        world = connectors.World()
        try:
            module.judge(check, program, world)
        except Exception:  # a wait that was in vain: the others judge all the same, and it counts
            check("%s comes to its end" % module.__name__, False, traceback.format_exc())
        finally:
            world.close()
    print("%d passed, %d failed" % (check.passed, check.failed))
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
