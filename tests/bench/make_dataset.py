#!/usr/bin/python3
"""Generates the data that scenarios and benchmarks back up. Fixed seeds: the same bytes everywhere. Needs numpy.

  make_dataset.py make   DIR   makes DIR/{clinic,imaging,db,random}, and the second generation in DIR/.next
  make_dataset.py apply  DIR   exchanges what differs in the second generation, by renames only
  make_dataset.py revert DIR   the same backwards

Renames keep inode, times and content of every file that did not change: that is what an incremental run looks at.
SCALE=0.05 in the environment makes a twentieth of it. At full size:
  clinic    60,000 laboratory messages and FHIR-like bundles of 1 to 40 KiB in 600 folders
            (next: 1 in 200 rewritten in the middle, 1 in 400 added, 1 in 400 renamed)
  imaging   2 GiB of 12-bit pictures of 0.5 to 8 MiB, noisy inside a circle and black outside, behind a DICOM-like header
  db        one file of 131,072 pages of 8 KiB, half of each compressible
            (next: one page in fifty rewritten, 20 runs of whole pages and 20 odd lengths inserted)
  random    512 MiB that nothing compresses
"""

import os
import random
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

SCALE = float(os.environ.get("SCALE", "1"))
MESSAGES, FOLDERS = 60_000, 600
IMAGING, DB_PAGES, RANDOM = 2 << 30, 131_072, 512 << 20
PAGE = 8192


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


# clinic

def vocabulary():
    r = random.Random(4711)
    syllables = "ba bel cor dan el fer gan hol in jor kel lin mar nor os per quin ros sten tor ul ver win yar zel".split()
    words = ["".join(r.choices(syllables, k=r.randint(2, 4))).title() for _ in range(3500)]
    return words, [f"{r.randrange(1000, 99999)}-{r.randrange(10)}" for _ in range(700)]


WORDS, CODES = vocabulary()


def stamp(r):
    return f"2026{r.randint(1, 12):02}{r.randint(1, 28):02}{r.randrange(24):02}{r.randrange(60):02}"


def laboratory_line(r, number):
    word, flag = r.choice, r.choice(("N", "N", "N", "H", "L"))
    return (f"OBX|{number}|NM|{word(CODES)}^{word(WORDS)} {word(WORDS)}^LN||{r.randrange(10000) / 10}|mmol/L|"
            f"{r.randrange(9)}.0-{r.randrange(10, 40)}.0|{flag}|||F|||{stamp(r)}\r")


def bundle_line(r, _number):
    word = r.choice
    return (f' {{"resource":{{"resourceType":"Observation","id":"{r.getrandbits(48):012x}","status":"final","code":{{"coding":['
            f'{{"code":"{word(CODES)}","display":"{word(WORDS)} {word(WORDS)}"}}]}},"subject":{{"reference":"Patient/{r.randrange(10**6)}"}},'
            f'"valueQuantity":{{"value":{r.randrange(10**5) / 100},"unit":"mg/dL"}}}}}},\n')


def message(r, size, laboratory):
    word = r.choice
    head = (f"MSH|^~\\&|LAB{r.randrange(20)}|SITE{r.randrange(40)}|EHR|MAIN|{stamp(r)}||ORU^R01|{r.randrange(10**9)}|P|2.5.1\r"
            f"PID|1||{r.randrange(10**8):08}^^^MRN||{word(WORDS)}^{word(WORDS)}||{r.randrange(1930, 2024)}0{r.randrange(1, 10)}1{r.randrange(10)}\r")
    lines = [head if laboratory else '{"resourceType":"Bundle","type":"collection","entry":[\n']
    length, line = len(lines[0]), laboratory_line if laboratory else bundle_line
    while length < size:
        lines.append(line(r, len(lines)))
        length += len(lines[-1])
    return "".join(lines).encode()[:size]


def clinic_path(number):
    ward = number % FOLDERS
    return f"site{ward // 60:02}/ward{ward % 60:02}/{number:06}.{'hl7' if number % 2 else 'json'}"


def clinic(root, begin, end):
    for number in range(begin, end):
        r = random.Random(9_000_000 + number)
        content = message(r, int(1024 * 40 ** r.random()), bool(number % 2))
        write(root / "clinic" / clinic_path(number), content)
        if number % 200 == 0:
            middle = len(content) // 2
            changed = content[:middle] + message(r, 400, bool(number % 2)) + content[middle + 300:]
            write(root / ".next/changed" / clinic_path(number), changed)
        if number % 400 == 1:
            write(root / ".next/added" / clinic_path(number), message(r, int(1024 * 40 ** r.random()), True))


# imaging, db, random

