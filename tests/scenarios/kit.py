#!/usr/bin/python3
"""The recovery kit on paper: any two sheets open the vault in whatever form they come back, one never does, mistakes are pointed at, and a
sheet is rehearsed without the TPM. PDF pages are read with poppler and zbar, as people's programs would.
"""

import itertools
import shutil
import subprocess
from pathlib import Path

from lib import trees
from lib.box import Authority, Keyd, Tpm
from lib.checks import Checks
from lib.compare import differences
from lib.program import run

checks = Checks("kit")


def main():
    here = checks.scratch
    source = trees.plain(here / "source", 60, 2000, seed=9)
    vault, kit = here / "vault", here / "kit"
    made = run("vault", "init", "--vault", vault, "--kit-out", kit, "--owner", "Praxis Dr. Müller", "--test")
    checks.check("init writes three sheets, each as page and as text", made.status == 0 and len(list(kit.glob("kit-?.*"))) == 6, made)
    checks.check("for this user alone", all(path.stat().st_mode & 0o77 == 0 for path in [kit, *kit.iterdir()]))
    opened = lambda *files: run("vault", "list", "--vault", vault, "--unlock", f"kit:{','.join(map(str, files))}")
    run("vault", "backup", "--vault", vault, "--unlock", f"kit:{kit}/kit-1.txt,{kit}/kit-2.txt", "--name", "main", source)
    with checks.part("pages"):
        sheets = pages(here, kit, opened)
    with checks.part("exact"):
        done = run("vault", "restore", "--vault", vault, "--unlock", f"kit:{sheets['code'][0]},{sheets['page'][2]}", "latest", "--to", here / "out")
        checks.check("a photographed and a printed sheet restore all, exactly", done.status == 0 and not differences(source, here / "out"), done)
    with checks.part("mistakes"):
        mistakes(here, kit, vault, opened)
    with checks.part("rehearsal and re-issue"):
        rehearsed(here)
    checks.finish()


def pages(here, kit, opened):
    """Each sheet as text, out of the PDF, and off the QR code of the printed page."""
    forms = {"text": [], "page": [], "code": []}
    for number in (1, 2, 3):
        pdf = kit / f"kit-{number}.pdf"
        text, picture, code = (here / f"sheet-{number}.{end}" for end in ("txt", "png", "code"))
        subprocess.run(["pdftotext", "-layout", pdf, text], check=True)
        subprocess.run(["pdftoppm", "-r", "120", "-png", "-singlefile", pdf, picture.with_suffix("")], check=True)
        code.write_bytes(subprocess.run(["zbarimg", "--quiet", picture], check=True, capture_output=True).stdout)
        forms["text"].append(kit / f"kit-{number}.txt")
        forms["page"].append(text)
        forms["code"].append(code)
        said = text.read_text()
        wanted = ("Praxis Dr. Müller", f"SHEET {number} OF 3", "Any two of the three", "Kept by", "When the box is lost")
        checks.check(f"sheet {number} says whose it is, which, and what to do", all(word in said for word in wanted), said)
    for (one, form), (other, another) in itertools.product(itertools.product(range(3), forms), repeat=2):
        if one < other:
            done = opened(forms[form][one], forms[another][other])
            if done.status:
                checks.check(f"sheet {one + 1} as {form} and {other + 1} as {another} open the vault", False, done)
    checks.check("any two of them, in any form, open the vault", True)
    return forms


