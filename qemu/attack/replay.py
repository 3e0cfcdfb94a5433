"""Attack 1 of the threat model: whoever holds the box extends PCR 11 with what the image is known to extend, brings the public signatures, and asks the TPM for the keys. Owns what is sealed, what was
signed, and the steps between; whether it works is the TPM's to say.
"""

import base64
import hashlib
import struct
from dataclasses import dataclass

from . import tpm2, uki
from .tpm2 import Refused

# How far the image's start is when each of them opens.
STATE_PHASES = ["enter-initrd"]
VAULT_PHASES = ["enter-initrd", "leave-initrd", "sysinit"]
# What else both are sealed to: Secure Boot; what was added to the image, which is nothing.
SEALED_TO = (7, 12, 13)


@dataclass
class Approval:
    """One signed policy: what it approves, and with whose key."""

    policy: bytes
    reference: bytes
    key: bytes
    signature: bytes

    @property
    def digest(self):
        return hashlib.sha256(self.policy + self.reference).digest()


@dataclass
class Sealed:
    """What the TPM made, and which PCRs it wants to see after the approval of PCR 11."""

    private: bytes
    public: bytes
    pcrs: tuple = SEALED_TO
    # The key that it hangs on, where that one stays in the TPM; else the storage root key is made anew, as keyd does.
    parent: int = 0


def state_key(token):
    """Of a LUKS2 token by systemd, as it stands in the header of the partition."""
    blob = token["tpm2-blob"]
    blob = base64.b64decode(blob if isinstance(blob, str) else blob[0])
    private = struct.unpack_from(">H", blob)[0]
    public = struct.unpack_from(">H", blob, 2 + private)[0]
    # systemd keeps its storage root key in the TPM, and its handle in the token.
    parent = struct.unpack_from(">I", base64.b64decode(token["tpm2_srk"]))[0]
    return Sealed(blob[2:2 + private], blob[4 + private:4 + private + public], parent=parent)


def vault_key(document):
    """Of keyd's sealed.json, which nobody but a box that is open can read."""
    blob = document["content"]["blobs"][0]
    return Sealed(bytes.fromhex(blob["private"]), bytes.fromhex(blob["public"]))


def state_approvals(image):
    """What systemd's part of the section .pcrsig approves."""
    key = tpm2.rsa_key(modulus(image.section(".pcrpkey")))
    return [Approval(bytes.fromhex(one["pol"]), b"", key, tpm2.rsa_signature(base64.b64decode(one["sig"]))) for one in image.signatures()["sha256"]]


def vault_approvals(image):
    """What keyd's part of it approves, of each epoch."""
    found = []
    for document in image.signatures()["keepwell"]:
        point = bytes.fromhex(document["authority"])
        reference = hashlib.sha256(b"keepwell pcr policy" + struct.pack("<I", document["epoch"])).digest()
        for one in document["policies"]:
            signature = bytes.fromhex(one["signature"])
            found.append(Approval(bytes.fromhex(one["policy"]), reference, tpm2.p256_key(point[1:33], point[33:]), tpm2.p256_signature(signature[:32], signature[32:])))
    return found


def modulus(pem):
    """Of an RSA public key (RFC 5280, SubjectPublicKeyInfo): the longest number in it."""
    text = pem.rstrip(b"\0").decode()
    der = base64.b64decode("".join(line for line in text.splitlines() if not line.startswith("-")))
    # 256 or 512 bytes, behind a zero that says it is positive.
    for size in (256, 384, 512):
        at = der.find(b"\x02\x82" + struct.pack(">H", size + 1) + b"\0")
        if at > 0:
            return der[at + 5:at + 5 + size]
    raise ValueError("no RSA key of a known size")


def approve(tpm, session, approval):
    """The first half of the policy: PCR 11 is one that was signed."""
    tpm.policy_pcr(session, [11])
    key, name = tpm.load_public(approval.key)
    try:
        ticket = tpm.verify(key, approval.digest, approval.signature)
    finally:
        tpm.forget(key)
    tpm.policy_authorize(session, approval.policy, approval.reference, name, ticket)


def unseal(tpm, sealed, approvals):
    """What was sealed, with whichever approval fits; else the last refusal is raised."""
    refused = None
    for approval in approvals:
        session = tpm.session(tpm2.POLICY)
        parent = loaded = None
        try:
            approve(tpm, session, approval)
            if sealed.pcrs:
                tpm.policy_pcr(session, sealed.pcrs)
            if not sealed.parent:
                parent = tpm.storage_root_key()
            loaded = tpm.load(sealed.parent or parent, sealed.private, sealed.public)
            return tpm.unseal(loaded, session)
        except Refused as error:
            refused = error
        finally:
            for handle in (loaded, parent, session):
                if handle is not None:
                    tpm.forget(handle)
    raise refused


def seal_alike(tpm, secret, approval, pcrs):
    """The attacker's own secret, sealed in the same way as the box's, but to other PCRs: what shows that the steps above are the right ones. PCR 11 has to be approved already."""
    session = tpm.session(tpm2.TRIAL)
    parent = None
    try:
        approve(tpm, session, approval)
        if pcrs:
            tpm.policy_pcr(session, pcrs)
        policy = tpm.policy_digest(session)
        parent = tpm.storage_root_key()
        return Sealed(*tpm.seal(parent, secret, policy), pcrs)
    finally:
        for handle in (parent, session):
            if handle is not None:
                tpm.forget(handle)


def value(image, phases):
    """PCR 11 of the image as far as those phases."""
    return uki.extended(image.measurements(phases))


def replay(tpm, image, phases, done=()):
    """Writes into PCR 11 what the image would, as far as those phases; `done` were written before. Whether the TPM has the image's value then."""
    wanted = image.measurements(phases)
    for digest in wanted[len(image.measurements(done)) if done else 0:]:
        tpm.extend(11, digest)
    return tpm.read(11) == value(image, phases)
