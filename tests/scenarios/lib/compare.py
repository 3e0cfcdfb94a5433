"""Are two trees the same? rsync for names, content and metadata; our own walk for holes and for paths longer than rsync takes."""

import errno
import hashlib
import os
import stat
import subprocess


def differences(source, output, content=True, exclude=()):
    """What rsync would have to do to make OUTPUT like SOURCE, and where holes differ: one line each, none if they are the same."""
    options = "-naicHAX" if content else "-naiHAX"
    excludes = [f"--exclude={pattern}" for pattern in exclude]
    command = ["rsync", options, "--modify-window=-1", "--delete", *excludes, f"{source}/", f"{output}/"]
    done = subprocess.run(command, capture_output=True, check=False)
    lines = done.stdout.splitlines() + done.stderr.splitlines()
    if done.returncode:
        lines.append(f"rsync: exit {done.returncode}".encode())
    found = [line.decode(errors="replace") for line in lines]
    return found + ([] if exclude else hole_differences(source, output))


def hole_differences(source, output):
    """Files whose SEEK_DATA maps differ."""
    here, there = (dict(walk(root, data_map)) for root in (source, output))
    return [f"holes differ: {path!r}: {here.get(path)} {there.get(path)}"[:300] for path in sorted(here.keys() | there.keys()) if here.get(path) != there.get(path)]


def fingerprint(root):
    """Path -> what a restore has to bring back: kind, mode, times, content. Works at any depth, as one value to keep and compare."""
    return dict(walk(root, describe))


def walk(root, see):
    """Yields (path, see(dir_fd, name, status)) for all below root by descriptors, so that no path is too long."""
    top = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    stack = [(top, b"")]
    while stack:
        folder, path = stack.pop()
        try:
            for name in os.listdir(folder):
                name = os.fsencode(name)
                status = os.lstat(name, dir_fd=folder)
                yield path + b"/" + name, see(folder, name, status)
                if stat.S_ISDIR(status.st_mode):
                    stack.append((os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder), path + b"/" + name))
        finally:
            os.close(folder)


def data_map(folder, name, status):
    """[(begin, end)] of the runs of data of a file; None for what is no file."""
    if not stat.S_ISREG(status.st_mode):
        return None
    if status.st_blocks * 512 >= status.st_size:
        return "dense"
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder)
    try:
        runs, at = [], 0
        while at < status.st_size:
            try:
                begin = os.lseek(fd, at, os.SEEK_DATA)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                break
            at = os.lseek(fd, begin, os.SEEK_HOLE)
            runs.append((begin, at))
        return "dense" if runs == [(0, status.st_size)] else runs
    finally:
        os.close(fd)


def describe(folder, name, status):
    kind = stat.S_IFMT(status.st_mode)
    what = [kind, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, status.st_mtime_ns]
    if kind == stat.S_IFREG:
        what += [status.st_size, content_hash(folder, name)]
    elif kind == stat.S_IFLNK:
        what.append(os.readlink(name, dir_fd=folder))
    elif kind in (stat.S_IFCHR, stat.S_IFBLK):
        what.append(status.st_rdev)
    return tuple(what)


def content_hash(folder, name):
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder)
    with os.fdopen(fd, "rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()


def folder_hash(root, skip=()):
    """Fingerprint of all files below root without their times, to tell that nothing was changed."""
    def see(folder, name, status):
        return describe(folder, name, status)[:4] + describe(folder, name, status)[5:]
    return {path: seen for path, seen in walk(root, see) if not any(path.startswith(prefix) for prefix in skip)}