def mistakes(here, kit, vault, opened):
    twice = opened(kit / "kit-2.txt", here / "sheet-2.txt")
    checks.check("one sheet in two forms opens nothing", twice.status == 1 and twice.is_clear("sheet 2"), twice)
    other, kit2 = here / "other", here / "other-kit"
    run("vault", "init", "--vault", other, "--kit-out", kit2, "--test")
    stranger = opened(kit / "kit-1.txt", kit2 / "kit-2.txt")
    checks.check("a sheet of another vault is named as that", stranger.status == 1 and stranger.is_clear("for vault"), stranger)
    whole = (kit / "kit-1.txt").read_text()
    row = next(line for line in whole.splitlines() if line.startswith("words-3"))
    words = row.split()
    for what, wrong, hint in [("mistyped", words[4] + "xx", f"row 3, word 4.*{words[4]}"), ("another", "zoo" if words[4] != "zoo" else "zero", f"row 3.*word 4.*{words[4]}")]:
        typed = here / f"{what}.txt"
        typed.write_text(whole.replace(row, " ".join([*words[:4], wrong, *words[5:]])))
        done = opened(typed, kit / "kit-2.txt")
        checks.check(f"a {what} word is pointed at, with the right one", done.status == 1 and done.is_clear(hint), done)
    short = here / "short.txt"
    short.write_text(whole.replace(row, " ".join(words[:-1])))
    done = opened(short, kit / "kit-2.txt")
    checks.check("a word too few is told", done.status == 1 and done.is_clear("row 3 has 7 words"), done)
    abbreviated = here / "four-letters.txt"
    lines = [" ".join([line.split()[0], *(word[:4].upper() for word in line.split()[1:])]) if line.startswith("words-") else line for line in whole.splitlines()]
    abbreviated.write_text("\n".join(lines))
    done = opened(abbreviated, kit / "kit-3.txt")
    checks.check("four letters of each word are enough, in capitals", done.status == 0, done)


def rehearsed(here):
    authority, tpm = Authority(here / "authority"), Tpm(here / "tpm")
    tpm.boot("keys", "image")
    keyd = Keyd(here / "keyd", tpm, authority)
    keyd.policies = [authority.sign("image.json", ["image"])]
    keyd.start()
    vault = here / "sealed-vault"
    run("vault", "init", "--vault", vault, "--test", "--owner", "Dr. Example", "--keyd", keyd.socket)
    old, _ = keyd.print_kit(vault, here)
    first_set = keyd.status()["vaults"][0]["set"]
    tpm.off()
    keyd.restart()
    checks.check("without its TPM the box is locked", keyd.status().get("phase") == "locked", keyd.status())
    for number, paper in enumerate(old, 1):
        done = keyd("rehearse", "--vault", vault, "--paper", paper)
        valid = (done.status, done.report.get("sheet"), done.report.get("set"), done.report.get("epoch")) == (0, number, first_set, 1)
        checks.check(f"sheet {number} alone is rehearsed without a TPM", valid, done)
    papers = keyd.status()["vaults"][0]["papers"]
    checks.check("the box remembers when", all(paper.get("rehearsed_at") for paper in papers), papers)
    foreign = keyd("rehearse", "--vault", vault, "--paper", here / "kit/kit-1.txt")
    checks.check("a sheet of another vault is not valid", foreign.status == 1 and foreign.is_clear("vault"), foreign)

    tpm.boot("keys", "image")
    keyd.restart()
    before = here / "vault-before"
    shutil.copytree(vault, before)
    again = keyd("reissue", "--vault", vault)
    checks.check("a new kit is made", again.status == 0 and again.report.get("replaces") == first_set, again)
    still = keyd("rehearse", "--vault", vault, "--paper", old[0])
    checks.check("until its sheets are confirmed the old ones are valid", still.status == 0, still)
    new_folder = here / "new"
    new_folder.mkdir()
    new, runs = keyd.print_kit(vault, new_folder, form="text")
    checks.check("the new sheets are printed and confirmed", all(done.status == 0 for done in runs), [str(done) for done in runs if done.status])
    gone = keyd("rehearse", "--vault", vault, "--paper", old[1])
    checks.check("then an old sheet is told by its set", gone.status == 1 and gone.is_clear(f"set {first_set}"), gone)
    closed = run("vault", "list", "--vault", vault, "--unlock", f"kit:{old[0]},{old[1]}")
    checks.check("two old sheets open nothing any more", closed.status == 1 and closed.is_clear("not valid"), closed)
    opens = run("vault", "list", "--vault", vault, "--unlock", f"kit:{new[0]},{new[2]}")
    checks.check("two new ones do", opens.status == 0, opens)
    lost = keyd("store", "--vault", before)
    checks.check("disks that never got the new slots get them", lost.status == 0 and lost.report.get("stored") is True, lost)
    opens = run("vault", "list", "--vault", before, "--unlock", f"kit:{new[1]},{new[2]}")
    checks.check("and open with the new sheets then", opens.status == 0, opens)
    have = keyd("store", "--vault", vault)
    checks.check("those that have them are left alone", have.status == 0 and have.report.get("stored") is False, have)
    status = keyd.status()["vaults"][0]
    checks.check("the status says which set is valid and which is not", status["set"] != first_set and first_set in status["invalid_sets"], status)


main()
