"""What Debian's package manager says about a tree before it is removed: names, versions, files, licences. Reads only, but for write()."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Package:
    """One installed package."""

    name: str
    version: str
    architecture: str
    source: str
    source_version: str
    licences: str
    files: frozenset

    def has(self, keep):
        """Whether any of its files stays."""
        return bool(self.files & keep)


def read(root):
    """All packages of the tree, and the kernel's, which was only unpacked (kernel.package)."""
    found = [installed(root, text) for text in (root / "var/lib/dpkg/status").read_text().split("\n\n") if text.strip()]
    for line in (root / "kernel.package").read_text().splitlines():
        name, version, architecture, source, source_version = line.split("\t")
        found.append(Package(name, version, architecture, source, source_version, "GPL-2.0-only", modules(root)))
    return sorted(found, key=lambda one: one.name)


def modules(root):
    base = root / "usr/lib/modules"
    return frozenset(str(path.relative_to(root)) for path in base.rglob("*") if path.is_file()) if base.is_dir() else frozenset()


def installed(root, text):
    fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", text, re.M))
    name, version, architecture = fields["Package"], fields["Version"], fields["Architecture"]
    source = re.fullmatch(r"(\S+)(?: \((.*)\))?", fields.get("Source", name))
    lists = [root / f"var/lib/dpkg/info/{stem}.list" for stem in (f"{name}:{architecture}", name)]
    named = next((path.read_text().split("\n") for path in lists if path.exists()), [])
    files = frozenset(aliased(path) for path in named if path)
    return Package(name, version, architecture, source[1], source[2] or version, licences(root, name), files)


def aliased(path):
    """Debian's lists may name /lib/x for what lies in /usr/lib/x."""
    path = path.lstrip("/")
    return f"usr/{path}" if path.split("/")[0] in ("bin", "sbin", "lib", "lib64") and "/" in path else path


def licences(root, name):
    """Short names of a machine-readable copyright file; `see source` where it is prose."""
    path = root / f"usr/share/doc/{name}/copyright"
    text = path.read_text(errors="replace") if path.is_file() else ""
    names = set(re.findall(r"^License:[ \t]*(\S.*?)\s*$", text, re.M))
    return ", ".join(sorted(names)) or "see source"


def write(path, packages):
    """One line each: name, version, architecture, source, its version, licences."""
    rows = ["\t".join([one.name, one.version, one.architecture, one.source, one.source_version, one.licences]) for one in packages]
    path.write_text("".join(f"{row}\n" for row in rows))


def pins(packages, lock):
    """What is not as the lock has it, as sentences."""
    pinned = dict(line.split() for line in lock.read_text().splitlines() if line and not line.startswith("#"))
    if not pinned:
        return ["nothing is pinned: run image/debian/lock"]
    now = {one.name: one.version for one in packages}
    changed = [f"{name} is {now[name]}, and {version} was pinned" for name, version in sorted(pinned.items()) if name in now and now[name] != version]
    missing = [f"{name} {version} was pinned, and is not there" for name, version in sorted(pinned.items()) if name not in now]
    return changed + missing + [f"{name} {version} was not pinned" for name, version in sorted(now.items()) if name not in pinned]
