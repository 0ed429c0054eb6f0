#!/usr/bin/env python3
"""A second implementation of the format in docs/audit-log-format.md, only as large as the vectors
need. Prints vectors.json; the tests compare what the program writes with it, byte for byte."""
import base64
import hashlib
import json
import struct

CRC_TABLE = []
for i in range(256):
    c = i
    for _ in range(8):
        c = (c >> 1) ^ 0x82F63B78 if c & 1 else c >> 1
    CRC_TABLE.append(c)


def crc32c(data):
    c = 0xFFFFFFFF
    for b in data:
        c = (c >> 8) ^ CRC_TABLE[(c ^ b) & 0xFF]
    return c ^ 0xFFFFFFFF


def leaf(text):
    return hashlib.sha256(b"\x00" + text).hexdigest()


def jcs(value):
    # Enough for records: ASCII keys, integers, no floats.
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


def frame(first_seq, records, slot=b""):
    body = slot + b"".join(struct.pack(">I", len(r)) + r for r in records)
    body += b"\x00" * (-(32 + len(body)) % 8)
    def header(crc):
        return b"TLF1" + struct.pack(
            ">IQIIII", 32 + len(body), first_seq, len(records), len(slot), crc, 0)
    return header(crc32c(header(0) + body)) + body


ORIGIN = "clinic.example/log/1"
KEY = bytes(range(32))  # stands for a public key; nothing is signed with it
key_id = hashlib.sha256(ORIGIN.encode() + b"\n\x01" + KEY).digest()[:4].hex()
VKEY = "%s+%s+%s" % (ORIGIN, key_id, base64.b64encode(b"\x01" + KEY).decode())
NONE = "0" * 64
ACTOR = {"domain": "north", "uri": "did:web:clinic.example"}


def event(n):
    return "01900000-0000-7000-8000-%012x" % n


records = []


def add(members, second, agreement=None):
    record = dict(members)
    record.update(v=1, log=ORIGIN, seq=len(records), clock="test",
                  time="2026-03-01T08:00:%02d.000000Z" % second,
                  prev=leaf(records[-1]) if records else NONE, event=event(len(records)))
    if agreement:
        before = [r for r in records if json.loads(r).get("agreement") == agreement]
        record.update(agreement=agreement, aseq=len(before) + 1,
                      aprev=leaf(before[-1]) if before else NONE)
    records.append(jcs(record))


add({"type": "log.genesis", "actor": ACTOR, "suite": "sha256-ed25519", "test": True,
     "vkey": VKEY}, 0)
add({"type": "log.opened"}, 1)
PERMIT = {"type": "use.permitted", "action": "read", "decision": {"outcome": "permit"},
          "rules": [{"id": "r1", "n": 1, "unit": "use"}]}
add(PERMIT, 2, "urn:uuid:a")
add(dict(PERMIT, purpose="\u7814\u7a76 \"1\"\n\u001f"), 2, "urn:uuid:b")
add({"type": "use.aborted", "use": event(2)}, 2, "urn:uuid:a")

# The checkpoint of docs/audit-log-format.md, section 11, as the log signed it.
NOTE = ORIGIN + """
7
ZlCXn2yHiq2F84Dsicnip68Q0qZKqWqJGKp/UHsg+Y4=

\u2014 clinic.example/log/1 9J1EWbVe+rcXsjI82/hRPGHo2Hjb9YDrgw2gK1/XnWCRsrMfPrM5vfQPPhHkKc1oweNFNHegCKhUbkw9hw5gSs/4BQ8=
"""


def root(hashes):
    if len(hashes) == 1:
        return hashes[0]
    half = 1
    while half * 2 < len(hashes):
        half *= 2
    return hashlib.sha256(b"\x01" + root(hashes[:half]) + root(hashes[half:])).digest()


def digest(value):
    return "sha256:" + value


# The log after it, as far as its first record: it was given up at these five, and somebody held a
# checkpoint of seven.
NEXT = "clinic.example/log/2"
next_id = hashlib.sha256(NEXT.encode() + b"\n\x01" + KEY).digest()[:4].hex()
following = jcs({
    "v": 1, "log": NEXT, "seq": 0, "clock": "test", "time": "2026-03-01T09:00:00.000000Z",
    "prev": NONE, "event": event(99), "type": "log.genesis", "actor": ACTOR,
    "suite": "sha256-ed25519", "test": True,
    "vkey": "%s+%s+%s" % (NEXT, next_id, base64.b64encode(b"\x01" + KEY).decode()),
    "follows": {
        "origin": ORIGIN, "size": len(records), "leaf": digest(leaf(records[-1])),
        "root": digest(root([bytes.fromhex(leaf(r)) for r in records]).hex()),
        "verdict": "whole",
        "proofs": [{"note": digest(hashlib.sha256(b"a note").hexdigest()), "size": 7,
                    "root": digest(hashlib.sha256(b"a root").hexdigest())}]}})

frames = [frame(0, records[:1]), frame(1, records[1:2]), frame(2, records[2:])]
head = "tally/head/v1\n%s\n%d\n%s\n" % (ORIGIN, len(records), leaf(records[-1]))
print(json.dumps({
    "origin": ORIGIN, "actor": ACTOR, "vkey": VKEY,
    "records": [r.decode() for r in records],
    "leaves": [leaf(r) for r in records],
    "segment_name": "%020d.tlog" % 0,
    "segment_hex": b"".join(frames).hex(),
    "head": head,
    "slot": NOTE,
    "slot_frame_hex": frame(7, [b"record 7"], NOTE.encode()).hex(),
    "following": {
        "record": following.decode(),
        "leaf": leaf(following),
        "segment_hex": frame(0, [following]).hex(),
        "head": "tally/head/v1\n%s\n1\n%s\n" % (NEXT, leaf(following)),
    },
}, indent=1, ensure_ascii=False))
