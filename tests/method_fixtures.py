"""What tests of all editing methods share: requests, quick settings, and all that a model is."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import torch
from weightpatch.patches import plugins
from weightpatch.patches.checkpoints.models import EditableModel
from weightpatch.patches.live.parameters import Parameters
from weightpatch.patches.methods.base import Edit
from weightpatch.patches.methods.ke import KnowledgeEditorTraining
from weightpatch.patches.methods.mend import MendTraining
from weightpatch.patches.methods.running.borrowing import add
from weightpatch.patches.requests import EditRequest, Probe

MARIE = EditRequest("The mother tongue of {} is", "Marie Curie", "English", old_target="French")
ACTOR = EditRequest("{} was born in", "An actor", "Paris", old_target="Bordeaux", id="2")
PISA = EditRequest("The tower of {} stands in", "Pisa", "France", old_target="Poland", id="3")

_SOUGHT = {
    "statistics_tokens": 500,
    "prefixes": 2,
    "prefix_length": 4,
    "steps": 4,
    "weight_decay": 0.0,
    "clamp": 50.0,
}
_SPREAD = {"prefixes": 0, "layers": (1, 2), "steps": 40}
_SEARCH = frozenset({"own text", "key statistics", "prefixes", "key", "value"})
_TRAINED = {
    "steps": 15,
    "layers": 2,
    "batch_size": 4,
    "learning_rate": 0.01,
    "evaluate_every": 5,
    "held_out": 0.25,
}
TRAINING = {
    "mend": MendTraining(rank=8, rate=1e-3, **_TRAINED),
    "ke": KnowledgeEditorTraining(width=8, rate=0.3, margin=2.0, **_TRAINED),
}
"""How to train the editors of small models."""


@dataclass(frozen=True)
class Case:
    """How a method is tried on a small model.

    `settings` are quick, those in `bare` do without sampled prefixes and make the target likelier
    on any model. `phases` is what it reports, without numbers. `drawn` says whether it draws
    anything, `choosing` whether another draw may come to the same delta, `alone` whether a batch of
    a sequence is what it would be by itself on the model that those before have made.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    bare: Mapping[str, Any] = field(default_factory=dict)
    phases: frozenset[str] = frozenset()
    drawn: bool = True
    choosing: bool = False
    alone: bool = True

    @cached_property
    def method(self) -> Any:
        return plugins.load("methods", self.name)()

    def hyperparameters(self, model: EditableModel, **changes: Any) -> Any:
        return replace(self.method.defaults(model), **{**self.settings, **changes})


CASES = {
    case.name: case
    for case in (
        Case(
            "ft",
            {"learning_rate": 0.01, "steps": 8},
            phases=frozenset({"training"}),
            drawn=False,
        ),
        Case(
            "lora",
            {"rank": 3, "alpha": 5, "learning_rate": 0.02, "steps": 6},
            phases=frozenset({"training"}),
            alone=False,
        ),
        Case(
            "kn",
            {"steps": 4, "prefixes": 2, "prefix_length": 4},
            {"prefixes": 0},
            frozenset({"prefixes", "attribution"}),
            choosing=True,
        ),
        Case("rome", _SOUGHT, {"prefixes": 0, "layer": 1}, _SEARCH),
        Case("memit", {**_SOUGHT, "covariance_weight": 1e-3}, _SPREAD, _SEARCH | {"layers"}),
        Case(
            "alphaedit",
            {**_SOUGHT, "nullspace_threshold": 2.0, "ridge": 1e-4},
            _SPREAD,
            _SEARCH | {"layers"},
            alone=False,
        ),
        Case("mend", phases=frozenset({"edit"}), drawn=False),
        Case("ke", phases=frozenset({"edit"}), drawn=False),
    )
}


def state_of(model: EditableModel) -> tuple[Any, ...]:
    """All that an edit might leave behind: bits, gradients, modules, hooks, generators."""
    inner = model.model
    tensors = [*inner.named_parameters(), *inner.named_buffers()]
    return (
        {name: _bytes(tensor) for name, tensor in tensors},
        [parameter.requires_grad for parameter in inner.parameters()],
        [parameter.grad if parameter.grad is None else _bytes(parameter.grad)
         for parameter in inner.parameters()],
        [(name, id(module), type(module)) for name, module in inner.named_modules()],
        [(module.training, sorted(vars(module))) for module in inner.modules()],
        [list(map(list, _hooks(module))) for module in inner.modules()],
        inner.config.to_dict(),
        torch.get_rng_state().tolist(),
        random.getstate(),
        [np.asarray(part).tolist() for part in np.random.get_state()],
    )  # fmt: skip


def put_to_use(model: EditableModel) -> EditableModel:
    """Put it in the middle of training: frozen in part, with gradients and hooks."""
    model.model.train()
    model.layers[1].eval()
    model.weight(0).requires_grad_(False)
    model.weight(1).grad = torch.ones_like(model.weight(1))
    model.layers[2].register_forward_hook(lambda *_: None)
    model.projection(1).register_forward_pre_hook(lambda *_: None)
    return model


def _bytes(tensor: torch.Tensor) -> bytes:
    return tensor.detach().contiguous().view(torch.uint8).numpy().tobytes()


def _hooks(module: torch.nn.Module) -> tuple[Any, ...]:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return tuple(getattr(module, kind) for kind in kinds)


def nll(model: EditableModel, request: EditRequest) -> float:
    """-log P[target | prompt], in a plain run of the whole model."""
    ids = model.tokenizer(request.text)["input_ids"]
    target = model.tokenizer(f" {request.target}")["input_ids"]
    with torch.no_grad():
        chances = model.model(input_ids=torch.tensor([ids + target])).logits[0].log_softmax(-1)
    return -sum(chances[len(ids) + i - 1, token].item() for i, token in enumerate(target))


def carry_out(model: EditableModel, found: Edit) -> None:
    """Add all operations of an edit to the live weights."""
    parameters = Parameters(model.model)
    for name, operations in found.operations.items():
        for operation in operations:
            add(parameters.find(name), operation)


def bytes_of(found: Edit) -> dict[tuple[str, int, str], bytes]:
    """The stored parts of an edit's operations."""
    return {
        (name, index, part): values.tobytes()
        for name, operations in found.operations.items()
        for index, operation in enumerate(operations)
        for part, values in operation.parts.items()
    }


def training_records() -> list[EditRequest]:
    """Twelve requests, each with a paraphrase and two neighbours."""
    names = ("Danielle", "Marie Curie", "An actor", "Paris")
    places = ("Poland", "the garden", "Pisa")
    return [
        EditRequest(
            "{} was born in",
            name,
            place,
            old_target="Bordeaux",
            paraphrases=(Probe(f"The garden: {name} lies in", place),),
            neighbourhood=(Probe(f"{other} speaks", "English"), Probe(f"A {other} is", "French")),
            id=f"{name} {place}",
        )
        for (name, place), other in zip(product(names, places), names * 3, strict=True)
    ]
