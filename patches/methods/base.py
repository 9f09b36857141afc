"""What every editing method promises."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from ..checkpoints.models import EditableModel
from ..operations.base import Operation
from ..progress import Progress
from ..requests import EditRequest
from .statistics.key_statistics import KeyStatistics


@dataclass(frozen=True)
class Step:
    """One batch of a sequence: how many requests it carried out, with how many operations.

    `operations` counts those that it added to each tensor.
    """

    requests: int
    operations: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class Edit:
    """What a method found: the operations, and what is worth keeping of how it found them.

    `operations` are by checkpoint tensor name, in the order in which they were made; `auxiliary`
    arrays by the key under which a delta stores them; `sampled` is everything that was drawn, as
    JSON; `statistics` names what was estimated from text or trained, by digest; `steps` are the
    batches of a sequence, none if all requests were carried out at once.
    """

    operations: Mapping[str, Sequence[Operation]]
    auxiliary: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    sampled: Mapping[str, Any] = field(default_factory=dict)
    statistics: Sequence[Mapping[str, Any]] = ()
    steps: Sequence[Step] = ()


@dataclass(frozen=True)
class Resources:
    """What a method may need beside the model: statistics of keys, the file of a trained editor."""

    statistics: KeyStatistics
    editor: Path | None = None


class Method(Protocol):
    """A way of finding the weights that carry out requests.

    `Hyperparameters` is a frozen dataclass of plain values (numbers, yes or no, words, tuples of
    numbers) that checks itself. `title` says in one line what the method does, `paper` where it was
    published, `tools` which packages its result depends on besides NumPy, torch and transformers.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    title: ClassVar[str]
    paper: ClassVar[str]
    tools: ClassVar[tuple[str, ...]]
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
        resources: Resources,
        progress: Progress,
    ) -> Edit:
        """Find the edit; the model is bit for bit as it was afterwards.

        The same model, requests, hyperparameters and seed give the same edit. Raises RequestRefused
        for requests that cannot be carried out, NonFinite if the search diverges.
        """
