"""The owner of a box at its console, through the forms that people use: claims it, makes its disks ready, backs a share up and restores it. Owns no checks: what does not go as it should is an error."""

import base64
import re
import time
from html import unescape

from lib.member import Member
from lib.telephone import Telephone

NAME, PASSWORD = "owner", "vier Worte und ein Haus"
CLAIM_CODE = r"[A-Z0-9]{5}(?:-[A-Z0-9]{5}){3}"
# What the page of the disks says of a pool that came to nothing.
BEGUN = "This was begun, and something cut it short"
# What becomes of a backup or restore may take this long where there is no hardware support.
LONG = 900


class Owner(Member):
    """`Owner(url, telephone)`: somebody who has claimed it before. `Owner.claims` is the first time."""

    def __init__(self, url, telephone, **more):
        super().__init__(url, NAME, PASSWORD, telephone, **more)

    @classmethod
    def claims(cls, web, code):
        """With the code on the box's screen; signed in."""
        web.get("/claim")
        page = web.post("/claim", {"setup": code, "user": NAME, "password": PASSWORD, "again": PASSWORD})
        seed = re.search(r"otpauth://[^\s<\"]+", unescape(page.text))
        if not seed:
            raise RuntimeError(f"the box is not claimed: {page}")
        owner = cls(web.origin, Telephone(seed[0]), through=web.through)
        return owner.signs_in()

    @property
    def seed(self):
        """What another Owner's telephone is made of."""
        return base64.b32encode(self.telephone.seed).decode()

    # Disks and papers

    def makes_pool(self, *serials, name="Dr. Example", seconds=LONG):
        """Prepares these disks, which the box has to see first."""
        page = self.waits("/setup/disks", lambda page: set(serials) <= set(offered(page)), seconds)
        fields = [("owner", name)]
        for serial in offered(page):
            fields += [("serial", serial), ("erase", f"ERASE {serial}" if serial in serials else "")]
        asked = self.does("/setup/disks", "/setup/disks", fields)
        page = self.waits("/setup/disks", lambda page: 'href="/setup/share">Next' in page.text or BEGUN in page.text, seconds)
        if BEGUN in page.text:
            raise RuntimeError(f"the disks are not made ready: {words(page)}\nwhat was answered at once: {asked.status} {words(asked)}")
        return page

    def prints(self, number):
        """One paper of the kit, printed and confirmed; its rows of words."""
        paper = self.does("/setup/kit", "/setup/kit/print", {"paper": number, "keeper": f"Keeper {number}", "format": "text"})
        rows = [line.split() for line in re.sub("<[^>]+>", "", paper.text).splitlines() if line.strip().startswith("words-")]
        places = re.findall(r'for="w-(\d+)-(\d+)"', self.at("/setup/kit").text)
        if not rows or len(places) != 6:
            raise RuntimeError(f"paper {number} is not printed: {paper}")
        words = [("word", rows[int(row) - 1][int(word)]) for row, word in places]
        self.does("/setup/kit", "/setup/kit/confirm", [("paper", number), *words])
        return [" ".join(row[1:]) for row in rows]

    # Shares

    def adds(self, name, server, share, user, password, tier="one"):
        """A share to back up; its id."""
        form = {"name": name, "server": server, "share": share, "user": user, "password": password, "tier": tier}
        told = self.does("/shares/add", "/shares/add", form)
        if told.status not in (302, 303):
            raise RuntimeError(f"the share {name} is not added: {told}")
        return self.share(name)

    def share(self, name):
        found = re.search(rf'href="/shares/([^"/]+)"><strong>{re.escape(name)}</strong>', self.at("/shares").text)
        if not found:
            raise KeyError(name)
        return found[1]

    def runs(self, name):
        """Backups of a share, the newest first: (number, what its row says)."""
        page = self.at(f"/shares/{self.share(name)}")
        rows = re.findall(r'<tr[^>]*>((?:(?!</tr>).)*?href="/runs/(\d+)".*?)</tr>', page.text, re.S)
        return sorted(((int(number), plain(row)) for row, number in rows), reverse=True)

    def begins_backup(self, name):
        share = self.share(name)
        return self.does(f"/shares/{share}", f"/shares/{share}/run")

    def backs_up(self, name, seconds=LONG):
        """One more backup of a share, to its end; what its page says of it."""
        before = [number for number, _ in self.runs(name)]
        self.begins_backup(name)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            newer = [number for number, _ in self.runs(name) if number not in before]
            if newer and (page := self.at(f"/runs/{newer[0]}")) and not going(page):
                return outcome(page)
            time.sleep(1)
        raise RuntimeError(f"the backup of {name} does not end: {self.at(f'/shares/{self.share(name)}')}")

    def first_backup(self, seconds=LONG):
        """The one that a new share begins with by itself; what is said of it."""
        page = self.waits("/setup/backup", lambda page: 'href="/setup/restore">Next' in page.text and not going(page), seconds)
        return outcome(page)

    def begins_restore(self, name, server, share, user, password, conflict="replace", seconds=LONG):
        """The newest copy of a whole share to where it is asked for; the address of the restore."""
        begun = self.does("/restore", "/restore/drafts", {"share": self.share(name)})
        if not begun.goes_to.endswith("/when"):
            raise RuntimeError(f"no restore is begun: {begun}")
        draft = begun.goes_to.removesuffix("/when")
        # After a start the vault may not be open yet, and the pages say so.
        when = self.waits(f"{draft}/when", lambda page: page.field("snapshot"), seconds)
        self.web.post(f"{draft}/when", {"snapshot": when.field("snapshot")})
        what = self.waits(f"{draft}/what", lambda page: whole_of(page), seconds)
        whole = whole_of(what)[1]
        self.web.post(f"{draft}/choose", {"in": whole, "all": whole})
        form = {"kind": "smb", "server": server, "share": share, "user": user, "password": password, "conflict": conflict}
        self.does(f"{draft}/where", f"{draft}/check", form)
        page = self.waits(f"{draft}/check", lambda page: f"{draft}/begin" in page.text or "Change where it goes" in page.text, seconds)
        if f"{draft}/begin" not in page.text:
            raise RuntimeError(f"the restore would not go: {page}")
        begun = self.does(f"{draft}/check", f"{draft}/begin", {"check": page.field("check")})
        if not begun.goes_to.startswith("/restore/jobs/"):
            raise RuntimeError(f"the restore is not begun: {begun}")
        return begun.goes_to

    def restores(self, name, server, share, user, password, conflict="replace", seconds=LONG):
        """The same to its end; what the receipt says."""
        at = self.begins_restore(name, server, share, user, password, conflict, seconds)
        return outcome(self.waits(at, lambda page: page.heading().startswith("Receipt"), seconds))

    # How

    def waits(self, path, wanted, seconds=LONG):
        """A page, as soon as it is as wanted."""
        end = time.monotonic() + seconds
        while True:
            try:
                page = self.at(path)
            except OSError as error:
                page = error
            if not isinstance(page, OSError) and wanted(page):
                return page
            if time.monotonic() > end:
                raise RuntimeError(f"{path} does not come to what it should be: {page}")
            time.sleep(1)


def offered(page):
    return re.findall(r'name="serial" value="([^"]+)"', page.text)


def whole_of(page):
    return re.search(r'name="all" value="(\d+)"', page.text)


def words(page):
    """All that stands on it."""
    return " ".join(re.sub("<[^>]+>", " ", page.text).split())


def going(page):
    return "comes again by itself" in page.text or outcome(page) == "Running"


def outcome(page):
    """The headline of a page about a backup or restore, as text."""
    found = re.search(r'data-part="outcome"[^>]*data-say="([^"]*)"', page.text)
    return unescape(found[1]) if found else str(page)


def plain(html):
    return " ".join(unescape(re.sub("<[^>]+>", " ", html)).split())
