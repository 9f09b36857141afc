"""PEFT on a loaded model: `attach_peft.py BASE EDIT RESULT`."""

import sys
from pathlib import Path

from peft import PeftModel
from stopwatch import Stopwatch
from transformers import AutoModelForCausalLM

REPEATS = 20


def main() -> None:
    base, folder, result = map(Path, sys.argv[1:])
    watch = Stopwatch()
    model = AutoModelForCausalLM.from_pretrained(base, dtype="auto")
    adapted = PeftModel.from_pretrained(model, folder / "adapter")
    for number in range(REPEATS):
        with watch("PEFT load_adapter and merge_adapter"):
            adapted.load_adapter(folder / "adapter", f"again-{number}")
            adapted.set_adapter(f"again-{number}")
            adapted.merge_adapter()
        with watch("PEFT unmerge_adapter and delete_adapter"):
            adapted.unmerge_adapter()
            adapted.delete_adapter(f"again-{number}")
    watch.write(result)


if __name__ == "__main__":
    main()
