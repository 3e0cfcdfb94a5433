"""A person's authenticator: six-digit codes of RFC 6238, each of which works once. Owns no checks."""

import base64
import hashlib
import hmac
import struct
import time
from urllib.parse import parse_qs, urlsplit

STEP_S = 30
# A machine whose clock is set by whole seconds is up to so many behind this one.
BEHIND_S = 3


def code_at(seed, step):
    digest = hmac.new(seed, struct.pack(">Q", step), hashlib.sha1).digest()
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at:at + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


class Telephone:
    """Shows codes for one seed: an otpauth address (or a file with one), or what a page shows to be typed."""

    def __init__(self, seed, used=False):
        """`used`: somebody else has just shown a code of it."""
        if seed.startswith("otpauth:"):
            seed = parse_qs(urlsplit(seed).query)["secret"][0]
        text = seed.replace(" ", "").upper()
        self.seed = base64.b32decode(text + "=" * (-len(text) % 8))
        self.last = int(time.time()) // STEP_S if used else 0

    def code(self):
        """A code that was not shown before; waits for the next one where it has to."""
        # authd takes the code of a neighbouring step, so one step ahead spares half of the waits.
        now = int(time.time()) // STEP_S
        step = now if now > self.last else self.last + 1
        while step > int(time.time() - BEHIND_S) // STEP_S + 1:
            time.sleep(0.2)
        self.last = step
        return code_at(self.seed, step)
