#!/usr/bin/python3
"""What people do at the console to get files back, in a real browser, by keyboard alone: a file, an archive, a file as it was before, a name that is searched for, a restore to a share
with its check and its receipt; on a telephone, in the dark, and without JavaScript.
"""

import re
import zipfile

from lib import trees
from lib.appliance import Appliance
from lib.browser import Browser
from lib.checks import Checks, need_root
from lib.program import ROOT
from lib.servers import Samba
from lib.telephone import Telephone

need_root("restore-by-hand")
checks = Checks("restore-by-hand")
SCREENS = ROOT / "target/screens"
# Nothing but a page that shows files may say it.
LETTER = "Befund-Huber-1955.txt"


def main():
    server = Samba(checks.scratch / "samba")
    server.add("back")
    box = Appliance(checks.scratch / "box", "--console", "127.0.0.1:0")
    with checks.part("a practice with two copies"):
        practice(box, server)
    person = Person(box)
    try:
        with checks.part("by keyboard, on a desk"):
            person.shows(1440, dark=False)
            person.signs_in()
            person.downloads_a_file()
            person.downloads_an_archive()
            person.finds_what_was_deleted()
        with checks.part("by keyboard, on a telephone, in the dark"):
            person.shows(360, dark=True)
            person.restores_to_a_share(box, server)
        with checks.part("without JavaScript"):
            without_scripts(box, person.telephone)
        with checks.part("afterwards"):
            person.left_nothing(box)
    finally:
        person.browser.stop()
    checks.finish()


def practice(box, server):
    trees.plain(server.share / "archive", 260, 4_000, seed=7)
    letters = server.share / "letters"
    trees.put(letters / LETTER, b"first\n")
    trees.put(letters / "old.txt", b"old\n")
    server.give()
    added = box("shares", "add", "EHR", *account(server), "--tier", 1)
    one = box("runs", "start", "EHR", "--wait")
    trees.put(letters / LETTER, b"second, and longer\n")
    (letters / "old.txt").unlink()
    server.give()
    two = box("runs", "start", "EHR", "--wait")
    checks.check("it is backed up twice", added.status == one.status == two.status == 0, f"{added}\n{one}\n{two}")


def account(server):
    return [server.read("reader-url"), "--password-file", server.reader_password]


