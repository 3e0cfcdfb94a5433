#!/usr/bin/python3
"""The first day of a box: somebody without help claims it, walks through setting it up until a file came back and the papers exist, then breaks a file on the share and gets it back. In a
real browser, by keyboard alone; on a telephone and at a desk, by day and by night. Pictures of all pages stay in target/screens.
"""

import json
import re
import time
import urllib.request

from lib import trees
from lib.appliance import Appliance
from lib.box import until
from lib.browser import Browser, Tab
from lib.checks import Checks, need_root
from lib.program import ROOT
from lib.servers import Samba
from lib.telephone import Telephone

need_root("first-day")
checks = Checks("first-day")
SCREENS = ROOT / "target/screens/first-day"
PASSWORD = "vier Worte und ein Haus"
BROKEN = b"not what the doctor wrote\n"
# A paper: three rows of words.
STEPS = 60


def main():
    server = Samba(checks.scratch / "samba")
    trees.plain(server.share / "patients", 150, 20_000, seed=21)
    trees.put(server.share / "patients/letter.txt", b"what the doctor wrote\n")
    server.give()
    for width, dark in ((1440, False), (360, True), (360, False), (1440, True)):
        look = f"{width}-{'dark' if dark else 'light'}"
        with checks.part(f"{width} px, {'dark' if dark else 'light'}"):
            box = Appliance(checks.scratch / look, "--unclaimed", "--console", "127.0.0.1:0")
            day = Day(box, server, width, dark, look)
            try:
                day.begins()
                day.sets_up()
                day.breaks_and_restores()
                day.ends()
            finally:
                day.browser.stop()
                box.stop()
    checks.finish()


