"""What every editing method promises, and how its hyperparameters are read."""

import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Protocol, TypeVar, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray

from ..checkpoints.models import EditableModel
from ..errors import RequestRefused
from ..operations.base import Operation
from ..progress import Progress
from ..requests import EditRequest
from .key_statistics import KeyStatistics

H = TypeVar("H")
_YES_NO = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, eq=False)
class Edit:
    """What a method found: the operations, and what is worth keeping of how it found them.

    `operations` are by checkpoint tensor name, in the order in which they were made; `auxiliary`
    arrays by the key under which a delta stores them; `sampled` is everything that was drawn, as
    JSON; `statistics` names what was estimated from text, by digest.
    """

    operations: Mapping[str, Sequence[Operation]]
    auxiliary: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    sampled: Mapping[str, Any] = field(default_factory=dict)
    statistics: Sequence[Mapping[str, Any]] = ()


class Method(Protocol):
    """A way of finding the weights that carry out requests.

    `Hyperparameters` is a frozen dataclass of plain values that checks itself.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    Hyperparameters: ClassVar[type]

    @classmethod
    def defaults(cls, model: EditableModel) -> Any:  # noqa: ANN401 - a Hyperparameters
        """Hyperparameters for a model of this architecture and size."""

    def edit(
        self,
        model: EditableModel,
        requests: Sequence[EditRequest],
        hyperparameters: Any,  # noqa: ANN401 - a Hyperparameters
        *,
        seed: int,
        statistics: KeyStatistics,
        progress: Progress,
    ) -> Edit:
        """Find the edit; the model is bit for bit as it was afterwards.

        The same model, requests, hyperparameters and seed give the same edit. Raises RequestRefused
        for requests that cannot be carried out, NonFinite if the search diverges.
        """


def hyperparameters_from(defaults: H, settings: Mapping[str, str]) -> H:
    """`defaults` with `settings`, as typed by a user, in place of the fields that they name.

    Raises RequestRefused for an unknown name, or a value that the field cannot take.
    """
    hints = get_type_hints(type(defaults))
    known = {item.name for item in fields(defaults)}  # type: ignore[arg-type]
    for name in settings:
        if name not in known:
            raise RequestRefused(
                f"there is no hyperparameter {name!r}", hint=f"known: {', '.join(sorted(known))}"
            )
    values = {name: _parse(name, text, hints[name]) for name, text in settings.items()}
    return type(defaults)(**{**vars(defaults), **values})


def _parse(name: str, text: str, hint: Any) -> Any:  # noqa: ANN401 - as the annotation says
    kinds = get_args(hint) or (hint,)
    if types.NoneType in kinds and text.lower() == "none":
        return None
    kind = next(kind for kind in kinds if kind is not types.NoneType)
    try:
        return _YES_NO[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError):
        raise RequestRefused(f"{name} must be {_words(kind)}, not {text!r}") from None


def _words(kind: type) -> str:
    return {bool: "yes or no", int: "a whole number", float: "a number"}.get(kind, kind.__name__)
