"""Starts real file servers for a scenario and ends only these, at the latest when the scenario ends: Samba by tests/samba.sh, Ganesha by
tests/ganesha.sh. Root needed."""

import os
import signal
import subprocess
from pathlib import Path

from .checks import RUNNING
from .program import ROOT

SECTION = """
[{name}]
 path = {folder}
 read only = no
 read list = {reader}
 mangled names = no
 map archive = no
 vfs objects = acl_xattr streams_xattr
 acl_xattr:ignore system acls = yes
 {special}
"""


class Server:
    """One private server and its folder. `share` is the folder behind its share or export, `within` goes before its command: another network, say."""

    script = None
    within = ()

    def __init__(self, folder, **settings):
        self.folder = Path(folder)
        self.settings = {name: str(value) for name, value in settings.items()}
        self.share = self.folder / "share"
        RUNNING.append(self.stop)
        self.start()

    def start(self, port=0):
        done = subprocess.run([*self.within, ROOT / "tests" / self.script, "start", self.folder, str(port)], env={**os.environ, **self.settings}, text=True, capture_output=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{self.script}: {done.stderr}")
        self.url = self.read("url")
        self.port = int(self.read("port"))
        return self

    def read(self, name):
        return (self.folder / name).read_text().strip()

    def stop(self):
        subprocess.run([ROOT / "tests" / self.script, "stop", self.folder], capture_output=True, check=False)

    def restart(self):
        """Again on the same port, so that it is the same server."""
        self.stop()
        return self.start(self.port)

    def pid(self):
        raise NotImplementedError


class Samba(Server):
    """A Samba server. `shares`: further ones, and what is special about their configuration."""

    script = "samba.sh"

    def __init__(self, folder, encrypt="required", shares=None, **settings):
        self.shares = shares or {}
        super().__init__(folder, KEEPWELL_SAMBA_ENCRYPT=encrypt, **settings)

    def start(self, port=0):
        super().start(port)
        self.password = self.folder / "password"
        self.user = self.read("user")
        # Sees everything in the share `share`, and may change nothing.
        self.reader, self.reader_password = self.read("reader"), self.folder / "reader-password"
        for name, special in self.shares.items():
            self.add(name, special)
        return self

    def add(self, name, special=""):
        """One more share; connections made from now on see it."""
        folder = self.folder / name
        if not folder.exists():
            folder.mkdir()
            self.give(folder)
        with open(self.folder / "smb.conf", "a", encoding="utf-8") as file:
            file.write(SECTION.format(name=name, folder=folder, reader=self.reader, special=special))
        self.reload()

    def reload(self):
        os.kill(self.pid(), signal.SIGHUP)

    def url_of(self, share, port=None):
        return f"smb://{self.user}@127.0.0.1:{port or self.port}/{share}"

    def to_read(self, share="share", port=None):
        """Address and account of a backup, as arguments: it sees all and may change nothing."""
        return [f"smb://{self.reader}@127.0.0.1:{port or self.port}/{share}", "--password-file", self.reader_password]

    def change_password(self, user, password):
        """At the server, so that what the box has is wrong from now on."""
        command = ["smbpasswd", "-c", self.folder / "smb.conf", "-s", "-a", user]
        subprocess.run(command, input=f"{password}\n{password}\n", text=True, capture_output=True, check=True)

    def pid(self):
        return int(self.read("smbd.pid"))

    def kill(self):
        """Takes it away at once, with all who serve connections: it leads its own process group."""
        os.killpg(self.pid(), signal.SIGKILL)

    def give(self, *paths):
        """Makes what was put into the folder directly belong to the server's user."""
        subprocess.run(["chown", "-hR", f"{self.user}:", *(paths or [self.share])], check=True)


class Ganesha(Server):
    """An NFS server for versions 3 and 4."""

    script = "ganesha.sh"

    def pid(self):
        return int(self.read("ganesha.pid"))

    def kill(self):
        os.kill(self.pid(), signal.SIGKILL)

    def url_of(self, version):
        return f"nfs://127.0.0.1:{self.port}/share?version={version}" + (f"&mountport={self.read('mountport')}" if version == "3" else "")
