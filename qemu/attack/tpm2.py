"""A TPM spoken to byte by byte (TPM 2.0 Library, part 3), with nothing between: who attacks has no library that refuses. Owns the bytes of commands; what they are for is in replay.py."""

import socket
import struct
import subprocess
import time
from pathlib import Path

from lib.checks import RUNNING

SHA256, RSA, ECC, KEYED_HASH = 0x000B, 0x0001, 0x0023, 0x0008
NULL, RSASSA, ECDSA, AES, CFB, P256 = 0x0010, 0x0014, 0x0018, 0x0006, 0x0043, 0x0003
OWNER, NO_HANDLE, NO_PASSWORD = 0x40000001, 0x40000007, 0x40000009
POLICY, TRIAL = 1, 3
# Of an answer: the policy was not met.
POLICY_FAIL, VALUE = 0x99D, 0x084


class Refused(Exception):
    """The TPM's answer is no; `code` is its own."""

    def __init__(self, command, code):
        super().__init__(f"{command}: {code:#x}")
        self.command, self.code = command, code

    @property
    def policy(self):
        """Whether a policy that was not met is why, of whichever session or parameter."""
        return self.code in (POLICY_FAIL, 0x126) or self.code & 0x0BF == VALUE and self.command == "PolicyAuthorize"


def sized(content):
    return struct.pack(">H", len(content)) + content


def selection(pcrs):
    """Of the SHA-256 bank."""
    bits = sum(1 << pcr for pcr in pcrs)
    return struct.pack(">IHB", 1, SHA256, 3) + bits.to_bytes(3, "little")


class Answer:
    """Reads an answer from its beginning."""

    def __init__(self, content):
        self.content, self.at = content, 0

    def number(self, form=">I"):
        size = struct.calcsize(form)
        self.at += size
        return struct.unpack(form, self.content[self.at - size:self.at])[0]

    def take(self, size):
        self.at += size
        return self.content[self.at - size:self.at]

    def sized(self):
        return self.take(self.number(">H"))


class Tpm2:
    """`send` takes the bytes of a command and gives those of the answer."""

    def __init__(self, send):
        self.send = send

    def _run(self, name, code, handles=(), content=b"", session=None):
        """Runs a command. `session`: what authorizes it; `NO_PASSWORD` is an empty one."""
        body = b"".join(struct.pack(">I", handle) for handle in handles)
        if session is not None:
            # A policy that asks for no password needs no proof of one.
            words = struct.pack(">IHBH", session, 0, 0 if session == NO_PASSWORD else 1, 0)
            body += struct.pack(">I", len(words)) + words
        body += content
        answer = self.send(struct.pack(">HII", 0x8001 if session is None else 0x8002, 10 + len(body), code) + body)
        if len(answer) < 10:
            raise RuntimeError(f"{name}: the TPM says nothing: {answer!r}")
        status = struct.unpack_from(">I", answer, 6)[0]
        if status:
            raise Refused(name, status)
        return Answer(answer[10:])

    # PCRs

    def extend(self, pcr, digest):
        self._run("PCR_Extend", 0x182, [pcr], struct.pack(">IH", 1, SHA256) + digest, NO_PASSWORD)

    def read(self, pcr):
        answer = self._run("PCR_Read", 0x17E, content=selection([pcr]))
        answer.take(4 + 4 + 2 + 1 + 3 + 4)
        return answer.sized()

    # Objects

    def storage_root_key(self):
        """That of TCG's "TPM v2.0 Provisioning Guidance" (7.5.1), as systemd and keyd make it; the same each time."""
        template = struct.pack(">HHIH", ECC, SHA256, 0x30472, 0) + struct.pack(">HHHHHH", AES, 128, CFB, NULL, P256, NULL) + sized(bytes(32)) * 2
        answer = self._run("CreatePrimary", 0x131, [OWNER], sized(struct.pack(">HH", 0, 0)) + sized(template) + struct.pack(">HI", 0, 0), NO_PASSWORD)
        return answer.number()

    def load(self, parent, private, public):
        return self._run("Load", 0x157, [parent], sized(private) + sized(public), NO_PASSWORD).number()

    def load_public(self, public):
        """A public key of anybody's: its handle and its Name."""
        answer = self._run("LoadExternal", 0x167, content=struct.pack(">H", 0) + sized(public) + struct.pack(">I", OWNER))
        return answer.number(), answer.sized()

    def seal(self, parent, secret, policy):
        """A blob of one's own under a policy: private and public part."""
        public = struct.pack(">HHI", KEYED_HASH, SHA256, 0x412) + sized(policy) + struct.pack(">H", NULL) + sized(b"")
        content = sized(sized(b"") + sized(secret)) + sized(public) + struct.pack(">HI", 0, 0)
        answer = self._run("Create", 0x153, [parent], content, NO_PASSWORD)
        answer.number()
        return answer.sized(), answer.sized()

    def unseal(self, handle, session):
        answer = self._run("Unseal", 0x15E, [handle], session=session)
        answer.number()
        return answer.sized()

    def forget(self, handle):
        self._run("FlushContext", 0x165, content=struct.pack(">I", handle))

    # Policies

    def session(self, kind):
        content = sized(bytes(16)) + sized(b"") + struct.pack(">BHH", kind, NULL, SHA256)
        return self._run("StartAuthSession", 0x176, [NO_HANDLE, NO_HANDLE], content).number()

    def policy_pcr(self, session, pcrs):
        self._run("PolicyPCR", 0x17F, [session], sized(b"") + selection(pcrs))

    def verify(self, key, digest, signature):
        """A ticket, when the signature is the key's."""
        return self._run("VerifySignature", 0x177, [key], sized(digest) + signature).content

    def policy_authorize(self, session, policy, reference, name, ticket):
        self._run("PolicyAuthorize", 0x16A, [session], sized(policy) + sized(reference) + sized(name) + ticket)

    def policy_digest(self, session):
        return self._run("PolicyGetDigest", 0x189, [session]).sized()


