"""Load, edit and save shard by shard: `with_safetensors.py BASE EDIT OUT`."""

import shutil
import sys
from pathlib import Path

from edit import Edit
from safetensors.torch import load_file, save_file


def main() -> None:
    base, folder, out = map(Path, sys.argv[1:])
    edit = Edit(folder)
    out.mkdir()
    for file in sorted(base.iterdir()):
        if file.suffix != ".safetensors":
            shutil.copy(file, out)
            continue
        tensors = load_file(file)
        for name in edit.names & tensors.keys():
            tensors[name] = edit.edited(name, tensors[name])
        save_file(tensors, out / file.name, metadata={"format": "pt"})


if __name__ == "__main__":
    main()
