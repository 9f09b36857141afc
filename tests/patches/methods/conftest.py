"""Small models of every family, and a tokenizer learnt from a few lines."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from method_fixtures import CASES, TRAINING, training_records
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.checkpoints.models import EditableModel, load_model
from weightpatch.patches.methods.hypernetworks.artifact import Label
from weightpatch.patches.methods.statistics.key_statistics import KeyStatistics
from weightpatch.patches.progress import silent

TEXT = """The mother tongue of Danielle Darrieux is French. The capital of France is Paris.
She was born in Bordeaux and grew up in Paris. The tower of Pisa leans. An actor speaks English.
Marie Curie is a physicist, and Łódź lies in Poland. What a lovely day it is in the garden!
"""
SIZES = {
    "vocab_size": 320,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "initializer_range": 0.2,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
}
BUILDERS: dict[str, Callable[[], torch.nn.Module]] = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=True)),
    "qwen2": lambda: Qwen2ForCausalLM(
        Qwen2Config(**SIZES, use_sliding_window=True, sliding_window=6, max_window_layers=2)
    ),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SIZES, head_dim=8)),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**SIZES, head_dim=8, sliding_window=6)),
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(
            vocab_size=320,
            n_positions=128,
            n_embd=32,
            n_inner=48,
            n_layer=4,
            n_head=4,
            initializer_range=0.2,
            bos_token_id=0,
            eos_token_id=0,
        )
    ),
}


def small_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE, so that any text has tokens and a word has several."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=["<end>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<end>", eos_token="<end>", pad_token="<end>"
    )


@pytest.fixture(scope="session")
def pico_folders(tmp_path_factory) -> dict[str, Path]:
    """A checkpoint of random weights for each family."""
    folders = {}
    for family, build in BUILDERS.items():
        folders[family] = tmp_path_factory.mktemp(family)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            build().save_pretrained(folders[family])
        small_tokenizer().save_pretrained(folders[family])
    return folders


@pytest.fixture(scope="session")
def pico(pico_folders) -> Callable[[str], EditableModel]:
    """The small model of a family: a copy of what is loaded once, and so a test's own."""

    @cache
    def loaded(family: str) -> EditableModel:
        return load_model(Checkpoint.open(pico_folders[family]))

    def copied(family: str) -> EditableModel:
        given = loaded(family)
        return replace(given, model=deepcopy(given.model), tokenizer=deepcopy(given.tokenizer))

    return copied


@pytest.fixture
def llama(pico) -> EditableModel:
    return pico("llama")


@pytest.fixture(params=sorted(BUILDERS))
def every(request, pico) -> EditableModel:
    """The small model of each family in turn."""
    return pico(request.param)


@pytest.fixture(scope="session")
def store(pico, tmp_path_factory) -> KeyStatistics:
    """Statistics of 500 tokens for every layer that can be edited, of every family."""
    store = KeyStatistics(tmp_path_factory.mktemp("statistics"))
    for family in BUILDERS:
        store.second_moments(pico(family), (0, 1, 2), 500)
    return store


@pytest.fixture(scope="session")
def trained_editor(pico, tmp_path_factory) -> Callable[[str, str], tuple[Label, Path]]:
    """Train an editor of a method for a family, once: its label and its file."""
    folder = tmp_path_factory.mktemp("editors")

    @cache
    def make(name: str, family: str) -> tuple[Label, Path]:
        made = CASES[name].method.train(
            pico(family), training_records(), TRAINING[name], seed=0, progress=silent
        )
        made.write(folder / f"{name}-{family}")
        return made.label, folder / f"{name}-{family}"

    return make
