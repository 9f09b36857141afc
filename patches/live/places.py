"""Where in a model a parameter stands, and how what was put in its place gets its bits back."""

from collections.abc import Iterator
from dataclasses import dataclass
from weakref import WeakSet, ref

import torch
from torch import nn

from .parameters import Parameters, is_plain

_SIZES = (
    ("out_features", "in_features"),
    ("nx", "nf"),
    ("num_embeddings", "embedding_dim"),
)
"""Attributes of nn.Linear, GPT-2's Conv1D and nn.Embedding for the two lengths of their weight."""


@dataclass(frozen=True, eq=False)
class _Place:
    path: str
    leaf: str
    owner: ref[nn.Module]


@dataclass(frozen=True, eq=False)
class Places:
    """All places of one parameter: several if it is tied.

    `known` are the modules that the model had then. Both hold modules weakly.
    """

    parameter: nn.Parameter
    places: tuple[_Place, ...]
    known: WeakSet[nn.Module]

    @classmethod
    def of(cls, parameters: Parameters, parameter: nn.Parameter) -> "Places":
        """The places in which `parameter` stands."""
        places = []
        for name in parameters.names(parameter):
            path, _, leaf = name.rpartition(".")
            places.append(_Place(path, leaf, ref(parameters.modules[path])))
        return cls(parameter, tuple(places), parameters.known)

    def stand(self, parameters: Parameters) -> bool:
        """Whether the parameter still is in each of its places."""
        now = set(parameters.names(self.parameter))
        return now >= {f"{place.path}.{place.leaf}".lstrip(".") for place in self.places}

    def resize(self, model: nn.Module) -> None:
        """Make the modules around the parameter say the lengths that it has."""
        for owner, leaf in self._owners(model):
            if leaf == "weight" and self.parameter.ndim == 2:
                _resize(owner, self.parameter.shape)

    def fill(self, model: nn.Module) -> bool:
        """Give other parameters in these places the parameter's values, type and shape.

        The parameter itself comes back where none is, or one that cannot have these values to
        itself. Gives False if a place takes no parameter any more, and the values are nowhere in
        the model.
        """
        free = True
        owners = list(self._owners(model))
        for owner, leaf in owners:
            found = dict(owner.named_parameters(recurse=False, remove_duplicate=False)).get(leaf)
            if found is self.parameter:
                continue
            if found is not None and is_plain(found) and not _is_elsewhere(model, found, owners):
                _give(found, self.parameter)
            elif found is not None or getattr(owner, leaf, None) is None:
                setattr(owner, leaf, self.parameter)
            else:
                free = False
        self.resize(model)
        return free or any(found is self.parameter for found in model.parameters())

    def _owners(self, model: nn.Module) -> Iterator[tuple[nn.Module, str]]:
        """The modules that hold the parameter, wherever they are now, or those in their place.

        A module that the model had before is not taken for another: those behind one that was
        removed from a list have its path.
        """
        modules = dict(model.named_modules(remove_duplicate=False))
        present = {id(module) for module in modules.values()}
        seen = set()
        for place in self.places:
            owner = place.owner()
            if owner is None or id(owner) not in present:
                owner = modules.get(place.path)
                if owner is None or owner in self.known:
                    continue
            if (id(owner), place.leaf) not in seen:
                seen.add((id(owner), place.leaf))
                yield owner, place.leaf


def _is_elsewhere(
    model: nn.Module, parameter: nn.Parameter, owners: list[tuple[nn.Module, str]]
) -> bool:
    own = {(id(owner), leaf) for owner, leaf in owners}
    return any(
        found is parameter and (id(module), leaf) not in own
        for module in model.modules()
        for leaf, found in module.named_parameters(recurse=False, remove_duplicate=False)
    )


def _give(parameter: nn.Parameter, source: nn.Parameter) -> None:
    # A storage of its own: the present one may be another tensor's, too.
    with torch.inference_mode(mode=False), torch.no_grad():
        if (parameter.shape, parameter.dtype) != (source.shape, source.dtype):
            parameter.grad = None
        parameter.data = source.data.to(parameter.device, copy=True)


def _resize(module: nn.Module, shape: torch.Size) -> None:
    for names in _SIZES:
        if all(hasattr(module, name) for name in names):
            for name, length in zip(names, shape, strict=True):
                setattr(module, name, length)
