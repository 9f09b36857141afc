"""Files that change while they are in use: what was hashed is what is used, or nothing."""

import subprocess
import sys

import numpy as np
import pytest
from weightpatch.patches.errors import DigestMismatch


@pytest.mark.parametrize("file", ["delta.safetensors", "requests.jsonl"])
def test_a_file_exchanged_after_opening_is_noticed(pico, file: str):
    patch = pico.patch(pico.base())
    folder = patch.files["patch.json"].parent
    data = bytearray((folder / file).read_bytes())
    data[-2] ^= 1
    (folder / file).write_bytes(data)
    with pytest.raises(DigestMismatch):
        _ = (patch.operations, patch.requests)


EXCHANGED = """
import sys
from pathlib import Path
from weightpatch.patches.errors import DigestMismatch
from weightpatch.patches.format.patch import Patch

folder, moment, what = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
delta, other = folder / "delta.safetensors", folder.parent / "other"
data = bytearray(delta.read_bytes())
data[-1] ^= 0x80  # only the sign of a number: nothing else notices
other.write_bytes(data)
opened = 0

def exchange(event, arguments):
    global opened
    if event == "open" and str(arguments[0]).endswith("delta.safetensors"):
        opened += 1
        if opened == moment:
            other.replace(delta)

sys.addaudithook(exchange)
try:
    patch = Patch.open(folder)
    found = getattr(patch, what)
except DigestMismatch:
    print("noticed")
else:
    print("not opened so often" if opened < moment else "fooled", opened)
"""


@pytest.mark.parametrize("what", ["operations", "auxiliary"])
def test_a_file_exchanged_between_hashing_and_reading_is_noticed(pico, what: str):
    """F12: whenever the delta is opened, and at whatever time of that another takes its place."""
    told = []
    for moment in range(1, 10):
        auxiliary = {f"{pico.DOWN}::aux.keys": np.ones((1, 10), np.float32)}
        patch = pico.patch(pico.base(f"b{moment}"), f"acme/p{moment}", auxiliary=auxiliary)
        run = subprocess.run(
            [sys.executable, "-c", EXCHANGED, patch.files["patch.json"].parent, str(moment), what],
            capture_output=True,
            text=True,
            check=True,
        )
        told.append(run.stdout.split()[0])
    assert told == ["noticed"] * told.count("noticed") + ["not"] * told.count("not")
    assert told.count("noticed") > 2
    assert told.count("not") > 0
