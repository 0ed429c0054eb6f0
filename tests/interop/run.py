#!/usr/bin/env python3
"""A stock Eclipse EDC and our connector, both ways: catalogue, contract, data, completion.

Where EDC cannot be had, one line says why and the exit code is 0. The last line says what was
exchanged and how long it took."""
import argparse
import os
import sys
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(SOURCE, "tests", part) for part in ("e2e", "support")]

import connectors
import directions
import edc as stock
import maven


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True, help="folder of tallyd and tally")
    parser.add_argument("--tools", required=True, help="where EDC is, or is put")
    parser.add_argument("--keep", action="store_true", help="leave logs and folders where they are")
    arguments = parser.parse_args()
    connectors.options.tallyd = os.path.join(arguments.bin, "tallyd")
    connectors.options.tally = os.path.join(arguments.bin, "tally")
    try:
        class_path = stock.install(arguments.tools)
    except maven.Skipped as why:
        print("skipped: Eclipse EDC: %s" % why)
        return 0
    begun = time.monotonic()
    told = directions.Tally()
    for part in (directions.plain, directions.over_tls):
        world = connectors.World()
        try:
            part(told, world, class_path)
        finally:
            told.end()
            if arguments.keep:
                print("left in " + world.folder, flush=True)
                for connector in world.connectors:
                    connector.kill9()
            else:
                world.close()
    print("exchanged: %s in %.1f s" % (told, time.monotonic() - begun))
    return 0


if __name__ == "__main__":
    sys.exit(main())
