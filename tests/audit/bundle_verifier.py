#!/usr/bin/env python3
"""A second reader of bundles, written from docs/audit-log-format.md, section 17, and not from the C++:
what verifier.py knows of notes and proofs, the `tarfile` of the standard library, and `openssl` for
signatures and chains.

bundle_verifier.py FILE [ANCHORS.pem]     exit 0 when all holds, 1 when something does not"""
import base64
import datetime
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import verifier  # noqa: E402
from verifier import Refused, require  # noqa: E402


def canonical(document):
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def read(file):
    with tarfile.open(file, "r:") as archive:
        members = archive.getmembers()
        names = [member.name for member in members]
        require(names == sorted(set(names)), "names are in order and once")
        require(all(member.isreg() for member in members), "ordinary files only")
        files = {member.name: archive.extractfile(member).read() for member in members}
    text = files.pop("manifest.json")
    manifest = json.loads(text)
    require(canonical(manifest) == text and manifest["type"] == "tally/bundle/v1", "manifest")
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    require(manifest["files"] == digests, "the manifest has these files")
    return manifest, files


def leaf(record):
    return hashlib.sha256(b"\0" + record).digest()


def check_records(manifest, files):
    """The records by number, and the note that all proofs rest on."""
    policy = verifier.parse_policy(files["policy.txt"])
    records = {int(name[8:28]): data for name, data in files.items() if name.startswith("records/")}
    notes, aseq, before = set(), 0, "0" * 64
    for seq, data in sorted(records.items()):
        record = json.loads(data)
        require(canonical(record) == data and record["seq"] == seq, "record %d" % seq)
        require(record["log"] == manifest["log"], "record %d is of this log" % seq)
        proof = files["proofs/%020d.tlog-proof" % seq]
        verifier.check_log_proof(proof, data, policy)
        require(("\nindex %d\n" % seq).encode() in proof, "proof of %d" % seq)
        notes.add(proof.split(b"\n\n", 1)[1])
        if "agreement" not in record:
            require(record["type"] in ("log.genesis", "log.heads"), "record %d is needed" % seq)
            continue
        aseq += 1
        require(record["agreement"] == manifest["agreement"], "record %d is of it" % seq)
        require((record["aseq"], record["aprev"]) == (aseq, before), "record %d in order" % seq)
        before = leaf(data).hex()
    require(len(notes) == 1, "one checkpoint")
    note, = notes
    require(int(note.split(b"\n")[1]) == manifest["size"], "size of the checkpoint")
    return {seq: json.loads(data) for seq, data in records.items()}, note


def check_heads(manifest, files, records):
    text = files["heads/agreement.heads"]
    first, record, rest = text.split(b"\n", 2)
    require(first == b"tally/shown-heads/v1", "first line of the heads")
    proof, _ = rest.split(b"\n\n", 1)
    root = bytes.fromhex(json.loads(record)["root"][7:])
    seq = json.loads(record)["seq"]
    require(files["records/%020d.json" % seq] == record, "the heads' record is in the bundle")
    head = verifier.check_heads(proof + b"\n", root, manifest["agreement"].encode())
    mine = [seq_ for seq_, one in sorted(records.items()) if "agreement" in one and seq_ < seq]
    if head is None:  # the heads were said before the first of them
        require(not mine, "none before the heads")
        return
    require(head[0] == len(mine) and head[2] == mine[-1] + 1, "these are all")


def public_key(pem):
    done = subprocess.run(["openssl", "x509", "-pubkey", "-noout"], input=pem, capture_output=True)
    require(done.returncode == 0, "certificate")
    der = base64.b64decode(b"".join(done.stdout.split(b"\n")[1:-2]))
    return der[-32:]


def check_chain(pem, archive, created, anchors):
    with tempfile.TemporaryDirectory() as folder:
        chain, lists = pathlib.Path(folder, "chain.pem"), pathlib.Path(folder, "lists.pem")
        chain.write_bytes(pem)
        lists.write_text("".join(
            "-----BEGIN X509 CRL-----\n%s\n-----END X509 CRL-----\n"
            % "\n".join(re.findall(".{1,64}", text)) for text in archive["lists"]))
        done = subprocess.run(
            ["openssl", "verify", "-partial_chain", "-CAfile", anchors, "-untrusted", chain,
             "-attime", str(created), "-crl_check", "-CRLfile", lists, chain], capture_output=True)
        require(done.returncode == 0, "chain: " + done.stderr.decode())


