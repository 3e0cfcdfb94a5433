"""People of a box, made as its owner makes them, each with a password and an authenticator. Owns no checks."""

import base64
import hashlib
import json
import os
from urllib.parse import quote

from .asking import ask
from .telephone import Telephone

PASSWORD = "a long password of theirs"
ROLES = ("owner", "operator", "restore-only", "auditor", "technician", "security")


def secret(text):
    return base64.b64encode(text.encode()).decode()


class People:
    """Whoever uses a box. `session(name)` is what a console has of somebody who is signed in."""

    def __init__(self, box):
        self.box = box
        owner = box.ready["owner"]
        with open(owner["totp_file"], encoding="utf-8") as file:
            telephone = Telephone(file.read().strip(), used=True)
        # The code that the commands showed last may be one step ahead.
        if os.path.exists(owner["session_file"]):
            with open(owner["session_file"], encoding="utf-8") as file:
                telephone.last = max(telephone.last, json.load(file).get("period", 0))
        self.telephones = {owner["user"]: telephone}
        with open(owner["password_file"], encoding="utf-8") as file:
            self.passwords = {owner["user"]: file.read().strip()}
        self.owner = owner["user"]
        self.sessions = {}

    def authd(self, route, body):
        return ask(self.box.folder / "run/authd.sock", "POST", quote(route), body)

    def add(self, name, role, shares=()):
        """With a set-up code, as a new user gets one."""
        order = {"session": self.session(self.owner), "name": name, "role": role, "shares": list(shares)}
        added = self.authd("/v1/users", order)
        if added.code == "step-up":
            added = self.authd("/v1/users", {**order, "code": self.telephones[self.owner].code()})
        if added.status != 200:
            raise RuntimeError(f"{name} is not added: {added}")
        enrolled = self.authd(f"/v1/users/{name}/enrol", {"code": added.report["code"], "password": secret(PASSWORD)})
        if enrolled.status != 200:
            raise RuntimeError(f"{name} is not enrolled: {enrolled}")
        self.telephones[name] = Telephone(base64.b64decode(enrolled.report["otpauth"]).decode())
        self.passwords[name] = PASSWORD
        return name

    def session(self, name):
        if name not in self.sessions:
            proofs = {"user": name, "password": secret(self.passwords[name]), "code": self.telephones[name].code()}
            answer = self.authd("/v1/sign-in", proofs)
            if answer.status != 200:
                raise RuntimeError(f"{name} is not signed in: {answer}")
            self.sessions[name] = answer.report["session"]
        return self.sessions[name]

    def grant(self, name, verb, body, **more):
        """What authd says to a request for a grant for these bytes."""
        order = {"session": self.session(name), "verb": verb, "arguments": hashlib.sha256(body).hexdigest(), **more}
        return self.authd("/v1/grants", order)

    def act(self, name, verb, route, body, code=False):
        """At vaultd's socket, with a fresh grant."""
        content = json.dumps(body).encode()
        more = {"code": self.telephones[name].code()} if code else {}
        grant = self.grant(name, verb, content, **more)
        if grant.status != 200:
            return grant
        return self.vaultd(route, content, grant.report["grant"])

    def vaultd(self, route, content, grant=None):
        headers = {"keepwell-grant": grant} if grant else {}
        return ask(self.box.folder / "run/vaultd.sock", "POST", route, content, headers=headers)
