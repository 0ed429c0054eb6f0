#!/usr/bin/env python3
"""The measurements of docs/benchmarks.md: ./dev bench, or run.py --bin FOLDER-OF-PROGRAMS.

Contenders alternate inside every round and only ratios between them are judged; see docs/benchmarks.md
for what each figure means. Exit code 1 when a figure is below its floor, 2 when a step failed or the
machine was too busy to judge."""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

import catalog
import negotiations
from lab import (Broken, CONSUMER, Nginx, PROVIDER, Pki, busy_cpu, cpu_of, memory_of, pair, run,
                 wait_for_port, write_offer)

MIB = 1 << 20
CATALOG_REQUEST = json.dumps({
    "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"],
    "@type": "CatalogRequestMessage"}).encode()


class Report:
    """Figures as they come, and whether they are what was wanted."""

    def __init__(self):
        self.figures = []

    def add(self, name, value, unit, wanted=None, floor=None, more=False, note="", judged=True):
        """`wanted` and `floor` are upper bounds, or lower ones with `more`."""
        def holds(bound):
            return bound is None or (value >= bound if more else value <= bound)
        verdict = "" if wanted is None and floor is None else (
            "good" if holds(wanted) else "short of wanted" if holds(floor) and floor is not None
            else "BELOW FLOOR" if floor is not None else "short of wanted")
        if not judged:
            verdict = "DISTURBED"
        self.figures.append({"name": name, "value": round(value, 4), "unit": unit, "wanted": wanted,
                             "floor": floor, "verdict": verdict, "note": note})
        bound = "" if wanted is None else f"   wanted {'≥' if more else '≤'} {wanted:g}"
        print(f"  {name:<58} {value:>12,.2f} {unit:<10}{bound}   {verdict}   {note}".rstrip(), flush=True)

    def has(self, verdict):
        return any(figure["verdict"] == verdict for figure in self.figures)


def log_bytes(folder):
    """What a log has written: its files without the zeros ahead of the end."""
    segments = sorted(folder.glob("*.tlog"))
    ahead = len(segments[-1].read_bytes()) - len(segments[-1].read_bytes().rstrip(b"\0"))
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file()) - ahead


# --- policed calls beside nginx ---

# Of a core: a round in which others took more is played again, at most twice.
QUIET = 0.15


def middle(found, name):
    return statistics.median(one[name] for one in found)


def one_run(options, pids, port, path, headers, consumer, anchor, connections, extra=()):
    """The generator against one contender: its JSON, the server's CPU and everybody else's."""
    command = [options.bin / "load", "--connect", f"127.0.0.1:{port}", "--ca", anchor,
               "--cert", consumer.folder / "tls/chain.pem", "--key", consumer.folder / "tls/key.pem",
               "--path", path, "--connections", str(connections), "--seconds", str(options.seconds),
               "--body-bytes", "1024", *extra]
    for header in headers:
        command += ["--header", header]
    server_before = sum(map(cpu_of, pids))
    busy_before, began = busy_cpu(), time.monotonic()
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    took = time.monotonic() - began
    server = sum(map(cpu_of, pids)) - server_before
    if done.returncode != 0:
        raise Broken(f"load: exit {done.returncode}\n{done.stdout}{done.stderr}")
    found = json.loads(done.stdout)
    # The bench itself sleeps meanwhile, so what is left over is not ours.
    found["foreign"] = (busy_cpu() - busy_before - server - found["own_cpu_seconds"]) / took
    found["server_us"] = server / sum(found["statuses"].values()) * 1e6
    return found


