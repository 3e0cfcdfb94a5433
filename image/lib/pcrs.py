"""What belongs to PCR 11 of a UKI; run in the tools root, by image/uki.

sections FILE FOLDER   writes the measured parts of a UKI into FOLDER, and prints systemd-measure's arguments for them, one a line
value PHASE            reads what `systemd-measure calculate --json` prints, and prints the value of PCR 11 in PHASE
join PCRSIG POLICIES.. systemd's signatures with keyd's policies as one more member, `keepwell`
"""

import json
import sys
from pathlib import Path

# In the order in which the stub measures them.
MEASURED = ("linux", "osrel", "cmdline", "initrd", "ucode", "splash", "dtb", "uname", "sbat", "pcrpkey")


def sections(file, folder):
    import pefile

    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    found = {}
    for section in pefile.PE(file, fast_load=True).sections:
        name = section.Name.rstrip(b"\0").decode().lstrip(".")
        if name in (*MEASURED, "pcrsig"):
            found[name] = section.get_data(length=section.Misc_VirtualSize)
            (folder / name).write_bytes(found[name])
    for name in MEASURED:
        if name in found:
            print(f"--{name}={folder / name}")


def value(phase):
    for entry in json.load(sys.stdin)["sha256"]:
        if entry["phase"] == phase:
            return print(entry["hash"])
    sys.exit(f"pcrs: no value for the phase {phase}")


def join(pcrsig, *policies):
    signatures = json.loads(Path(pcrsig).read_bytes().rstrip(b"\0"))
    signatures["keepwell"] = [json.loads(Path(file).read_text()) for file in policies]
    print(json.dumps(signatures, separators=(",", ":"), sort_keys=True))


{"sections": sections, "value": value, "join": join}[sys.argv[1]](*sys.argv[2:])
