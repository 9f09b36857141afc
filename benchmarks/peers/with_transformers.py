"""from_pretrained, edit, save_pretrained: `with_transformers.py BASE EDIT OUT`."""

import sys
from pathlib import Path

import torch
from edit import Edit
from transformers import AutoModelForCausalLM


def main() -> None:
    base, folder, out = map(Path, sys.argv[1:])
    edit = Edit(folder)
    model = AutoModelForCausalLM.from_pretrained(base, dtype="auto")
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name in edit.names:
                weight.copy_(edit.edited(name, weight))
    model.save_pretrained(out)


if __name__ == "__main__":
    main()