def rsa_key(modulus):
    """A public key as systemd describes one to the TPM; its Name is made of this."""
    return struct.pack(">HHIHHHHI", RSA, SHA256, 0x60040, 0, NULL, NULL, len(modulus) * 8, 65537) + sized(modulus)


def p256_key(x, y):
    """A public key for ECDSA as keyd describes one."""
    return struct.pack(">HHIHHHHHH", ECC, SHA256, 0x40040, 0, NULL, ECDSA, SHA256, P256, NULL) + sized(x) + sized(y)


def rsa_signature(signature):
    return struct.pack(">HH", RSASSA, SHA256) + sized(signature)


def p256_signature(r, s):
    return struct.pack(">HH", ECDSA, SHA256) + sized(r) + sized(s)


def inside(machine):
    """The TPM of a machine that somebody is root on."""
    def send(command):
        script = f"exec 3<>/dev/tpm0 || exit 1; echo {command.hex()} | xxd -r -p | dd bs=4096 count=1 iflag=fullblock >&3 2>/dev/null; dd bs=4096 count=1 <&3 2>/dev/null | xxd -p"
        return bytes.fromhex("".join(machine.sh(script).output.split()))

    return Tpm2(send)


class Bare:
    """A chip outside its machine, in the hands of who has it: no firmware measures anything but its holder."""

    def __init__(self, chip):
        folder = Path(chip.folder)
        path = folder / "bare"
        path.unlink(missing_ok=True)
        words = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={folder}", "--server", f"type=unixio,path={path}", "--flags", "not-need-init,startup-clear", "--terminate"]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        RUNNING.append(self.off)
        end = time.monotonic() + 60
        while not path.exists():
            if time.monotonic() > end or self.process.poll() is not None:
                raise RuntimeError("swtpm does not start")
            time.sleep(0.02)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(str(path))
        self.tpm = Tpm2(self._send)

    def _send(self, command):
        self.socket.sendall(command)
        answer = self.socket.recv(4096)
        while len(answer) >= 6 and len(answer) < struct.unpack_from(">I", answer, 2)[0]:
            answer += self.socket.recv(4096)
        return answer

    def off(self):
        self.socket.close()
        self.process.kill()
        self.process.wait()
