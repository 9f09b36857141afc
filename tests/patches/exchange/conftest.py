"""Small models of real architectures, adapters that PEFT itself writes, and patches of them."""

import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import torch
from live_models import TORCH
from peft import LoraConfig, PeftModel, get_peft_model
from pico_fixtures import Pico
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
)
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.draft import Origin, own_terms, write_draft
from weightpatch.patches.exchange.adapter import Adapter
from weightpatch.patches.exchange.from_peft import Taken, draft_from_peft, take_in
from weightpatch.patches.exchange.patched_tensors import state_dict
from weightpatch.patches.format.patch import Patch
from weightpatch.patches.requests import EditRequest

ORIGIN = Origin("acme/taken", author="ada", created="2026-01-31T12:00:00Z")


def small_llama(**settings: Any) -> LlamaForCausalLM:
    sizes = {"vocab_size": 23, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "initializer_range": 0.2}
    return LlamaForCausalLM(
        LlamaConfig(**{**sizes, **heads, "tie_word_embeddings": False, **settings})
    )


def small_gpt2(**settings: Any) -> GPT2LMHeadModel:
    sizes = {"vocab_size": 23, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32}
    return GPT2LMHeadModel(GPT2Config(**{**sizes, "initializer_range": 0.2, **settings}))


@dataclass(frozen=True)
class Bench:
    """Writes models and adapters below one folder, and takes adapters in."""

    root: Path

    def base(self, shape: str = "llama", dtype: str = "F32", **settings: Any) -> Checkpoint:
        """A checkpoint that transformers writes; `bare` is GPT-2's without the decoder's name."""
        folder = self.root / "base"
        with torch.random.fork_rng():
            torch.manual_seed(1)
            model = small_llama(**settings) if shape == "llama" else small_gpt2(**settings)
            model = model.to(TORCH[dtype])
        (model.transformer if shape == "bare" else model).save_pretrained(folder)
        return Checkpoint.open(folder)

    def model(self, base: Checkpoint) -> Any:
        """The live model, in the type of its checkpoint."""
        return AutoModelForCausalLM.from_pretrained(base.path, dtype="auto").eval()

    def adapted(self, base: Checkpoint, **settings: Any) -> PeftModel:
        """The live model with an adapter of random factors by PEFT."""
        config = LoraConfig(**{"init_lora_weights": True, "r": 3, **settings})
        with torch.random.fork_rng(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PEFT remarks on Conv1D and on tied weights
            torch.manual_seed(2)
            adapted = get_peft_model(self.model(base), config)
            for parameter in adapted.parameters():
                if parameter.requires_grad:
                    parameter.data.add_(0.02 * torch.randn(parameter.shape).to(parameter))
        return adapted

    def saved(self, adapted: PeftModel, name: str = "adapter") -> Path:
        """The folder that PEFT writes."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            adapted.save_pretrained(self.root / name)
        return self.root / name

    def adapter(self, base: Checkpoint, **settings: Any) -> Adapter:
        """An adapter by PEFT, opened by us."""
        return Adapter.open(self.saved(self.adapted(base, **settings)))

    def patch_of(
        self, base: Checkpoint, adapter: Adapter, taken: Taken | None = None, name: str = "patch"
    ) -> Patch:
        """What an adapter comes to, as a patch."""
        (self.root / name).mkdir()
        found = taken or take_in(adapter, base)
        return draft_from_peft(
            self.root / name, base, adapter, found, [self.request()], ORIGIN
        ).as_patch()

    def patch(self, pico: Any, base: Checkpoint, operations: Any, name: str = "patch") -> Patch:
        """A patch of any operations."""
        (self.root / name).mkdir()
        return write_draft(
            self.root / name,
            base,
            own_terms(operations),
            {},
            [self.request()],
            pico.method(),
            ORIGIN,
        ).as_patch()

    @staticmethod
    def request() -> EditRequest:
        """A request, as every patch has one."""
        return Pico.REQUEST

    def ours(self, base: Checkpoint, patch: Patch) -> dict[str, torch.Tensor]:
        """What applying the patch gives, under the names of the live model."""
        return state_dict(base, [patch])

    def difference(self, base: Checkpoint, patch: Patch, merged: Any) -> float:
        """The largest difference of our weights from those that PEFT has merged.

        It is counted in units in the last place of the larger of the two and of the base's weight,
        or in float32, which shows more digits than the grid has, of the tensor's largest weight.
        """
        before, theirs = dict(self.model(base).named_parameters()), dict(merged.named_parameters())
        found = 0.0
        for name, values in self.ours(base, patch).items():
            three = [each[name].detach().double() for each in (before, theirs, {name: values})]
            size = torch.stack(three).abs().amax(0)
            if values.dtype == torch.float32:
                size = torch.full_like(size, size.max().item())
            units = (three[2] - three[1]).abs() / unit(size, values.dtype)
            found = max(found, units.max().item())
        return found


def unit(values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """One unit in the last place at each value."""
    info = torch.finfo(dtype)
    exponent = torch.frexp(values.abs().clamp(min=info.tiny))[1] - 1
    return info.eps * 2.0 ** exponent.double()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def run_python():
    """Run a script in a process of its own, which must end well."""

    def run(script: str) -> None:
        done = subprocess.run(
            [sys.executable, "-c", dedent(script)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    return run
