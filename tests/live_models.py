"""Live models of pico checkpoints, and their bits."""

import numpy as np
import torch
from torch import nn
from weightpatch.patches.checkpoints.checkpoint import Checkpoint

TORCH = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def tensor_of(bits: np.ndarray, dtype: str) -> torch.Tensor:
    tensor = torch.from_numpy(bits.copy())
    return tensor.view(torch.bfloat16) if dtype == "BF16" else tensor


def model_of(base: Checkpoint, dtype: torch.dtype | None = None) -> nn.Module:
    """A module whose parameters are the tensors of a checkpoint, under their names."""
    model = nn.Module()
    for name, info in base.tensors.items():
        *path, last = name.split(".")
        place = model
        for step in path:
            if not hasattr(place, step):
                place.add_module(step, nn.Module())
            place = place.get_submodule(step)
        values = tensor_of(base.read(name), info.dtype)
        place.register_parameter(last, nn.Parameter(values if dtype is None else values.to(dtype)))
    return model


def bits(model: nn.Module) -> dict[str, bytes]:
    return {
        name: parameter.detach().contiguous().view(torch.uint8).numpy().tobytes()
        for name, parameter in model.named_parameters()
    }


def put_parameter(model: nn.Module, name: str, parameter: nn.Parameter) -> nn.Parameter:
    """Put another parameter into the place called `name`."""
    path, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(path), leaf, parameter)
    return parameter
