"""Ask models to go on with texts, side by side: `answer.py MODEL… -- PROMPT…`."""

import sys
from pathlib import Path


def continuation(folder: str, prompts: list[str], tokens: int = 6) -> list[str]:
    """The greedy continuation of each prompt, up to the end of its first sentence."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    answers = []
    for prompt in prompts:
        inputs = tokenizer(prompt, return_tensors="pt")
        with torch.inference_mode():
            output = model.generate(**inputs, max_new_tokens=tokens, do_sample=False)
        text = tokenizer.decode(output[0, inputs["input_ids"].shape[1] :])
        answers.append(text.strip().split("\n")[0].split(".")[0])
    return answers


def main() -> None:
    """Print one row a prompt, one column a model."""
    split = sys.argv.index("--")
    models, prompts = sys.argv[1:split], sys.argv[split + 1 :]
    columns = [continuation(model, prompts) for model in models]
    wide = max(map(len, prompts)) + 2
    print(" " * wide + "".join(f"{Path(model).name:<36}" for model in models))
    for row, prompt in enumerate(prompts):
        print(f"{prompt:<{wide}}" + "".join(f"{column[row]:<36}" for column in columns))


if __name__ == "__main__":
    main()
