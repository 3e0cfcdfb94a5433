"""What attackers make with the tools that anybody can install: signatures with other keys, add-ons, extensions, file systems. Owns no attack; the programs are those of the image's tools root."""

import os
import shutil
import subprocess
from pathlib import Path

from lib.program import ROOT

KEYS = ROOT / "target/image/keys"
STUB = "/usr/lib/systemd/boot/efi/addonx64.efi.stub"


class Tools:
    """Runs them in a folder, which they see as their own working folder; the image's keys are at /keys."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def run(self, *command):
        script = 'source "$1"; shift; tool "$@"'
        done = subprocess.run(["bash", "-euc", script, "tool", ROOT / "image/lib/shell", self.folder, *map(str, command)], env={**os.environ, "KEYS": str(KEYS)}, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stdout}\n{done.stderr}")
        return done.stdout

    def _with(self, content, *command):
        """`command` makes the file `out` of the file `in`."""
        (self.folder / "in").write_bytes(content)
        self.run(*command)
        return (self.folder / "out").read_bytes()

    def signed(self, content, by="/keys/db"):
        """Signed for Secure Boot: by us, or with `by="other"` by somebody else."""
        if by == "other" and not (self.folder / "other.key").exists():
            self.run("openssl", "req", "-new", "-x509", "-newkey", "rsa:2048", "-sha256", "-nodes", "-days", "3650", "-subj", "/CN=Somebody else", "-keyout", "other.key", "-out", "other.crt")
        return self._with(content, "sbsign", "--key", f"{by}.key", "--cert", f"{by}.crt", "--output", "out", "in")

    def addon(self, command_line):
        """An add-on for a unified kernel image, not signed yet."""
        self.run("ukify", "build", f"--stub={STUB}", f"--cmdline={command_line}", "--output=out")
        return (self.folder / "out").read_bytes()

    def extension(self, kind, name, path, content):
        """A system extension (`sysext`) or one for /etc (`confext`) for any system, with one file in it."""
        tree = self.folder / "tree"
        shutil.rmtree(tree, ignore_errors=True)
        release = tree / ("usr/lib" if kind == "sysext" else "etc") / f"extension-release.d/extension-release.{name}"
        for file, text in ((release, "ID=_any\n"), (tree / path.lstrip("/"), content)):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        (self.folder / "out").unlink(missing_ok=True)
        self.run("mkfs.erofs", "--quiet", "out", "tree")
        return (self.folder / "out").read_bytes()

    def ext4(self, size, label, files):
        """A file system of that size, in the folder's file `out`: path to content."""
        tree = self.folder / "tree"
        shutil.rmtree(tree, ignore_errors=True)
        for path, text in files.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(text)
        out = self.folder / "out"
        out.unlink(missing_ok=True)
        with open(out, "xb") as file:
            file.truncate(size)
        self.run("mke2fs", "-q", "-t", "ext4", "-L", label, "-d", "tree", "out")
        return out
