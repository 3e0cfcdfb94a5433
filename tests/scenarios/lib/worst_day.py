"""The owner of before, at a new box's own screen: a share is as it was when it was backed up."""


def restored(checks, screen, server, lost):
    """With the password and the telephone of before."""
    password, telephone = lost
    kept = {path.relative_to(server.share): path.read_bytes() for path in server.share.rglob("*") if path.is_file()}
    for path in sorted(kept)[:5]:
        (server.share / path).unlink()
    (server.share / sorted(kept)[7]).write_bytes(b"encrypted by somebody")
    screen.home()
    screen.pick("Sign in")
    screen.shows("Password")
    screen.fill("owner", password, telephone.code())
    checks.check("the owner of before signs in", screen.shows(r"owner \(owner\)"), screen.text)
    screen.pick("Restore a share")
    screen.pick("EHR")
    screen.shows("complete")
    screen.keys("1")
    screen.pick("Where it came from")
    screen.shows("An account that may write")
    screen.fill(server.user, server.password.read_text().strip())
    screen.pick("Replace it by the copy")
    code_if_asked(screen, telephone, "The check is complete")
    screen.pick("Restore now")
    checks.check("a share is restored", code_if_asked(screen, telephone, "The restore is complete"), screen.text)
    now = {path.relative_to(server.share): path.read_bytes() for path in server.share.rglob("*") if path.is_file()}
    checks.check("byte for byte", now == kept, sorted(set(now) ^ set(kept))[:5])
    screen.home()
    screen.pick("Sign out")


def code_if_asked(screen, telephone, then):
    if screen.shows(rf"{then}|Show that it is you", 120) and "Show that it is you" in screen.text:
        screen.fill(telephone.code())
    return screen.shows(then, 180)
