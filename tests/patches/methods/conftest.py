"""Small models of every family, and a tokenizer learnt from a few lines."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
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


@pytest.fixture
def pico(pico_folders) -> Callable[[str], EditableModel]:
    """Load the small model of a family."""
    return lambda family: load_model(Checkpoint.open(pico_folders[family]))


@pytest.fixture
def llama(pico) -> EditableModel:
    return pico("llama")


@pytest.fixture(params=sorted(BUILDERS))
def every(request, pico) -> EditableModel:
    """The small model of each family in turn."""
    return pico(request.param)
