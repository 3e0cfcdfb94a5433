#!/usr/bin/python3
"""A real browser with an authenticator: a passkey is made on the account page, stands in for the code at the door, and signs what is dangerous itself; one that is copied, and one that answers
for another page, proves nothing. And a certificate of the practice's own, over TLS."""

import base64
import hashlib
import json
import socket
import ssl
import subprocess
import time
from urllib.parse import urlsplit

from lib.appliance import Appliance
from lib.box import until
from lib.browser import Browser
from lib.checks import Checks, need_root
from lib.people import People
from lib.program import ROOT
from lib.web import Web

need_root("passkeys")
checks = Checks("passkeys")
# Waits for what is bound to come; what happens at authd is taken into the log once a minute.
LONG = 180
SCREENS = ROOT / "target/screens/passkeys"


class Authenticator:
    """One in the browser, that verifies its user without asking."""

    def __init__(self, tab):
        self.tab = tab
        tab.call("WebAuthn.enable")
        options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True}
        self.id = tab.call("WebAuthn.addVirtualAuthenticator", options=options)["authenticatorId"]

    def keys(self):
        return self.tab.call("WebAuthn.getCredentials", authenticatorId=self.id)["credentials"]

    def count_from(self, count):
        """As a copy of it that was used less, or more."""
        for key in self.keys():
            self.tab.call("WebAuthn.removeCredential", authenticatorId=self.id, credentialId=key["credentialId"])
            self.tab.call("WebAuthn.addCredential", authenticatorId=self.id, credential={**key, "signCount": count})


def main():
    box = Appliance(checks.scratch / "box", "--console", "127.0.0.1:0")
    people = People(box)
    people.add("the operator", "operator")
    port = urlsplit(box.ready["console"]["url"]).port
    origin = f"https://localhost:{port}"
    browser = Browser()
    try:
        tab = browser.tab
        tab.shape(1440)
        authenticator = Authenticator(tab)
        for title, part in (("a passkey is made", made), ("at the door", door), ("what is dangerous is signed itself", signed), ("a copy of the authenticator", copied), ("another page", elsewhere)):
            with checks.part(title):
                part(box, people, tab, authenticator, origin)
        checks.check("no page had an error", not tab.faults, tab.faults)
    finally:
        browser.stop()
    with checks.part("a certificate of the practice's own"):
        certificate(box, people, port)
    checks.finish()


def events(box, word):
    """The fields of what the ledger has of this word, oldest first."""
    # Reading is recorded too, so not too often.
    time.sleep(1)
    records = box("log", "--limit", 1000).report.get("records", [])
    told = [dict(record["fields"]) for record in records]
    return [fields for fields in told if fields.get("code") == word]


def fill_door(people, tab, origin, code):
    tab.go(origin + "/sign-in")
    tab.fill("Name", people.owner)
    tab.fill("Password", people.passwords[people.owner])
    if code:
        tab.fill("Code", code)


def enter(people, tab, origin, code):
    """Signs in, with a code or with the passkey; whether it led in."""
    fill_door(people, tab, origin, code)
    if code:
        tab.activate("Sign in", exact=True)
    else:
        # A request of the page's own goes before the page that comes.
        press(tab, "Sign in")
    return tab.path != "/sign-in"


def press(tab, name):
    """Presses a button, and waits for the page that comes of it."""
    before = tab.loaded
    tab.tab_to(name, of="button", exact=True)
    tab.press("Enter")
    tab.settled(before)


def leave(tab):
    press(tab, "Sign out")


