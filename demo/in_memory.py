"""Patch a model that is in memory, and take the patches off: `in_memory.py MODEL PATCH…`."""

import sys

import torch
import weightpatch
from transformers import AutoTokenizer


def main() -> None:
    """Answer each patch's first request before, with one patch after the other, and afterwards."""
    folder, *folders = sys.argv[1:]
    patches = [weightpatch.Patch.open(patch) for patch in folders]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = weightpatch.load(folder)

    def answer(when: str) -> None:
        print(when)
        for patch in patches:
            prompt = patch.requests[0].text
            inputs = tokenizer(prompt, return_tensors="pt")
            with torch.inference_mode():
                output = model.generate(**inputs, max_new_tokens=1, do_sample=False)
            word = tokenizer.decode(output[0, inputs["input_ids"].shape[1] :]).strip()
            print(f"  {prompt} … {word}")

    answer("before")
    attachments = []
    for patch in patches:
        attachments.append(weightpatch.attach(model, patch))
        answer(f"with {patch.label}")
    for attachment in attachments:
        attachment.detach()
    answer("after")


if __name__ == "__main__":
    main()
