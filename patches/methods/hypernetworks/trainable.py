"""Methods that are trained once for a base, and then edit it as often as wanted."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch

from ...checkpoints.models import EditableModel
from ...digests import sha256
from ...errors import FormatError, RequestRefused
from ...evaluation.encoding import encode
from ...operations.base import Operation
from ...progress import Progress
from ...requests import EditRequest, Probe, dump_requests
from ...tools import versions
from ..base import Edit, Resources
from ..checks import require
from ..running.borrowing import borrowed
from ..sequence import in_sequence
from .artifact import Label, Shapes, TrainedEditor, read_editor
from .matching import settings_of, tensor_records, weights_for
from .network import EditorNetwork
from .records import prepare
from .settings import TrainingHyperparameters
from .tail import Change, Tail
from .training import Trained, Training, Weighing, split
from .weights import EditedWeight, edited_weights

_AT_ONCE = 16


class Trainable(Protocol):
    """A method whose editor is trained by `weightpatch method train`."""

    name: ClassVar[str]
    TrainingSettings: ClassVar[type[TrainingHyperparameters]]

    @classmethod
    def training_defaults(cls, model: EditableModel) -> TrainingHyperparameters:
        """How to train for a model of this architecture and size."""

    def train(
        self,
        model: EditableModel,
        records: Sequence[EditRequest],
        settings: TrainingHyperparameters,
        *,
        seed: int,
        progress: Progress,
    ) -> TrainedEditor:
        """Train an editor of `model`, which is bit for bit as it was afterwards.

        The same model, records, settings and seed give the same editor. Raises RequestRefused,
        NonFinite.
        """


@dataclass(frozen=True, kw_only=True)
class EditorHyperparameters:
    """What an edit by a trained editor can be told; raises RequestRefused."""

    batch_size: int = 1
    """Requests whose edits are made from one state of the model and added up; 0: all at once."""
    strength: float = 1.0
    """The update is multiplied by this; below 1 less changes, above 1 more."""

    def __post_init__(self) -> None:
        require(0 <= self.batch_size <= 10_000, "batch_size is 0 to 10000")
        require(0 < self.strength <= 100, "strength is above 0 and at most 100")


class EditorMethod(ABC):
    """What MEND and KE have in common: everything but the network and the weighing of losses."""

    name: ClassVar[str]
    version: ClassVar[str]
    Hyperparameters: ClassVar[type[EditorHyperparameters]] = EditorHyperparameters
    TrainingSettings: ClassVar[type[TrainingHyperparameters]]

    @classmethod
    def defaults(cls, model: EditableModel) -> EditorHyperparameters:  # noqa: ARG003
        """The same for all models: what depends on the model was learnt."""
        return cls.Hyperparameters()

    @classmethod
    def training_defaults(cls, model: EditableModel) -> TrainingHyperparameters:
        """Three layers, or all of a model that has fewer."""
        settings = cls.TrainingSettings()
        return replace(settings, layers=min(settings.layers, model.layer_count))

    @abstractmethod
    def network(
        self,
        model: EditableModel,
        weights: Sequence[EditedWeight],
        settings: Any,  # noqa: ANN401 - a TrainingHyperparameters
    ) -> EditorNetwork:
        """A network for these weights; called where tensors are made on the meta device."""

    @abstractmethod
    def weighing(self, settings: Any) -> Weighing:  # noqa: ANN401 - a TrainingHyperparameters
        """How edit and drift are weighed in the training."""

    def train(
        self,
        model: EditableModel,
        records: Sequence[EditRequest],
        settings: TrainingHyperparameters,
        *,
        seed: int,
        progress: Progress,
    ) -> TrainedEditor:
        """Train an editor of `model`; see `Trainable`."""
        generator = torch.Generator().manual_seed(seed)
        weights = edited_weights(model, settings.layers)
        taught, held = split(records, settings.held_out, generator)
        with borrowed(model):
            tail = Tail(model, weights)
            network = self._shaped(model, weights, settings)
            network.to_empty(device="cpu")
            network.initialise(generator)
            network.to(model.device)
            known = prepare(tail, taught, settings, generator, progress)
            unseen = prepare(tail, held, settings, generator, progress)
            network.measure(
                [
                    tail.gradients([one.prompt for one in known[start : start + _AT_ONCE]])
                    for start in range(0, len(known), _AT_ONCE)
                ]
            )
            training = Training(tail, network, self.weighing(settings), settings, generator)
            trained = training.run(known, unseen, progress)
        tensors = {name: tensor.cpu().numpy() for name, tensor in network.state_dict().items()}
        return TrainedEditor(self._label(model, weights, settings, seed, records, trained), tensors)

    def edit(
        self,
        model: EditableModel,
        requests: Sequence[EditRequest],
        hyperparameters: EditorHyperparameters,
        *,
        seed: int,  # noqa: ARG002 - nothing is drawn
        resources: Resources,
        progress: Progress,
    ) -> Edit:
        """Carry out the requests with the editor of `resources`, one backward pass for each batch.

        Raises RequestRefused if there is no editor, what `read_editor` raises, BaseMismatch for an
        editor of another base, NonFinite.
        """
        if resources.editor is None:
            raise RequestRefused(
                f"{self.name} needs a trained editor of this base",
                hint=f"train one with: weightpatch method train {self.name} BASE --data counterfact"
                ", or give its file with --editor",
            )
        network, weights, record = self._load(model, resources.editor)
        tail = Tail(model, weights)

        def carry_out(
            batch: Sequence[EditRequest], _before: Sequence[Edit], told: Progress
        ) -> Edit:
            told("edit", 0, 1)
            found = [
                _changes(tail, network, batch[start : start + _AT_ONCE])
                for start in range(0, len(batch), _AT_ONCE)
            ]
            told("edit", 1, 1)
            return Edit(_operations(weights, found, hyperparameters.strength))

        with borrowed(model):
            edit = in_sequence(model, requests, hyperparameters.batch_size, carry_out, progress)
        return replace(edit, statistics=[record])

    def _load(
        self, model: EditableModel, path: Path
    ) -> tuple[EditorNetwork, tuple[EditedWeight, ...], Mapping[str, Any]]:
        """The network of an editor that was trained for this very model."""
        shaped: list[tuple[EditorNetwork, tuple[EditedWeight, ...]]] = []

        def shapes(label: Label) -> Shapes:
            self._require_own(label, path)
            settings = settings_of(self.TrainingSettings, label)
            weights = weights_for(model, label, settings.layers)
            network = self._shaped(model, weights, settings)
            shaped.append((network, weights))
            return {name: tuple(one.shape) for name, one in network.state_dict().items()}

        editor, digest = read_editor(path, shapes)
        network, weights = shaped[0]
        network.to_empty(device=model.device)
        network.load_state_dict(
            {name: torch.tensor(array) for name, array in editor.tensors.items()}
        )
        network.requires_grad_(False)
        label = editor.label
        record = {
            "kind": "editor",
            "sha256": digest,
            "method": label.method,
            "data": label.data["sha256"],
            "count": label.data["count"],
            "steps": label.kept,
        }
        return network, weights, record

    def _shaped(
        self,
        model: EditableModel,
        weights: Sequence[EditedWeight],
        settings: TrainingHyperparameters,
    ) -> EditorNetwork:
        with torch.device("meta"):
            return self.network(model, weights, settings)

    def _require_own(self, label: Label, path: Path) -> None:
        if (label.method, label.version) != (self.name, self.version):
            raise FormatError(
                f"{path.name} is an editor of {label.method} {label.version}, "
                f"not of {self.name} {self.version}",
                hint=f"train one with: weightpatch method train {self.name} BASE --data NAME",
            )

    def _label(
        self,
        model: EditableModel,
        weights: Sequence[EditedWeight],
        settings: TrainingHyperparameters,
        seed: int,
        records: Sequence[EditRequest],
        trained: Trained,
    ) -> Label:
        return Label(
            method=self.name,
            version=self.version,
            base=model.checkpoint.fingerprint,
            tensors=tensor_records(model, weights),
            hyperparameters=asdict(settings),
            seed=seed,
            data={"count": len(records), "sha256": sha256(dump_requests(records))},
            steps=trained.steps,
            kept=trained.kept,
            scores={"before": trained.before._asdict(), "after": trained.after._asdict()},
            tools=versions(["numpy", "torch", "transformers"]),
        )


def _changes(tail: Tail, network: EditorNetwork, requests: Sequence[EditRequest]) -> list[Change]:
    """What the network makes of the requests' gradients, by weight."""
    probes = [Probe(request.text, request.target) for request in requests]
    gradients = tail.gradients(tail.rows(encode(tail.model.tokenizer, probes)))
    with torch.no_grad():
        return network.changes(tail.model, gradients, requests)


def _operations(
    weights: Sequence[EditedWeight], found: Sequence[Sequence[Change]], strength: float
) -> dict[str, list[Operation]]:
    """All terms that are not zero, those of all requests side by side."""
    operations: dict[str, list[Operation]] = {}
    for weight, changes in zip(weights, zip(*found, strict=True), strict=True):
        left = strength * torch.cat([change.left.flatten(0, 1) for change in changes])
        right = torch.cat([change.right.flatten(0, 1) for change in changes])
        used = (left != 0).any(-1) & (right != 0).any(-1)  # NaN is not zero
        if used.any():
            operations[weight.tensor] = list(weight.operations(left[used], right[used]))
    return operations