def made(box, people, tab, authenticator, origin):
    checks.check("the owner signs in with a code, as before", enter(people, tab, origin, people.telephones[people.owner].code()), tab.text())
    tab.go(origin + "/account")
    tab.tab_to("Add a passkey", of="summary")
    tab.press("Enter")
    tab.fill("What is it called?", " on this computer")
    # The last form of the page that asks for both.
    tab.tab_to("Password", of="#f-password3")
    tab.type(people.passwords[people.owner])
    tab.tab_to("New code", of="#f-code5")
    tab.type(people.telephones[people.owner].code())
    press(tab, "Go on")
    checks.check("password and code come first, then the browser's own step", tab.heading() == "New passkey", tab.text())
    press(tab, "Make the passkey")
    known = box.get("authd", "/v1/users")["users"]
    mine = next(user for user in known if user["name"] == people.owner)["passkeys"]
    checks.check("the box knows it, for this name alone", len(mine) == 1 and mine[0]["host"] == "localhost" and len(authenticator.keys()) == 1, (known, tab.text()))
    checks.check("the page lists it", tab.path == "/account" and mine and mine[0]["name"] in tab.text(), tab.text())
    checks.check("axe finds nothing", not tab.axe(), tab.axe())
    tab.screenshot(SCREENS / "account.png")


def door(box, people, tab, authenticator, origin):
    leave(tab)
    checks.check("a passkey stands in for the code", enter(people, tab, origin, None), tab.text())
    leave(tab)
    tab.go(origin + "/sign-in")
    tab.fill("Name", people.owner)
    tab.fill("Password", "a wrong password")
    press(tab, "Sign in")
    checks.check("but not for the password", tab.path == "/sign-in" and "not right" in tab.text(), tab.text())
    by_address = Web(box.ready["console"]["url"])
    page = by_address.get("/sign-in").text
    checks.check("nobody is offered one at a bare address", "data-passkey" not in page and "passkey-" not in page)
    checks.check("who has no script goes in with a code", by_address.sign_in(people.owner, people.passwords[people.owner], people.telephones[people.owner].code()).status == 303)


def state(box, name):
    return next(user for user in box.get("authd", "/v1/users")["users"] if user["name"] == name)["state"]["kind"]


def signed(box, people, tab, authenticator, origin):
    checks.check("signed in again", enter(people, tab, origin, None), tab.text())
    tab.go(origin + "/people")
    # What the keyboard does is another scenario's: here the form itself matters.
    tab.js("""[...document.querySelectorAll("form[action='/people/disable']")].find((form) => form.elements.name.value === "the operator").requestSubmit(); 0""")
    asked = tab.until("!!document.querySelector('dialog[open]')", LONG)
    words = tab.js("document.querySelector('dialog')?.innerText || ''")
    tab.screenshot(SCREENS / "signed.png", whole=False)
    checks.check("before the device is asked, the page says what is signed", asked and "change people" in words, words or tab.text())
    tab.js("[...document.querySelectorAll('dialog button')].find((one) => one.textContent === 'Cancel').click(); 0")
    checks.check("who cancels has done nothing", tab.until("!document.querySelector('dialog')", LONG) and state(box, "the operator") == "active")
    tab.js("""[...document.querySelectorAll("form[action='/people/disable']")].find((form) => form.elements.name.value === "the operator").requestSubmit(); 0""")
    tab.until("!!document.querySelector('dialog[open]')", LONG)
    before = tab.loaded
    tab.js("[...document.querySelectorAll('dialog button')].find((one) => one.textContent === 'Sign with passkey').click(); 0")
    tab.settled(before)
    checks.check("who signs has done it", state(box, "the operator") == "disabled", tab.text())
    proven = lambda: [one for one in events(box, "proven-again") if one.get("factor") == "passkey"]
    checks.check("the log has that a passkey signed it", until(lambda: proven(), LONG) and len(proven()[0].get("arguments", "")) == 64, events(box, "proven-again"))
    tab.go(origin + "/people")
    again = tab.js("document.querySelectorAll(\"form[action='/people/reset'] input[name=code]\").length")
    checks.check("it was for that act alone: the next one asks again", again > 0, again)


def copied(box, people, tab, authenticator, origin):
    leave(tab)
    count = authenticator.keys()[0]["signCount"]
    authenticator.count_from(0)
    checks.check("one that has counted less is refused", count > 1 and not enter(people, tab, origin, None), (count, tab.text()))
    checks.check("and the log says why", until(lambda: events(box, "passkey-copied"), LONG), box("log", "--limit", 20))
    authenticator.count_from(count + 50)
    checks.check("the one that counts on goes in", enter(people, tab, origin, None), tab.text())