class Day:
    """One person, one box, one screen."""

    def __init__(self, box, server, width, dark, look):
        self.box, self.server, self.width, self.look = box, server, width, look
        self.base = box.ready["console"]["url"]
        self.browser = Browser()
        self.tab = self.browser.tab
        self.tab.shape(width, dark=dark)
        self.seen_pages, self.titles = set(), set()
        self.began = time.monotonic()

    def seen(self, name):
        """Each page, the first time: it fits, it is small, it has no serious fault, it is kept as a picture."""
        self.titles.add((self.tab.title, self.tab.js("location.href")))
        if name in self.seen_pages:
            return
        self.seen_pages.add(name)
        faults, over, size = self.tab.axe(), self.tab.overflow(), self.tab.page_bytes()
        self.tab.screenshot(SCREENS / self.look / f"{len(self.seen_pages):02}-{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')}.png")
        checks.check(f"{name}: no serious fault, fits, is small", not faults and over <= 0 and size <= 100_000, (faults, over, size))

    def code(self, of):
        """Where one is asked for, in the form whose action ends so."""
        if not self.tab.js(f"!!document.querySelector('main form[action$=\"{of}\"]')"):
            raise RuntimeError(f"no form for {of} at {self.tab.path}\n{self.tab.text()[:600]}")
        if self.tab.js(f"!!document.querySelector('main form[action$=\"{of}\"] input[name=code]')"):
            self.tab.fill("New code from your authenticator", self.telephone.code())

    def begins(self):
        tab = self.tab
        tab.go(self.base + "/")
        if tab.path != "/claim":
            tab.activate("Claim this box")
        self.seen("claim")
        tab.fill("Claim code", self.box.ready["claim_code"])
        tab.fill("Name", "Ann")
        tab.fill("New password", PASSWORD)
        tab.fill("The same again", PASSWORD)
        tab.activate("Go on", exact=True)
        url = re.search(r"otpauth://\S+", tab.js("document.body.textContent"))
        checks.check("a box without an owner is claimed with the code of its screen", bool(url), tab.text()[:600])
        self.seen("authenticator")
        self.telephone = Telephone(url[0])
        tab.activate("Sign in", exact=True)
        tab.fill("Name", "Ann")
        tab.fill("Password", PASSWORD)
        tab.fill("Code", self.telephone.code())
        tab.activate("Sign in", exact=True)
        checks.check("who signs in first is led to setting up", tab.path.startswith("/setup"), tab.path)

    def sets_up(self):
        tab = self.tab
        for _ in range(STEPS):
            heading = tab.heading()
            step = {"Set up this box": self.overview, "Network and time": self.on, "Disks": self.on, "What is backed up": self.share, "First backup": self.backup, "First restore": self.restore, "Papers": self.papers,
                    "Second box": self.peer}.get(heading)
            if step is None:
                raise RuntimeError(f"a page that does not belong here: {heading!r} at {tab.path}\n{tab.text()[:600]}")
            self.seen(heading)
            if step() == "over":
                checks.check(f"the box is set up ({time.monotonic() - self.began:.0f} s)", True)
                return
        raise RuntimeError("setting up does not end")

    def overview(self):
        if "This box is set up" in self.tab.text():
            return "over"
        self.tab.activate("Go on")
        return None

    def on(self):
        self.tab.activate("Next", exact=True)

    def peer(self):
        self.tab.activate("Go on")

    def share(self):
        tab = self.tab
        if tab.js("[...document.querySelectorAll('a')].some((a) => a.textContent.trim() === 'Next')"):
            return self.on()
        tab.activate("Add a share")
        self.seen("add a share")
        tab.fill("What do you call it?", "EHR")
        tab.fill("Server", f"127.0.0.1:{self.server.port}")
        tab.fill("Share on that server", "share")
        tab.fill("Account", self.server.reader)
        tab.fill("Password of that account", read(self.server.reader_password))
        tab.choose_of("Tier 1")
        tab.activate("Add this share")
        if not tab.path.startswith("/setup"):
            self.seen("the share")
            tab.go(self.base + "/setup/share")
        return None

    def backup(self):
        came = self.tab.until("[...document.querySelectorAll('a')].some((a) => a.textContent.trim() === 'Next')", 600)
        checks.check("the first backup is done", came, self.tab.text()[:600])
        self.on()

    def restore(self):
        tab = self.tab
        got = tab.download("Get this file")
        whole = got and any(path.read_bytes() == got.read_bytes() for path in self.server.share.rglob(got.name) if path.is_file())
        checks.check("a file comes back as it is on the share", whole, got)
        tab.activate("The file is right")
        came = tab.until("[...document.querySelectorAll('main a')].some((a) => a.textContent.trim() === 'Next')", 600)
        checks.check("and a sample of all copies is proven", came, tab.text()[:900])
        self.seen("first restore, done")
        self.on()

    def papers(self):
        tab = self.tab
        number = tab.js("document.querySelector('input[name=paper]')?.value || ''")
        if not number:
            checks.check("all three papers are confirmed", "All three papers exist" in tab.text(), tab.text()[:600])
            return self.on()
        tab.fill("Who will keep it?", f"Keeper {number}")
        self.code("/print")
        paper = self.printed()
        tab.go(self.base + "/setup/kit")
        self.seen("type six words")
        places = tab.js("[...document.querySelectorAll('.words label')].map((one) => one.textContent)")
        rows = [line.split() for line in paper.splitlines() if line.strip().startswith("words-")]
        for place in places:
            row, word = map(int, re.findall(r"\d+", place))
            tab.fill(place, rows[row - 1][word])
        self.code("/confirm")
        tab.activate(f"Confirm paper {number}")
        return None

    def printed(self):
        """The paper's text, which comes in a page of its own."""
        known = self.pages()
        self.tab.tab_to("As plain text", of="button")
        self.tab.press("Enter")
        if not until(lambda: self.pages() - known, 180):
            raise RuntimeError(f"no paper came: {self.tab.text()[:400]}")
        sheet = Tab((self.pages() - known).pop(), self.tab.downloads, True)
        came = sheet.until("document.readyState === 'complete' && document.body && document.body.innerText.includes('words-')", 180)
        text = sheet.text()
        checks.check("a paper can be printed", came, text[:200])
        sheet.call("Page.close")
        return text

    def pages(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.browser.port}/json", timeout=30) as answer:
            return {page["webSocketDebuggerUrl"] for page in json.load(answer) if page["type"] == "page"}

    def breaks_and_restores(self):
        tab, letter = self.tab, self.server.share / "patients/letter.txt"
        letter.write_bytes(BROKEN)
        self.server.give(letter)
        # keyd is asked every ten seconds.
        knows = until(lambda: tab.go(self.base + "/") or "There are no papers" not in tab.text(), 240)
        checks.check("the front page knows of the papers", knows, tab.text()[:900])
        self.seen("front page")
        tab.activate("Restore", exact=True)
        self.seen("restore")
        tab.activate("Restore from EHR")
        self.seen("when")
        tab.activate("Use this copy")
        tab.activate("patients")
        self.seen("what")
        tab.choose("letter.txt")
        tab.activate("Restore what is ticked")
        self.seen("where")
        tab.fill("Account", self.server.user)
        tab.fill("Password of that account", read(self.server.password))
        tab.choose_of("Replace what is there")
        self.code("/check")
        tab.activate("Check it")
        if "needs a new code" in tab.text():
            # The last one was good for five minutes, which ended while this was typed.
            tab.fill("Password of that account", read(self.server.password))
            self.code("/check")
            tab.activate("Check it")
        came = tab.until("!!document.querySelector('form[action$=\"/begin\"]')", 300)
        checks.check("a check says what would be done", came and letter.read_bytes() == BROKEN, tab.text()[:600])
        self.seen("check before restoring")
        self.code("/begin")
        tab.activate("Restore 1 file")
        over = tab.until("document.querySelector('h1').textContent.startsWith('Receipt')", 300)
        checks.check("the file is back as it was", over and letter.read_bytes() == b"what the doctor wrote\n", (letter.read_bytes(), tab.text()[:600]))
        self.seen("receipt")
        checks.check(f"from the first page to the receipt: {time.monotonic() - self.began:.0f} s", True)

    def ends(self):
        tab = self.tab
        checks.check("no page asked anybody but the box", not tab.outside(self.base), tab.outside(self.base)[:5])
        checks.check("no page's scripts failed", not tab.faults, tab.faults)
        named = [one for one in self.titles if re.search("EHR|letter|patients", " ".join(one))]
        checks.check("no title and no address names a share or a file", not named, named)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


main()
