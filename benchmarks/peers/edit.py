"""An edit as the peers read it, with torch and safetensors: factors or a dense change, added."""

from pathlib import Path

import torch
from safetensors import safe_open


class Edit:
    """The change in `folder`: a PEFT adapter of rank r and alpha r, or a file of deltas."""

    def __init__(self, folder: Path) -> None:
        adapter = folder / "adapter" / "adapter_model.safetensors"
        self._lowrank = adapter.exists()
        self._file = safe_open(adapter if self._lowrank else folder / "delta.safetensors", "pt")
        keys = self._file.keys()
        self.names = {self._name(key) for key in keys}

    def edited(self, name: str, weight: torch.Tensor) -> torch.Tensor:
        """A weight with its change added in float32, in its own type."""
        wide = weight.float()
        if not self._lowrank:
            return (wide + self._file.get_tensor(name).float()).to(weight.dtype)
        module = "base_model.model." + name.removesuffix(".weight")
        a = self._file.get_tensor(f"{module}.lora_A.weight")
        b = self._file.get_tensor(f"{module}.lora_B.weight")
        return torch.addmm(wide, b, a).to(weight.dtype)

    def _name(self, key: str) -> str:
        if not self._lowrank:
            return key
        return key.removeprefix("base_model.model.").rsplit(".", 2)[0] + ".weight"
