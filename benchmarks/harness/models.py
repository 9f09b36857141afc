"""The two models measured: SmolLM2 widened to float32, and a generated one of 3 GB in shards."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .weights import INDEX, Spec, open_file, rounded, write_file

SHARDS = 6
BIG = {
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "num_hidden_layers": 26,
    "head_dim": 64,
    "tie_word_embeddings": False,
    "dtype": "bfloat16",
}
TITLES = {
    "smollm2": "SmolLM2-135M, float32, one file",
    "big": f"Generated Llama, bfloat16, {SHARDS} shards",
}


def prepare(name: str, source: Path, folder: Path) -> Path:
    """The folder of a model, made from the SmolLM2 in `source` unless it is there already."""
    made = folder / name
    if made.exists():
        return made
    partial = folder / f"{name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for file in source.iterdir():
        if file.suffix in {".json", ".jinja"}:
            shutil.copy(file, partial)
    if name == "big":
        _write_big(partial)
    else:
        _write_float32(source, partial)
    partial.rename(made)
    return made


def _configure(folder: Path, changes: dict[str, Any]) -> dict[str, Any]:
    path = folder / "config.json"
    config = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps(config, indent=2))
    return config


def _write_float32(source: Path, folder: Path) -> None:
    _configure(folder, {"dtype": "float32"})
    tensors = open_file(source / "model.safetensors")
    specs = {name: Spec("F32", tensor.spec.shape) for name, tensor in tensors.items()}
    values = (tensor.values() for tensor in tensors.values())
    write_file(folder / "model.safetensors", specs, values)


def _write_big(folder: Path) -> None:
    config = _configure(folder, BIG)
    specs = _llama_specs(config)
    shards = _cut(specs, SHARDS)
    random = np.random.default_rng(0)
    weight_map = {}
    for number, names in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        part = {name: specs[name] for name in names}
        write_file(folder / file, part, _random(part, random))
        weight_map.update(dict.fromkeys(names, file))
    size = sum(spec.bytes for spec in specs.values())
    index = {"metadata": {"total_size": size}, "weight_map": weight_map}
    (folder / INDEX).write_text(json.dumps(index, indent=2))


def _llama_specs(config: dict[str, Any]) -> dict[str, Spec]:
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (config["vocab_size"], hidden)
    }
    for layer in range(config["num_hidden_layers"]):
        here = f"model.layers.{layer}"
        shapes[f"{here}.input_layernorm.weight"] = (hidden,)
        shapes[f"{here}.post_attention_layernorm.weight"] = (hidden,)
        for part in "qkvo":
            shapes[f"{here}.self_attn.{part}_proj.weight"] = (hidden, hidden)
        shapes[f"{here}.mlp.gate_proj.weight"] = (inner, hidden)
        shapes[f"{here}.mlp.up_proj.weight"] = (inner, hidden)
        shapes[f"{here}.mlp.down_proj.weight"] = (hidden, inner)
    shapes["model.norm.weight"] = (hidden,)
    shapes["lm_head.weight"] = (config["vocab_size"], hidden)
    return {name: Spec("BF16", shape) for name, shape in shapes.items()}


def _cut(specs: dict[str, Spec], count: int) -> list[list[str]]:
    """Names in order, in `count` parts of about the same number of bytes."""
    total = sum(spec.bytes for spec in specs.values())
    parts: list[list[str]] = [[] for _ in range(count)]
    before = 0
    for name, spec in specs.items():
        parts[min(count - 1, before * count // total)].append(name)
        before += spec.bytes
    return parts


def _random(specs: dict[str, Spec], random: np.random.Generator) -> Iterator[NDArray[Any]]:
    for name, spec in specs.items():
        if "norm" in name:
            yield rounded(np.ones(spec.shape, np.float32), spec.dtype)
        else:
            values = random.standard_normal(spec.shape, np.float32)
            values *= np.float32(0.02)
            yield rounded(values, spec.dtype)