def measure_calls(options, report, pki, work):
    print("Policed and logged 1 KiB calls over mTLS keep-alive, beside nginx with client certificates")
    provider, consumer = pair(options.bin, pki, work / "calls")
    if options.threads:
        provider.edit({"threads": options.threads})
    web = work / "calls/web"
    web.mkdir()
    data = os.urandom(1024)
    (web / "kilobyte.bin").write_bytes(data)
    (provider.folder / "source/kilobyte.bin").write_bytes(data)
    provider.offer("kilobyte", "kilobyte.bin", "call", count=1_000_000_000)
    nginx = None
    try:
        provider.start()
        consumer.start()
        agreement = consumer.agreement(consumer.negotiate(provider, "kilobyte"))
        transfer = consumer.transfer(agreement, "HttpData-QUERY")
        consumer.wait(transfer, ("STARTED",))
        address = consumer.call("GET", transfer + "/address")
        # The application calls by itself, with the connector's certificate and token.
        consumer.stop()
        path = urllib.parse.urlsplit(address["endpoint"]).path
        token = f"Authorization: Bearer {address['authorization']}"
        anchor = pki.anchor(PROVIDER[0]) / "ca.pem"
        nginx = Nginx(work / "calls/nginx", web, provider.folder / "tls/chain.pem",
                      provider.folder / "tls/key.pem", pki.anchor(CONSUMER[0]) / "ca.pem")

        def tally(connections, extra=()):
            return one_run(options, [provider.process.pid], provider.port, path, [token], consumer,
                           anchor, connections, extra)

        def yardstick(connections):
            return one_run(options, nginx.pids(), nginx.port, "/kilobyte.bin", [], consumer, anchor,
                           connections)

        for connections, wanted, floor in ((33, 0.40, 0.30), (256, None, None)):
            if connections == 256 and not options.all:
                continue
            rounds, keyed = [], []
            for round_ in range(options.rounds):
                for _attempt in range(3):
                    # Who goes first changes every round.
                    runs = {}
                    for who in (("tally", "nginx") if round_ % 2 == 0 else ("nginx", "tally")):
                        runs[who] = tally(connections) if who == "tally" else yardstick(connections)
                    runs["foreign"] = max(one["foreign"] for one in runs.values())
                    if runs["foreign"] < QUIET:
                        break
                    print(f"    round {round_ + 1}: {runs['foreign']:.2f} of a core was busy with something else")
                if runs["tally"]["cipher"] != runs["nginx"]["cipher"]:
                    raise Broken("the contenders chose different ciphers")
                runs["ratio"] = runs["tally"]["per_second"] / runs["nginx"]["per_second"]
                rounds.append(runs)
                print(f"    round {round_ + 1}: tally {runs['tally']['per_second']:,.0f}/s "
                      f"({runs['tally']['server_us']:.1f} us of CPU, p50 {runs['tally']['p50_us']:.0f} us), "
                      f"nginx {runs['nginx']['per_second']:,.0f}/s ({runs['nginx']['server_us']:.1f} us), "
                      f"ratio {runs['ratio']:.2f}", flush=True)
            # Rounds that stayed disturbed say nothing about the contenders.
            quiet = [one for one in rounds if one["foreign"] < QUIET]
            judged = len(quiet) >= min(3, options.rounds)
            counted = quiet if judged else rounds
            ours = [one["tally"] for one in counted]
            theirs = [one["nginx"] for one in counted]
            ratios = [one["ratio"] for one in counted]
            at = f"{connections} connections"
            report.add(f"calls, {at}", middle(ours, "per_second"), "calls/s",
                       note=f"nginx {middle(theirs, 'per_second'):,.0f}/s")
            report.add(f"calls / nginx, {at}", statistics.median(ratios), "", wanted, floor, more=True,
                       note=f"[{min(ratios):.2f}…{max(ratios):.2f}] of {len(counted)} rounds", judged=judged)
            report.add(f"provider's CPU a call, {at}", middle(ours, "server_us"), "us",
                       note=f"nginx {middle(theirs, 'server_us'):.1f}")
            if connections == 33:
                for _ in range(min(3, options.rounds)):
                    keyed.append(tally(connections, ("--key-each",)))
                report.add("the same with an Idempotency-Key on each", middle(keyed, "per_second"), "calls/s")
        used = provider.call("GET", "/api/v1/agreements/" + urllib.parse.quote(agreement, safe=""))["limits"]
        answered = used[0]["used"]
        provider.stop()
        began = time.monotonic()
        verified = subprocess.run([options.bin / "tally", "audit", "verify", provider.folder / "log", "--json"],
                                  capture_output=True, text=True)
        if verified.returncode != 0:
            raise Broken(f"the log does not verify: {verified.stdout}{verified.stderr}")
        print(f"    {answered:,} uses counted; the log of them verifies in {time.monotonic() - began:.1f} s")
        report.add("bytes of the log a use, all in", log_bytes(provider.folder / "log") / answered, "bytes", 640,
                   note="a share of them with an Idempotency-Key of 36 bytes in the record")
    finally:
        provider.stop()
        consumer.stop()
        if nginx:
            nginx.stop()