class Person:
    """Somebody at a browser, with the owner's proofs."""

    def __init__(self, box):
        owner = box.ready["owner"]
        self.base = box.ready["console"]["url"]
        self.user = owner["user"]
        self.password = read(owner["password_file"])
        self.telephone = Telephone(read(owner["totp_file"]), used=True)
        self.browser = Browser()
        self.tab = self.browser.tab
        self.titles = set()

    def shows(self, width, dark):
        self.width, self.look = width, f"{width}-{'dark' if dark else 'light'}"
        self.tab.shape(width, dark=dark)

    def seen(self, name):
        """Each page that is come to: it fits, it is small, it has no serious fault; and a picture of it stays."""
        self.titles.add((self.tab.title, self.tab.js("location.href")))
        faults = self.tab.axe()
        checks.check(f"{name}: axe-core finds nothing serious", not faults, faults)
        checks.check(f"{name}: fits into {self.width} px, within 100 KB", self.tab.overflow() <= 0 and self.tab.page_bytes() <= 100_000, (self.tab.overflow(), self.tab.page_bytes()))
        self.tab.screenshot(SCREENS / f"restore-by-hand/{name.replace(' ', '-')}-{self.look}.png")

    def signs_in(self):
        signs_in(self.tab, self.base, self.user, self.password, self.telephone)
        self.tab.go(self.base + "/")
        checks.check("the front page says whether one can restore", "Can I restore today?" in self.tab.heading(), self.tab.text()[:300])
        self.seen("front page")

    def begins(self):
        self.tab.go(self.base + "/")
        self.tab.activate("Restore", exact=True)
        self.tab.activate("Restore from EHR")
        self.tab.activate("Use this copy")

    def downloads_a_file(self):
        self.begins()
        self.seen("what")
        self.tab.activate("letters")
        self.tab.choose(LETTER)
        self.tab.activate("Restore what is ticked")
        self.seen("where")
        got = self.downloads("Download")
        checks.check("a file is as it was backed up", got and got.read_bytes() == b"second, and longer\n" and got.name == LETTER, got and got.read_bytes())

    def downloads(self, button):
        """With a new code where one is asked for; the file that came."""
        if self.tab.js("!!document.getElementById('f-code')"):
            self.tab.fill("New code from your authenticator", self.telephone.code())
        return self.tab.download(button)

    def downloads_an_archive(self):
        self.begins()
        self.tab.choose("archive")
        self.tab.activate("Restore what is ticked")
        got = self.downloads("Download as zip")
        with zipfile.ZipFile(got) as archive:
            sound = archive.testzip() is None
            files = [name for name in archive.namelist() if not name.endswith("/")]
        checks.check("a folder comes as a whole archive", sound and len(files) == 261, len(files))

    def finds_what_was_deleted(self):
        self.begins()
        self.tab.fill("Look for a name", "befund-HUB")
        self.tab.activate("Search")
        checks.check("a name is found whatever its case", LETTER in self.tab.text())
        self.seen("found")
        self.tab.activate("Versions")
        checks.check("all versions of a file are shown", len(self.tab.js("[...document.querySelectorAll('button')].filter((b) => b.textContent.includes('Restore this version')).map((b) => 1)")) == 2, self.tab.text()[:800])
        self.seen("versions")
        # The older one comes last.
        self.tab.tab_to("Restore this version", of="button")
        self.tab.activate("Restore this version")
        got = self.downloads("Download")
        checks.check("the older version is as it was then", got and got.read_bytes() == b"first\n", got)

    def restores_to_a_share(self, box, server):
        self.begins()
        self.tab.activate("archive")
        self.tab.activate("Restore this whole folder")
        self.tab.fill("Share on that server", "back")
        self.tab.fill("Account", server.user)
        self.tab.fill("Password of that account", read(server.password))
        self.tab.choose_of("Keep what is there")
        if self.tab.js("!!document.getElementById('f-code2')"):
            self.tab.fill("New code from your authenticator", self.telephone.code())
        before = self.tab.loaded
        self.tab.tab_to("Check it", of="button")
        self.tab.press("Enter")
        self.tab.settled(before)
        came = self.tab.until("!!document.querySelector('form[action$=\"/begin\"]')", 300)
        checks.check("a check says what would be written", came and "260 files" in self.tab.text(), self.tab.text()[:600])
        checks.check("and writes nothing", not any((server.folder / "back").iterdir()))
        self.seen("check")
        if self.tab.js("!!document.getElementById('f-code')"):
            self.tab.fill("New code from your authenticator", self.telephone.code())
        before = self.tab.loaded
        self.tab.tab_to("Restore 260 files")
        self.tab.press("Enter")
        self.tab.settled(before)
        over = self.tab.until("document.querySelector('h1').textContent.startsWith('Receipt')", 300)
        checks.check("then all of it is there, and a receipt", over and "Complete" in self.tab.text() and same(server.folder / "back", server.share / "archive"), self.tab.text()[:600])
        self.seen("receipt")

    def left_nothing(self, box):
        checks.check("no page asked anybody but the box", not self.tab.outside(self.base), self.tab.outside(self.base)[:5])
        checks.check("no page's scripts failed", not self.tab.faults, self.tab.faults)
        named = [one for one in self.titles if re.search("EHR|Befund|letters|archive", " ".join(one))]
        checks.check("no title and no address names a share or a file", not named, named)
        logs = "\n".join(path.read_text(errors="replace") for path in (box.folder / "log").iterdir())
        checks.check("no log names a file", LETTER not in logs and "old.txt" not in logs)


def signs_in(tab, base, user, password, telephone):
    tab.go(base + "/sign-in")
    tab.fill("Name", user)
    tab.fill("Password", password)
    tab.fill("Code", telephone.code())
    tab.activate("Sign in", exact=True)


def without_scripts(box, telephone):
    owner = box.ready["owner"]
    browser = Browser(scripts=False)
    try:
        tab = browser.tab
        tab.shape(1440)
        base = box.ready["console"]["url"]
        signs_in(tab, base, owner["user"], read(owner["password_file"]), telephone)
        tab.go(base + "/")
        tab.activate("Restore", exact=True)
        tab.activate("Restore from EHR")
        tab.activate("Use this copy")
        tab.activate("letters")
        tab.choose(LETTER)
        tab.activate("Restore what is ticked")
        if tab.js("!!document.getElementById('f-code')"):
            tab.fill("New code from your authenticator", telephone.code())
        got = tab.download("Download")
        checks.check("a file comes back", got and got.read_bytes() == b"second, and longer\n", got and got.read_bytes())
    finally:
        browser.stop()


def same(one, other):
    trees_of = [{path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()} for root in (one, other)]
    return trees_of[0] == trees_of[1] and len(trees_of[0]) > 0


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


main()
