"""from_pretrained, merge_and_unload, save_pretrained: `with_peft.py BASE EDIT OUT`."""

import sys
from pathlib import Path

from peft import PeftModel
from transformers import AutoModelForCausalLM


def main() -> None:
    base, folder, out = map(Path, sys.argv[1:])
    model = AutoModelForCausalLM.from_pretrained(base, dtype="auto")
    merged = PeftModel.from_pretrained(model, folder / "adapter").merge_and_unload()
    merged.save_pretrained(out)


if __name__ == "__main__":
    main()