# --- start, memory, size ---

def first_catalogue(consumer, provider, context):
    """The first page over a fresh connection: seconds from the call to the answer, and its bytes."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", provider.port)) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with context.wrap_socket(raw, server_hostname="127.0.0.1") as tls:
            tls.sendall(b"POST /dsp/2025-1/catalog/request HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                        b"Content-Type: application/json\r\nConnection: close\r\nContent-Length: "
                        + str(len(CATALOG_REQUEST)).encode() + b"\r\n\r\n" + CATALOG_REQUEST)
            answer = b""
            while piece := tls.recv(65536):
                answer += piece
    if not answer.startswith(b"HTTP/1.1 200"):
        raise Broken(f"no catalogue: {answer[:300]!r}")
    return time.monotonic() - began, len(answer)


def starts(provider, consumer, context, times):
    """Milliseconds from exec to the first accepted connection, and to the first page of the catalogue."""
    accepted, answered = [], []
    for _ in range(times):
        began = time.monotonic()
        provider.spawn()
        wait_for_port(provider.port, provider.process)
        accepted.append((time.monotonic() - began) * 1000)
        first_catalogue(consumer, provider, context)
        answered.append((time.monotonic() - began) * 1000)
        provider.stop()
    return accepted, answered


def first_starts(provider, consumer, context, times):
    """The same where each start is the first one of the folder: log, database and keys begin with it."""
    made = provider.folder.with_name("made")
    shutil.copytree(provider.folder, made)
    accepted, answered = [], []
    for _ in range(times):
        shutil.rmtree(provider.folder)
        shutil.copytree(made, provider.folder)
        (once_accepted,), (once_answered,) = starts(provider, consumer, context, 1)
        accepted.append(once_accepted)
        answered.append(once_answered)
    return accepted, answered


def idle_memory(provider, seconds=2.0):
    time.sleep(seconds)
    return memory_of(provider.process.pid)


def measure_start(options, report, pki, work):
    print("Start, idle memory, size")
    for name in ("tallyd", "tally"):
        report.add(f"size of {name}, stripped", (options.bin / name).stat().st_size / 1e6, "MB",
                   10 if name == "tallyd" else None)
    provider, consumer = pair(options.bin, pki, work / "start")
    context = consumer.tls_client(pki, PROVIDER[0])
    try:
        _, begun = first_starts(provider, consumer, context, 5)  # the log begins here
        report.add("start, folder just made: exec to first catalogue", statistics.median(begun), "ms", 100,
                   note=f"[{min(begun):.0f}…{max(begun):.0f}]")
        accepted, answered = starts(provider, consumer, context, 11)
        report.add("start, empty: exec to first accepted connection", statistics.median(accepted), "ms", 50,
                   note=f"[{min(accepted):.0f}…{max(accepted):.0f}]")
        report.add("start, empty: exec to first catalogue", statistics.median(answered), "ms", 100,
                   note=f"[{min(answered):.0f}…{max(answered):.0f}]")
        provider.start()
        rss, own = idle_memory(provider)
        report.add("idle RSS, empty", rss, "MiB", 15, note=f"{own:.1f} of it not a file's")
        provider.stop()

        if options.agreements:
            measure_filled(options, report, provider, consumer, context)
    finally:
        provider.stop()
        consumer.stop()


def measure_filled(options, report, provider, consumer, context):
    """The same with 3,000 assets and 1,000 agreements, which are really negotiated."""
    (provider.folder / "source/small.bin").write_bytes(os.urandom(1024))
    for number in range(options.assets):
        # Two thirds are delivered into custody, one third call by call.
        write_offer(provider.folder, f"asset-{number:05}", "small.bin",
                    "call" if number % 3 == 0 else "custody", 3)
    provider.start(within=120)
    rss, _ = idle_memory(provider)
    report.add(f"RSS after the first load of {options.assets:,} assets", rss, "MiB")
    consumer.start()
    began = time.monotonic()

    def negotiate(number):
        return consumer.agreement(consumer.negotiate(provider, f"asset-{number % options.assets:05}"))

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(negotiate, range(options.agreements)))
    took = time.monotonic() - began
    print(f"    {options.agreements:,} agreements negotiated and signed in {took:.1f} s "
          f"({options.agreements / took:.0f}/s, both connectors on this machine)")
    rss, _ = idle_memory(provider)
    report.add("RSS after negotiating them", rss, "MiB")
    consumer.stop()
    provider.stop()
    accepted, answered = starts(provider, consumer, context, 5)
    filled = f"{options.assets:,} assets, {options.agreements:,} agreements"
    report.add(f"start, {filled}: exec to first accepted", statistics.median(accepted), "ms")
    report.add("the same to the first page of the catalogue", statistics.median(answered), "ms")
    provider.start()
    rss, own = idle_memory(provider)
    report.add(f"idle RSS, {filled}", rss, "MiB", note=f"{own:.1f} of it not a file's")
    report.add("the same after a catalogue was asked for", after_catalogue(provider, consumer, context), "MiB")
    consumer.start()
    rss, _ = idle_memory(consumer)
    report.add(f"idle RSS of the consumer, {options.agreements:,} agreements", rss, "MiB")


def after_catalogue(provider, consumer, context):
    took, size = first_catalogue(consumer, provider, context)
    print(f"    the first page has {size / 1e6:.1f} MB and comes in {took * 1000:.0f} ms")
    return idle_memory(provider)[0]


# --- a large pull ---

class Watch(threading.Thread):
    """The largest RSS of some processes, looked at every few milliseconds."""

    def __init__(self, pids):
        super().__init__(daemon=True)
        self.before = {pid: memory_of(pid)[0] for pid in pids}
        self.most = dict(self.before)
        self.done = threading.Event()
        self.start()

    def run(self):
        while not self.done.wait(0.005):
            for pid in self.most:
                self.most[pid] = max(self.most[pid], memory_of(pid)[0])

    def growth(self, pid):
        return self.most[pid] - self.before[pid]


def measure_pull(options, report, pki, work):
    print(f"A pull of {options.pull_mib} MiB into custody")
    provider, consumer = pair(options.bin, pki, work / "pull")
    source = provider.folder / "source/large.bin"
    block = os.urandom(MIB)
    with open(source, "wb") as out:
        for number in range(options.pull_mib):
            out.write(number.to_bytes(8, "big") + block[8:])
    provider.offer("large", "large.bin", "custody", count=3)
    try:
        provider.start()
        consumer.start()
        agreement = consumer.agreement(consumer.negotiate(provider, "large"))
        time.sleep(1)
        pids = (provider.process.pid, consumer.process.pid)
        watch = Watch(pids)
        cpu = {pid: cpu_of(pid) for pid in pids}
        began = time.monotonic()
        transfer = consumer.transfer(agreement, "HttpData-PULL")
        ended = consumer.wait(transfer, ("COMPLETED", "TERMINATED"), within=600)
        took = time.monotonic() - began
        watch.done.set()
        watch.join()
        if ended["state"] != "COMPLETED" or ended["bytes"] != options.pull_mib * MIB:
            raise Broken(f"the pull ended as {json.dumps(ended)[:600]}")
        for name, connector in (("provider", provider), ("consumer", consumer)):
            pid = connector.process.pid
            report.add(f"RSS growth of the {name}", watch.growth(pid), "MiB", 32,
                       note=f"from {watch.before[pid]:.1f}")
        used = {pid: cpu_of(pid) - cpu[pid] for pid in pids}
        report.add("digested, encrypted, stored and receipted", options.pull_mib * MIB / 1e6 / took, "MB/s",
                   note=f"CPU: provider {used[pids[0]]:.1f} s, consumer {used[pids[1]]:.1f} s of {took:.1f} s")
    finally:
        provider.stop()
        consumer.stop()


# --- the log alone ---

def measure_log(options, report, pki, work):
    print("Log appends beside a bare loop that writes and syncs the same bytes")
    folder = work / "log"
    text = run(options.bin / "audit_bench", folder, options.rounds, 100_000)
    print("    " + text.strip().replace("\n", "\n    "))
    row = re.compile(r"^\s*(\d+)\s+(\d+)\s+(\d+)\s+([\d.]+)\s+(\d+)\s+([\d.]+)\s+(\d+)\s+(\d+)", re.M)
    for outstanding, rate, _bare, ratio, _filled, filled_ratio, p50, bare_p50 in row.findall(text):
        report.add(f"{outstanding} outstanding / bare write+fdatasync loop", float(ratio), "", 0.8, 0.5, more=True,
                   note=f"{int(rate):,} records/s; {filled_ratio} of a loop into zeros")
        if outstanding == "1":
            report.add("p50 of an append / of the bare loop", int(p50) / int(bare_p50), "", 2, 2,
                       note=f"{p50} us, {bare_p50} us")
    print("A log of 300,000 records, checked and proved from; CPU time, beside the bare work of the same run")
    run(options.bin / "log_bench", "write", folder, 300_000)
    for arguments in (("verify", folder, options.rounds), ("verify", folder, options.rounds, "deep"),
                      ("prove", folder), ("heads",), ("witness",), ("transfer",)):
        print("    " + run(options.bin / "log_bench", *arguments).strip().replace("\n", "\n    "), flush=True)
    shutil.rmtree(folder)


MEASURES = {"calls": measure_calls, "start": measure_start, "pull": measure_pull, "log": measure_log,
            "negotiations": negotiations.measure, "catalog": catalog.measure}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--only", default=",".join(MEASURES), help="of: " + ", ".join(MEASURES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--threads", type=int, help="the provider's contexts; default: its own default")
    parser.add_argument("--assets", type=int, default=3000)
    parser.add_argument("--offers", type=int, default=10_000, help="of the catalogue")
    parser.add_argument("--agreements", type=int, default=1000)
    parser.add_argument("--negotiations", type=int, default=2000, help="ordered at once, in each round")
    parser.add_argument("--pull-mib", type=int, default=1024)
    parser.add_argument("--all", action="store_true", help="calls over 256 connections too")
    parser.add_argument("--keep", type=pathlib.Path, help="work in this new folder and leave it")
    parser.add_argument("--json", type=pathlib.Path, help="also write the figures here")
    options = parser.parse_args()
    options.bin = options.bin.resolve()
    wanted = options.only.split(",")
    if unknown := set(wanted) - set(MEASURES):
        parser.error(f"no such measure: {', '.join(sorted(unknown))}")

    # Beside the programs and not in /tmp: that may be memory, where a sync costs nothing.
    if options.keep:
        options.keep.mkdir(parents=True)
        work = options.keep.resolve()
    else:
        work = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=options.bin.parent))
    report = Report()
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"Note: the load of this machine is {load:.1f} before anything was measured.")
    try:
        pki = Pki(work / "pki")
        for name in wanted:
            MEASURES[name](options, report, pki, work)
            print()
    except Broken as broken:
        print(f"run.py: {broken}", file=sys.stderr)
        return 2
    finally:
        if not options.keep:
            shutil.rmtree(work, ignore_errors=True)
    if options.json:
        options.json.write_text(json.dumps(report.figures, indent=1, ensure_ascii=False) + "\n")
    return 1 if report.has("BELOW FLOOR") else 2 if report.has("DISTURBED") else 0


if __name__ == "__main__":
    sys.exit(main())
