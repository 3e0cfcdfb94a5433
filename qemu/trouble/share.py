"""A share of the practice on this machine, and what has come back of it. Owns its server."""

from lib import trees
from lib.compare import folder_hash
from lib.servers import Samba

NAME = "EHR"


class Share:
    """`backed_up(owner)`, and restored to another share of the same server."""

    def __init__(self, scratch, files=40):
        self.server = Samba(scratch / "samba", shares={"back": ""})
        trees.plain(self.server.share / "patients", files, 30_000, seed=7)
        trees.plain(self.server.share / "pictures", 1, 3_000_000, seed=8)
        self.server.give()
        self.wanted = contents(self.server.share)
        self.backs = 0

    @property
    def address(self):
        return f"10.0.2.2:{self.server.port}"

    def added(self, owner):
        """What became of the first backup."""
        owner.adds(NAME, self.address, "share", self.server.reader, self.server.reader_password.read_text().strip())
        return owner.first_backup()

    def restored(self, owner):
        """The newest copy to an empty share of its own: what the receipt says, and whether it is the same byte for byte."""
        self.backs += 1
        back = f"back-{self.backs}"
        self.server.add(back)
        said = owner.restores(NAME, self.address, back, self.server.user, self.server.password.read_text().strip())
        came = next((path.parent for path in (self.server.folder / back).rglob("patients")), self.server.folder / back)
        return said, contents(came) == self.wanted


def contents(root):
    """Size and content of what is below; owners and modes are the server's."""
    return {path: seen[4:] for path, seen in folder_hash(root).items()}