ANSWER = """(async (asked) => {
  const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  try {
    const got = await navigator.credentials.get({ publicKey: { challenge: bytes(asked.challenge), rpId: asked.rp_id, userVerification: "required" } });
    const said = got.response;
    return ["passkey", text(got.rawId), text(said.authenticatorData), text(said.clientDataJSON), text(said.signature)].join(".");
  } catch (why) { return "refused: " + why.name; }
})(%s)"""


def elsewhere(box, people, tab, authenticator, origin):
    proofs = {"user": people.owner, "password": base64.b64encode(people.passwords[people.owner].encode()).decode()}
    own = origin.removeprefix("https://")

    def answered(host, rp_id=None):
        asked = json.loads(people.authd("/v1/sign-in", {**proofs, "code": "?" + host}).report["causes"][0])
        return tab.js(ANSWER % json.dumps(asked | ({"rp_id": rp_id} if rp_id else {})))

    other = people.authd("/v1/sign-in", {**proofs, "code": answered("localhost:1")})
    checks.check("an answer from a page that authd did not ask is none", other.status == 401 and other.code == "sign-in-refused", other)
    checks.check("a browser answers for no other host", answered("box.example", "box.example").startswith("refused"))
    right = answered(own)
    first, second = people.authd("/v1/sign-in", {**proofs, "code": right}), people.authd("/v1/sign-in", {**proofs, "code": right})
    checks.check("from the right page it is one, once", first.status == 200 and second.status == 401, (first, second))


def shown(port, name):
    """SHA-256 of the certificate that somebody is met with who asks for this name, or for none."""
    context = ssl._create_unverified_context()
    with socket.create_connection(("127.0.0.1", port), 60) as plain, context.wrap_socket(plain, server_hostname=name) as met:
        return hashlib.sha256(met.getpeercert(True)).hexdigest()


def certificate(box, people, port):
    folder = checks.scratch / "certificates"
    folder.mkdir()
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=practice", "-addext", "subjectAltName=DNS:localhost",
            "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", str(folder / "key.pem"), "-out", str(folder / "chain.pem")]
    subprocess.run(make, check=True, capture_output=True)
    chain, key = (folder / "chain.pem").read_text(), (folder / "key.pem").read_text()
    wanted = hashlib.sha256(ssl.PEM_cert_to_DER_cert(chain)).hexdigest()
    owner = Web.trusting(box.ready["console"]["url"])
    owner.sign_in(people.owner, people.passwords[people.owner], people.telephones[people.owner].code())
    before = shown(port, "localhost")
    code = people.telephones[people.owner].code
    page = owner.get("/settings/certificate")
    checks.check("the page is there", page.status == 200, page)
    wrong = owner.post("/settings/certificate", {"chain": chain, "secret": "no key", "code": "000000"})
    checks.check("what is no pair is refused, and the key is not given back", wrong.status == 422 and "no key" not in wrong.text and shown(port, "localhost") == before, wrong)
    owner.get("/settings/certificate")
    asked = owner.post("/settings/certificate", {"chain": chain, "secret": key})
    checks.check("it takes a code", asked.status == 303 and shown(port, "localhost") == before, asked)
    owner.get("/settings/certificate")
    done = owner.post("/settings/certificate", {"chain": chain, "secret": key, "code": code()})
    checks.check("then it is shown at once, for its name", done.status == 303 and shown(port, "localhost") == wanted, (done, owner.get("/settings/certificate")))
    checks.check("and not for another, nor for the address", before == shown(port, None) == shown(port, "elsewhere.example"))
    kept = [path for path in box.folder.rglob("uploaded.pem")]
    checks.check("its key is readable by the console alone", len(kept) == 1 and kept[0].stat().st_mode & 0o777 == 0o600, kept)
    checks.check("the log has whose it is", until(lambda: any(one.get("sha256") == wanted for one in events(box, "console-certificate")), LONG), box("log", "--limit", 20))
    owner.get("/settings/certificate")
    back = owner.post("/settings/certificate", {"what": "own", "code": code()})
    checks.check("back to the box's own: shown at once, and the key is gone", back.status == 303 and shown(port, "localhost") == before and not kept[0].exists(), back)


main()
