"""Where a score was computed: versions of what computes, device, type and threads."""

from importlib.metadata import version
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def environment(model: "PreTrainedModel") -> dict[str, str]:
    """Name what the last bits of a score depend on besides the weights."""
    return {
        **{name: version(name) for name in ("weightpatch", "torch", "transformers", "numpy")},
        "device": device_name(model.device),
        "dtype": str(model.dtype).removeprefix("torch."),
        "threads": str(torch.get_num_threads()),
    }


def device_name(device: torch.device) -> str:
    """The kind of a device, and which one it is where kinds differ."""
    if device.type != "cuda":
        return device.type
    return f"{device.type} {torch.cuda.get_device_name(device)}"
