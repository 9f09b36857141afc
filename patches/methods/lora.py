"""LoRA: a few steps of training low-rank factors beside frozen weights, with the library PEFT.

    W' = W + (alpha/r) B A        A [r, in], B [out, r], B = 0 to begin with

Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models" (arXiv:2106.09685). The loss is
the mean of -log P[o* | p] over the target's tokens.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from ..arithmetic.grid import MAX_RANK
from ..checkpoints.models import EditableModel
from ..errors import PluginMissing, RequestRefused
from ..operations.lowrank import LowRank
from ..progress import Progress
from ..requests import EditRequest
from .base import Edit, Resources
from .checks import require
from .factors import stored
from .sequence import in_sequence
from .tuning.answers import Answers, answers
from .tuning.descent import DescentHyperparameters, descend

if TYPE_CHECKING:
    from peft import LoraConfig

TARGETS: Mapping[str, tuple[str, ...]] = {"gpt2": ("c_attn",)}
"""The linear maps that are adapted unless others are asked for, by model_type."""

_TARGETS_OF_OTHERS = ("q_proj", "v_proj")
_ADAPTER = "default"


@dataclass(frozen=True, kw_only=True)
class LoraHyperparameters(DescentHyperparameters):
    """What LoRA can be told; raises RequestRefused for numbers outside their range."""

    steps: int = 40
    """Adam steps, at most."""
    learning_rate: float = 5e-4
    """Of Adam."""
    rank: int = 8
    """r, of each factor pair."""
    alpha: int = 16
    """The product of the factors is multiplied with alpha/r."""
    targets: tuple[str, ...]
    """Names of the linear maps that are adapted, in every layer."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1 <= self.rank <= MAX_RANK, f"rank is 1 to {MAX_RANK}")
        require(1 <= self.alpha <= 10_000, "alpha is 1 to 10000")
        require(all(self.targets) and bool(self.targets), "targets are names of linear maps")


class Lora:
    """The method `lora`."""

    name: ClassVar[str] = "lora"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "training of low-rank adapters on the requests, with PEFT"
    paper: ClassVar[str] = "Hu et al. 2021, arXiv:2106.09685"
    tools: ClassVar[tuple[str, ...]] = ("peft",)
    Hyperparameters: ClassVar[type[LoraHyperparameters]] = LoraHyperparameters

    @classmethod
    def defaults(cls, model: EditableModel) -> LoraHyperparameters:
        """The adapted maps by architecture, the rest as in LoraHyperparameters."""
        targets = TARGETS.get(model.model.config.model_type, _TARGETS_OF_OTHERS)
        return LoraHyperparameters(targets=targets)

    def edit(
        self,
        model: EditableModel,
        requests: Sequence[EditRequest],
        hyperparameters: LoraHyperparameters,
        *,
        seed: int,
        resources: Resources,  # noqa: ARG002 - nothing else is needed
        progress: Progress,
    ) -> Edit:
        """Train on the requests in batches, each on the result of those before.

        One operation a batch on each adapted weight, `rank` factors each. Raises PluginMissing
        without PEFT, RequestRefused, LimitExceeded, NonFinite.
        """
        settings = hyperparameters
        paths = _paths(model, settings.targets)
        generator = torch.Generator().manual_seed(seed)

        def carry_out(
            batch: Sequence[EditRequest], _before: Sequence[Edit], told: Progress
        ) -> Edit:
            begun = int(torch.randint(2**62, (), generator=generator))
            adapted = adapter(model, paths, settings, begun)
            train(adapted, answers(model, batch, "target"), settings, told)
            return Edit(
                operations={
                    model.stored_name(path): [_operation(adapted.model.get_submodule(path))]
                    for path in paths
                }
            )

        return in_sequence(model, requests, settings.batch_size, carry_out, progress)


def adapter(
    model: EditableModel, paths: Sequence[str], settings: LoraHyperparameters, seed: int
) -> EditableModel:
    """A twin of the model with PEFT's layers in the place of `paths`; only they ask for gradients.

    The twin has modules of its own, so that there is nothing to take out of the model again, and
    the model's own weights in them. Raises PluginMissing.
    """
    settled = _config(paths, settings, transposed=model.architecture.transposed)
    shared: dict[int, Any] = {
        id(tensor): tensor for tensor in (*model.model.parameters(), *model.model.buffers())
    }
    twin = deepcopy(model.model, shared)
    from peft import inject_adapter_in_model

    # PEFT draws its factors from the global generator, on the CPU.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        inject_adapter_in_model(settled, twin)
    return replace(model, model=twin)


def train(
    adapted: EditableModel,
    blocks: Sequence[Answers],
    settings: LoraHyperparameters,
    progress: Progress,
) -> None:
    """Train the weights that ask for gradients; raises NonFinite."""

    def loss(block: Answers) -> torch.Tensor:
        last = adapted.backbone(input_ids=block.ids, use_cache=False).last_hidden_state
        return block.loss(adapted, last)

    factors = [each for each in adapted.model.parameters() if each.requires_grad]
    losses = [lambda block=block: loss(block) for block in blocks]
    descend(factors, losses, settings, progress)


def _config(
    paths: Sequence[str], settings: LoraHyperparameters, *, transposed: bool
) -> "LoraConfig":
    try:
        from peft import LoraConfig
    except ImportError:
        raise PluginMissing(
            "the method lora needs the library PEFT",
            why="it is not installed",
            hint='pip install "weightpatch[lora]"',
        ) from None
    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        target_modules=list(paths),
        fan_in_fan_out=transposed,
    )


def _paths(model: EditableModel, targets: Sequence[str]) -> list[str]:
    """Where the maps of these names are in the model, those of the lowest layer first."""
    inside = f"{model.architecture.backbone}.{model.architecture.layers}"
    linear = [
        name
        for name, module in model.layers.named_modules()
        if isinstance(module, nn.Linear | Conv1D)
    ]
    found = {
        target: [each for each in linear if f".{each}".endswith(f".{target}")] for target in targets
    }
    for target, names in found.items():
        if not names:
            known = sorted({name.rpartition(".")[2] for name in linear})
            raise RequestRefused(
                f"no layer has a linear map {target!r}",
                hint=f"set targets to some of {', '.join(known)}",
            )
    wanted = {name for names in found.values() for name in names}
    return [f"{inside}.{name}" for name in linear if name in wanted]


def _operation(layer: Any) -> LowRank:  # noqa: ANN401 - a LoraLayer of PEFT
    """(alpha/r) B A of a trained layer, the way round that the checkpoint stores the weight."""
    down, up = (
        factor[_ADAPTER].weight.detach().cpu().double().numpy()
        for factor in (layer.lora_A, layer.lora_B)
    )
    a = up * layer.scaling[_ADAPTER]
    return stored(a, down, transposed=layer.fan_in_fan_out)
