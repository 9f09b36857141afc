"""A patch on a loaded model, attached and detached: `attach.py BASE EDIT RESULT`."""

import sys
from pathlib import Path

from stopwatch import Stopwatch
from transformers import AutoModelForCausalLM
from weightpatch.patches.format.patch import Patch
from weightpatch.patches.live import attach

REPEATS = 20


def main() -> None:
    base, folder, result = map(Path, sys.argv[1:])
    watch = Stopwatch()
    model = AutoModelForCausalLM.from_pretrained(base, dtype="auto")
    patch = Patch.open(folder / "patch")
    for _ in range(REPEATS):
        with watch("weightpatch attach"):
            attachment = attach(model, patch)
        with watch("weightpatch detach"):
            attachment.detach()
    watch.write(result)


if __name__ == "__main__":
    main()
