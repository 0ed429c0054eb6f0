"""How a call of Tally is checked, and an answer signed: Standard Webhooks, with nothing but Python."""
import base64
import hashlib
import hmac
import time


def signature(secret, id, timestamp, body):
    key = base64.b64decode(secret.strip().removeprefix("whsec_"))
    text = b"%s.%s.%s" % (id.encode(), timestamp.encode(), body)
    return "v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()


def verified(secret, headers, body, tolerance=300):
    """Whether `body` (bytes, as they came) was signed with `secret` and not long ago."""
    id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "0")
    if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > tolerance:
        return False
    wanted = signature(secret, id, timestamp, body)
    return any(hmac.compare_digest(wanted, one)
               for one in headers.get("webhook-signature", "").split())


def signed(secret, id, body):
    """The fields of an answer to the call `id`."""
    now = str(int(time.time()))
    return {"webhook-id": id, "webhook-timestamp": now,
            "webhook-signature": signature(secret, id, now, body)}