def imaging(root, part, size):
    import numpy as np

    g = np.random.default_rng(300 + part)
    noise = np.clip(g.standard_normal(1 << 22, dtype=np.float32) * 9, -60, 60).astype(np.int16)
    written = number = 0
    while written < size:
        side = int(np.sqrt(g.uniform(0.5, 8) * (1 << 19))) // 16 * 16
        coarse = g.integers(200, 3600, (side // 16 + 2, side // 16 + 2)).astype(np.float32)
        at, fraction = np.divmod(np.arange(side, dtype=np.float32) / 16, 1)
        at = at.astype(int)
        rows = coarse[at] * (1 - fraction)[:, None] + coarse[at + 1] * fraction[:, None]
        picture = (rows[:, at] * (1 - fraction) + rows[:, at + 1] * fraction).astype(np.int16).ravel()
        for begin in range(0, side * side, len(noise)):
            run = picture[begin:begin + len(noise)]
            run += np.roll(noise, int(g.integers(len(noise))))[: len(run)]
        y, x = np.ogrid[:side, :side]
        picture = np.clip(picture.reshape(side, side), 0, 4095)
        picture[(y - side / 2) ** 2 + (x - side / 2) ** 2 > (side * 0.47) ** 2] = 0
        head = bytes(128) + b"DICM" + f"1.2.826.{part}.{number}.{g.integers(1 << 40)}".encode().ljust(380, b"\0")
        write(root / f"imaging/study{number // 40:03}/{part}-{number:05}.dcm", head + picture.tobytes())
        written, number = written + 512 + side * side * 2, number + 1


def db(root, pages):
    import numpy as np

    g = np.random.default_rng(77)
    text = " ".join(WORDS).encode()

    def page(number, version):
        head = f"PAGE{number:012}v{version:06}".encode()
        begin = int(g.integers(len(text) - PAGE // 2))
        return head + text[begin:begin + PAGE // 2 - len(head) - 16] + bytes(16) + g.bytes(PAGE // 2)

    changed = set(g.choice(pages, pages // 50, replace=False).tolist())
    inserted = {int(at): number for number, at in enumerate(g.choice(pages, 40, replace=False))}
    (root / "db").mkdir(parents=True)
    (root / ".next/db").mkdir(parents=True)
    with open(root / "db/patients.db", "wb") as now, open(root / ".next/db/patients.db", "wb") as later:
        for number in range(pages):
            insert = inserted.get(number)
            if insert is not None:
                whole = b"".join(page(pages + n, 2) for n in range(1 + insert % 16)) if insert < 20 else b""
                later.write(whole or g.bytes(100 + (insert - 20) * 363))
            first = page(number, 1)
            now.write(first)
            later.write(page(number, 2) if number in changed else first)


def noise_files(root, size):
    import numpy as np

    g = np.random.default_rng(13)
    for number in range(4):
        write(root / f"random/{number}.bin", g.bytes(size // 4))


def make(root):
    if root.exists():
        sys.exit(f"{root} is there already")
    messages = max(400, int(MESSAGES * SCALE))
    step = -(-messages // 16)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(db, root, max(400, int(DB_PAGES * SCALE))), pool.submit(noise_files, root, int(RANDOM * SCALE))]
        jobs += [pool.submit(imaging, root, part, int(IMAGING * SCALE) // 4) for part in range(4)]
        jobs += [pool.submit(clinic, root, begin, min(messages, begin + step)) for begin in range(0, messages, step)]
        for job in jobs:
            job.result()
    (root / ".next/generation").write_text(f"1 {messages}")


def exchange(root, forward):
    """Both directions are the same swaps; only what was added and renamed has a direction."""
    state = root / ".next/generation"
    generation, messages = map(int, state.read_text().split())
    if generation == (2 if forward else 1):
        return
    pairs = [(root / "clinic" / clinic_path(n), root / ".next/changed" / clinic_path(n)) for n in range(0, messages, 200)]
    for here, there in [*pairs, (root / "db/patients.db", root / ".next/db/patients.db")]:
        aside = there.with_name(there.name + ".swap")
        here.rename(aside)
        there.rename(here)
        aside.rename(there)
    moves = [(root / ".next/added" / clinic_path(n), root / "clinic" / (clinic_path(n) + ".new")) for n in range(1, messages, 400)]
    moves += [(root / "clinic" / clinic_path(n), root / "clinic" / (clinic_path(n) + ".renamed")) for n in range(3, messages, 400)]
    for old, new in moves:
        (old if forward else new).rename(new if forward else old)
    state.write_text(f"{2 if forward else 1} {messages}")


def main():
    verbs = {"make": make, "apply": lambda root: exchange(root, True), "revert": lambda root: exchange(root, False)}
    if len(sys.argv) != 3 or sys.argv[1] not in verbs:
        sys.exit(__doc__)
    verbs[sys.argv[1]](Path(sys.argv[2]))


if __name__ == "__main__":
    main()
