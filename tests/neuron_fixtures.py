"""Small transformers models on disk, and neurons to add to their layers."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from pico_fixtures import stored
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.checkpoints.neurons import mlp_layers
from weightpatch.patches.operations.base import Operation
from weightpatch.patches.operations.widen import Widen

HIDDEN, INNER, VOCABULARY = 8, 12, 32


def llama(folder: Path, *, shards: int = 1, **options: object) -> Checkpoint:
    """A tied Llama of three layers, as transformers saves it."""
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        intermediate_size=INNER,
        num_hidden_layers=3,
        num_attention_heads=2,
        initializer_range=0.5,
        pad_token_id=0,
        **{"tie_word_embeddings": True, **options},
    )
    return saved(folder, LlamaForCausalLM, config, shards)


def gpt2(folder: Path, *, shards: int = 1, **options: object) -> Checkpoint:
    """A GPT-2 of three layers that leaves the size of its MLPs, 32, to the default."""
    config = GPT2Config(
        vocab_size=VOCABULARY,
        n_positions=16,
        n_embd=HIDDEN,
        n_layer=3,
        n_head=2,
        initializer_range=0.5,
        bos_token_id=0,
        eos_token_id=0,
        **options,
    )
    return saved(folder, GPT2LMHeadModel, config, shards)


def saved(folder: Path, model, config, shards: int) -> Checkpoint:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = model(config)
    for parameter in made.parameters():  # biases are made of zeros
        if parameter.ndim == 1:
            parameter.data = torch.linspace(-1, 1, len(parameter))
    made.to(config.dtype or torch.float32).save_pretrained(
        folder, max_shard_size="1GB" if shards == 1 else 2000
    )
    checkpoint = Checkpoint.open(folder)
    assert (len(checkpoint.files) > 1) == (shards > 1)
    return checkpoint


FAMILIES = {"llama": llama, "gpt2": gpt2}


def neurons(base: Checkpoint, layer: int, count: int, *, seed: int = 0) -> dict[str, list[Widen]]:
    """`count` random neurons for a layer: one operation for each of its tensors."""
    random = np.random.default_rng(seed)
    operations = {}
    for name, axis in mlp_layers(base)[layer].axes.items():
        shape = list(base.tensors[name].shape)
        shape[axis] = count
        values = stored(random.standard_normal(shape, np.float32), base.tensors[name].dtype)
        part = ("rows", "columns")[axis]
        operations[name] = [Widen.read({part: values}, base.tensors[name].shape)]
    return operations


def together(*several: Mapping[str, Sequence[Operation]]) -> dict[str, list[Operation]]:
    """The operations of several patches, by tensor."""
    result: dict[str, list[Operation]] = {}
    for operations in several:
        for name, found in operations.items():
            result.setdefault(name, []).extend(found)
    return result