def check_contract(manifest, files, records, anchors):
    """The public key of each party."""
    document = files["contract/agreement.json"]
    agreement = json.loads(document)
    require(agreement["@id"] == manifest["agreement"], "agreement")
    digest = hashlib.sha256(document).digest()
    final, = [one for one in records.values() if one["type"] == "contract.finalized"]
    require(final["policy"] == "sha256:" + digest.hex(), "agreement in force")
    keys, archives = {}, {}
    for side, member in (("provider", "assigner"), ("consumer", "assignee")):
        text = files["contract/%s-signature.json" % side]
        require(final["signatures"][side] == "sha256:" + hashlib.sha256(text).hexdigest(), side)
        archive, signed = json.loads(text), files["contract/%s.signed" % side]
        require(archive["party"] == agreement[member], "signer")
        lines = dict(line.split(b": ", 1) for line in signed.split(b"\n"))
        require(lines[b'"tally-agreement"'] == b":" + base64.b64encode(digest) + b":", "signed")
        created = int(re.search(rb";created=([0-9]+)", signed)[1])
        signature = base64.b64decode(re.search("=:([^:]*):", archive["signature"])[1])
        pem = files["contract/%s.pem" % side]
        key = public_key(pem)
        require(verifier.ed25519(key, signed, signature), side + " signed")
        if anchors:
            check_chain(pem, archive, created, anchors)
        statement = base64.b64decode(archive["keyStatement"]["statement"])
        require(verifier.ed25519(
            key, statement, base64.b64decode(archive["keyStatement"]["signature"])), "statement")
        keys[archive["party"]], archives[archive["party"]] = key, json.loads(statement)
    owner = records[0]["actor"]["uri"]
    require(archives[owner]["logOrigin"] == manifest["log"], "the owner's log")
    require(archives[owner]["firstLogVkey"] == records[0]["vkey"], "the owner's log key")
    return owner, keys


def check_receipts(files, records, owner, keys):
    other, = [party for party in keys if party != owner]
    for seq, record in records.items():
        if "receipt" not in record:
            continue
        note = files["receipts/%s.note" % record["receipt"][7:]]
        require(hashlib.sha256(note).hexdigest() == record["receipt"][7:], "receipt of %d" % seq)
        by = owner if record["type"] == "receipt.issued" else other
        text, lines = note.rsplit(b"\n\n", 1)
        signature = base64.b64decode(lines.split()[2])[4:]
        require(verifier.ed25519(keys[by], text + b"\n", signature), "receipt of %d is signed" % seq)
        said = json.loads(text.split(b"\n")[1])
        require(said["agreement"] == record["agreement"], "receipt of %d" % seq)


NAMING = {"duty.confirmed", "duty.rejected", "duty.withdrawn", "inform.held", "inform.issued",
          "statement.held", "statement.issued"}


def check_notes(files, records, owner, keys):
    """How many records have their note here."""
    other, = [party for party in keys if party != owner]
    provider = json.loads(files["contract/agreement.json"])["assigner"]
    here = set()
    for seq, record in records.items():
        if record["type"] not in NAMING or "content" not in record:
            continue
        by = owner if record["type"].endswith(".issued") else other
        if record["type"].startswith("duty."):
            by = provider
        name = "notes/%s.note" % record["content"][7:]
        note = files[name]
        require(hashlib.sha256(note).hexdigest() == record["content"][7:], "note of %d" % seq)
        text, lines = note.rsplit(b"\n\n", 1)
        signature = base64.b64decode(lines.split()[2])[4:]
        require(verifier.ed25519(keys[by], text + b"\n", signature), "note of %d is signed" % seq)
        said = json.loads(text.split(b"\n")[1])
        require(said["agreement"] == record["agreement"], "note of %d" % seq)
        if "sums" in record:
            require(said["sums"] == record["sums"], "sums of %d" % seq)
        if "rule" in record:
            require(said["duty"] == record["rule"], "duty of %d" % seq)
        here.add(name)
    require({name for name in files if name.startswith("notes/")} == here, "no other notes")
    return len(here)


def check(file, anchors=None):
    manifest, files = read(file)
    records, _ = check_records(manifest, files)
    check_heads(manifest, files, records)
    owner, keys = check_contract(manifest, files, records, anchors)
    check_receipts(files, records, owner, keys)
    check_notes(files, records, owner, keys)
    return len(records)


if __name__ == "__main__":
    try:
        print("%d records hold" % check(*sys.argv[1:]))
    except (Refused, KeyError, ValueError, TypeError, AttributeError, tarfile.TarError) as why:
        print("refused: %r" % why)
        sys.exit(1)
