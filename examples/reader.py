"""Reads data that a connector holds: lists what this application may read, and reads one agreement.

    TALLY_APP_TOKEN=… python3 reader.py http://127.0.0.1:8481 [AGREEMENT FILE]

A read that is cut off goes on where it stopped and counts once: the same Idempotency-Key, and If-Range
with what the data was called. A refusal says why, and until when."""
import json
import os
import sys
import urllib.error
import urllib.request
import uuid


class Refused(Exception):
    """By the policy: asking again changes nothing, or not before `until`."""


def ask(base, path, headers=None):
    fields = dict(headers or {}, Authorization="Bearer " + os.environ["TALLY_APP_TOKEN"])
    try:
        return urllib.request.urlopen(urllib.request.Request(base + path, headers=fields), timeout=60)
    except urllib.error.HTTPError as answer:
        problem = json.load(answer)
        known = ["%s: %s" % (name, problem[name])
                 for name in ("used", "limit", "until") if name in problem]
        raise Refused(" ".join([problem["code"] + ":", problem["detail"]] + known)) from None


def may_read(base):
    return json.load(ask(base, "/api/v1/my-agreements"))["items"]


def read(base, agreement, file, attempts=5):
    """Writes all of it to `file`, which is open for writing. Returns the answer's headers."""
    key, etag, have = str(uuid.uuid4()), None, 0
    for attempt in range(attempts):
        headers = {"Idempotency-Key": key}
        if etag:
            headers.update({"Range": "bytes=%d-" % have, "If-Range": etag})
        try:
            with ask(base, "/api/v1/data/" + agreement, headers) as answer:
                etag = answer.headers["ETag"]
                whole = have + int(answer.headers["Content-Length"])
                while piece := answer.read(1 << 16):
                    file.write(piece)
                    have += len(piece)
                if have == whole:
                    return answer.headers
        except (OSError, urllib.error.URLError):
            if attempt + 1 == attempts:
                raise
    raise OSError("cut off %d times" % attempts)


def main(base, agreement=None, out=None):
    for item in may_read(base):
        print(item["agreement"], item["asset"], item["state"],
              "left: %s" % item.get("remainingUses", "no limit"),
              "until: %s" % item.get("validUntil", "no end"),
              "held" if item["held"] else "not held")
    if agreement:
        with open(out, "wb") as file:
            headers = read(base, agreement, file)
        print("read %s as use %s, left: %s" % (
            agreement, headers["Tally-Use"], headers.get("Tally-Remaining-Uses", "no limit")))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Refused as why:
        sys.exit(str(why))
