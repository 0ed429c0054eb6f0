#!/usr/bin/env python3
"""How long a start takes on a long log, after a crash, and what it holds in memory.

    start.py --tallyd T --tally T --grow-log G RECORDS [RECORDS ...] [--behind N] [--rounds N]

For each size: a connector with one agreement, its log grown to that many records; one start that
reads all of them, and takes the snapshot; kill -9; `behind` more records (a segment by default);
then the starts that count, each ended by kill -9. Times are from the start of the process to the
notice that it serves; CPU and resident memory are of that moment. The folder is made in the
temporary folder: 0.6 KB a record."""
import argparse
import contextlib
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import connectors  # noqa: E402
from connectors import Pair, World  # noqa: E402


def resident(process):
    with open("/proc/%d/status" % process.pid) as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return 0


def cpu(process):
    """User and system seconds, all threads."""
    with open("/proc/%d/stat" % process.pid) as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def timed_start(side):
    seen = len(side.notices("daemon.serving"))
    began = time.monotonic()
    side.spawn()
    while len(side.notices("daemon.serving")) == seen:
        if side.ended():
            raise SystemExit(side.text())
        time.sleep(0.002)
    took = time.monotonic() - began
    return took, cpu(side.process), resident(side.process)


def measure(options, records):
    world = World()
    try:
        pair = Pair(world)
        pair.provider.offer()
        pair.start()
        agreement = pair.held()
        side = pair.consumer
        side.stop()
        pair.provider.stop()
        run_long(options.grow_log, side.path("log"), records, agreement)
        os.truncate(side.log_file, 0)
        all_read, all_cpu, all_memory = timed_start(side)
        # Its snapshot is due, since the log went on by segments.
        connectors.eventually(lambda: snapshot_size(side) >= records, "snapshot", 600)
        side.kill9()
        run_long(options.grow_log, side.path("log"), options.behind, agreement)
        times, work, memory = [], [], []
        for _ in range(options.rounds):
            took, worked, megabytes = timed_start(side)
            side.kill9()
            times.append(took)
            work.append(worked)
            memory.append(megabytes)
        read = side.notices("daemon.log-read")[-1]
        print("%d records: all read in %.2f s (CPU %.2f s), %.0f MiB; from the snapshot, %d records: "
              "%.3f s [%.3f...%.3f] (CPU %.2f s), %.0f MiB" % (
                  records, all_read, all_cpu, all_memory,
                  int(read["params"]["size"]) - int(read["params"]["from"]),
                  statistics.median(times), min(times), max(times), statistics.median(work),
                  max(memory)), flush=True)
    finally:
        world.close()


def run_long(*command):
    subprocess.run([str(part) for part in command], check=True)


def snapshot_size(side):
    file = "file:%s?mode=ro" % side.path("tally.db")
    with contextlib.closing(sqlite3.connect(file, uri=True)) as store:
        rows = store.execute("SELECT body FROM row WHERE kind = 'snapshot' AND id = '00000000'")
        found = rows.fetchone()
    return json.loads(found[0])["size"] if found else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tallyd", required=True)
    parser.add_argument("--tally", required=True)
    parser.add_argument("--grow-log", required=True)
    parser.add_argument("--behind", type=int, default=118_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("records", type=int, nargs="+")
    options = parser.parse_args()
    connectors.options.__dict__.update(tallyd=options.tallyd, tally=options.tally)
    for records in options.records:
        measure(options, records)


if __name__ == "__main__":
    main()
