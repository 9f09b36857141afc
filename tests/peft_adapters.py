"""An adapter of a checkpoint, as PEFT itself writes it."""

import warnings
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM


def save_adapter(base: Path, folder: Path, **settings: object) -> Path:
    """Write an adapter of random factors into `folder`, the same each time."""
    model = AutoModelForCausalLM.from_pretrained(base)
    config = LoraConfig(**{"r": 2, "target_modules": ["q_proj", "down_proj"], **settings})
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(3)
        adapted = get_peft_model(model, config)
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.data.normal_(0, 0.05)
        adapted.save_pretrained(folder)
    return folder
