#!/usr/bin/env python3
"""seeds.py TARGET OUT: what a fuzz target begins with, from the project's test data. A fuzzer that
has to find JSON by itself finds little else."""
import base64
import gzip
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MEMBERS = {"odrl_policy_fuzz": ("policy", "policies"), "odrl_request_fuzz": ("request",),
           "odrl_world_fuzz": ("stateOfTheWorld",)}


def segment():
    """The vectors' segment, as audit_frame_fuzz.cpp wants it: two bytes with the length of the head
    file, the head file, the frames."""
    vectors = json.loads((ROOT / "tests/data/audit/vectors.json").read_text(encoding="utf-8"))
    head = vectors["head"].encode()
    return len(head).to_bytes(2, "big") + head + bytes.fromhex(vectors["segment_hex"])


def bundles():
    for file in sorted((ROOT / "tests/data/evidence").glob("*.tar")):
        # Without what is large and that nothing rests on: a seed is cut at 64 KiB.
        data, kept, at = file.read_bytes(), b"", 0
        while data[at]:
            end = at + 512 + -(-int(data[at + 124:at + 135], 8) // 512) * 512
            if not data[at:at + 100].startswith((b"VERIFY.txt", b"prov.jsonld", b"manifest.json")):
                kept += data[at:end]
            at = end
        yield kept + bytes(1024)


# What audit_receipt_fuzz signs: a receipt's and a statement's object.
TIME = "2026-01-01T00:00:00.000000Z"
SIGNED = (
    {"action": "read", "agreement": "urn:a", "leaf": "00" * 32, "origin": "a.example/log/1",
     "seq": 1, "time": TIME, "use": "u"},
    {"agreement": "urn:a", "aseq": {"from": 1, "to": 2}, "bytes": 1,
     "log": {"origin": "a.example/log/1", "root": "00" * 32, "size": 2}, "number": 1,
     "period": {"from": TIME, "until": TIME}, "refusals": {"usage.no": 1}, "uses": 1},
)


# Over the columns of aggregates_query_fuzz.cpp.
QUERIES = (
    {"values": [{"function": "count"}]},
    {"groupBy": ["a", "b"], "totals": True, "values": [
        {"function": "count"}, {"function": "sum", "column": "n"}, {"function": "avg", "column": "x"},
        {"function": "min", "column": "d"}, {"function": "max", "column": "n"}]},
    {"values": [{"function": "count", "column": "x"}], "filter": [
        {"column": "a", "operator": "isAnyOf", "value": ["p", "q"]},
        {"column": "n", "operator": "gteq", "value": 2},
        {"column": "x", "operator": "lt", "value": "3.50"},
        {"column": "d", "operator": "neq", "value": "2026-01-04"},
        {"column": "b", "operator": "eq", "value": True}]},
)
# The first byte: how long the pieces are.
REQUESTS = (
    b"\x0fGET /dsp/2025-1/negotiations/urn:uuid:1?a=%20 HTTP/1.1\r\nHost: localhost\r\n"
    b"Authorization: {\"clientId\":\"a\"}\r\nRange: bytes=1-5\r\n\r\n",
    b"\x03POST /dsp/2025-1/catalog/request HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    b"Content-Length: 2\r\n\r\n{}",
    b"\x40POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nIf-Range: \"e\"\r\n\r\n"
    b"2\r\n{}\r\n0\r\n\r\n",
    b"\x07GET /data/1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer abc\r\nRange: bytes=-9\r\n"
    b"If-Match: \"x\", \"y\"\r\nExpect: 100-continue\r\n\r\n",
)
SIGNED_MESSAGE = (
    b"Content-Digest: sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:\n"
    b"Tally-Agreement: sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:\n"
    b"Tally-Contract-Chain: :MIIB:, :MIIC:\n"
    b"Signature-Input: tally=(\"@method\" \"content-digest\" \"tally-agreement\");"
    b"created=1800000000;keyid=\"" + b"0" * 64 + b"\";alg=\"ed25519\";nonce=\"n\";"
    b"tag=\"tally-agreement\"\nSignature: tally=:" + b"A" * 86 + b"==:\n\n{}"
)


FILTERS = (
    [{"keyword": "a", "class": "public"}, {"property": "dct:title", "value": 1}],
    [{"@type": "QuerySpec", "offset": 1, "limit": 2, "filterExpression": [
        {"operandLeft": "id", "operator": "=", "operandRight": "urn:a"}]}],
)
LINKS = ("<?next=abc>; rel=\"next\"", "<https://a.example:8443/x>; rel=\"prev next\", </y>; rel=prev",
         "gzip;q=0.5, *;q=0")


def tokens():
    for filter in ([], [{"property": "dcat:keyword", "value": "a"}]):
        text = json.dumps({"after": "urn:a", "filter": filter}, separators=(",", ":")).encode()
        yield base64.urlsafe_b64encode(text).rstrip(b"=")


def records():
    """The inputs of tests/data/shape, behind the two bytes that dataplane_records_fuzz.cpp reads."""
    forms = {"text/csv": 0, "application/json": 1, "application/x-ndjson": 2}
    encodings = {"UTF-8": 0, "UTF-8-BOM": 3, "GB18030": 6}
    for file in sorted((ROOT / "tests/data/shape").glob("*.json")):
        case = json.loads(file.read_text(encoding="utf-8"))
        text = case.get("input", "").encode() or base64.b64decode(case.get("inputBase64", ""))
        csv = case["schema"].get("csv", {})
        choice = forms[case["mediaType"]] + encodings[csv.get("encoding", "UTF-8")]
        yield bytes([choice, 3]) + text
    for choice in (0, 9, 64):  # with the columns and the header that the target has
        yield bytes([choice, 1]) + (b"" if choice == 9 else b"a;b;n\n" if choice else b"a,b,n\n") + \
            b'1,"x\n""y",\r\n,,z\n'
    yield bytes([2, 1]) + b'{"a":"\\ud840\\udc00","n":-1.5e3,"b":null}\n{"b":true}\n'
    yield bytes([1, 1]) + b'[{"a":"}"},\n {"n":0}]\n'


def texts(target):
    if target == "dataplane_records_fuzz":
        yield from records()
        return
    if target == "aggregates_query_fuzz":
        yield from map(json.dumps, QUERIES)
        return
    if target == "catalog_filter_fuzz":
        yield from map(json.dumps, FILTERS)
        yield from tokens()
        return
    if target == "core_page_fuzz":
        yield from LINKS
        yield gzip.compress(b"{}" * 100)
        return
    if target == "net_request_fuzz":
        yield from REQUESTS
        return
    if target == "identity_signature_fuzz":
        yield SIGNED_MESSAGE
        return
    if target == "audit_receipt_fuzz":
        for one in SIGNED:
            yield json.dumps(one, separators=(",", ":"))
    if target == "audit_frame_fuzz":
        yield segment()
        return
    if target == "evidence_bundle_fuzz":
        yield from bundles()
        return
    if target in MEMBERS:
        for file in sorted((ROOT / "tests/data/odrl").rglob("*.json")):
            case = json.loads(file.read_text(encoding="utf-8"))
            for member in MEMBERS[target]:
                found = case.get(member)
                for one in found if isinstance(found, list) else [found]:
                    if one:
                        yield json.dumps(one, ensure_ascii=False)
        return
    for file in sorted((ROOT / "tests/data" / target.split("_")[0]).rglob("*.json")):
        yield file.read_text(encoding="utf-8")


def main(target, out):
    folder = pathlib.Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for count, text in enumerate(texts(target), 1):
        seed = text if isinstance(text, bytes) else text.encode()
        (folder / f"seed-{count}").write_bytes(seed)
    print(f"{target}: {count} seeds")


main(*sys.argv[1:])
