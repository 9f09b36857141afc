"""Patch a model that is in memory for the length of a block: `in_memory.py MODEL PATCH`."""

import sys
from pathlib import Path

import torch
import weightpatch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging


def main() -> None:
    """Answer the patch's first request before, within and after the block."""
    logging.disable_progress_bar()
    folder, patch = sys.argv[1], weightpatch.Patch.open(Path(sys.argv[2]))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    prompt = patch.requests[0].text

    def answer() -> str:
        inputs = tokenizer(prompt, return_tensors="pt")
        with torch.inference_mode():
            output = model.generate(**inputs, max_new_tokens=1, do_sample=False)
        return str(tokenizer.decode(output[0, inputs["input_ids"].shape[1] :]).strip())

    print(f"{prompt} …\n  before  {answer()}")
    with weightpatch.patched(model, patch):
        print(f"  within  {answer()}")
    print(f"  after   {answer()}")


if __name__ == "__main__":
    main()
