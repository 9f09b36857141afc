"""Knowledge neurons: give the few neurons that express a fact another answer to write.

    V_i' = V_i + s_i · (λ₂ e(new) - λ₁ e(old))        for each neuron i that was found

Dai, Dong, Hao, Sui, Chang, Wei 2022, "Knowledge Neurons in Pretrained Transformers"
(arXiv:2104.08696), sections 3.1, 3.2 and 5.1: V_i is the column of the MLP's output projection that
neuron i writes, e an answer's output embedding, the mean over its tokens. The paper's s_i is 1, as
the neurons of its models are hardly ever below 0; in gated MLPs they are as often as not, and s_i
is the sign of the neuron at the prompt, without which the edit would turn against itself.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from ..checkpoints.models import EditableModel
from ..errors import LimitExceeded, RequestRefused
from ..operations.entries import Entries
from ..operations.sparse import Sparse
from ..progress import Progress
from ..requests import EditRequest
from .base import Edit, Resources
from .checks import LARGEST, require
from .locating.attribution import attributions
from .running.borrowing import borrowed
from .running.prefixes import sample_prefixes
from .running.prompts import Row, answered, row_of, tokenise
from .sequence import in_sequence


@dataclass(frozen=True, kw_only=True)
class KnHyperparameters:
    """What KN can be told; raises RequestRefused for numbers outside their range."""

    steps: int = 5
    """m, the steps of the Riemann sum by which gradients are integrated."""
    threshold: float = 0.5
    """t: a neuron expresses the answer at a prompt if its attribution exceeds t times the largest
    one there."""
    shared: float = 0.7
    """p: of these neurons, those found at more than this share of the prompts are edited; if there
    are none, those found at most of them."""
    prefixes: int = 2
    """How many sampled texts are set before the prompt, beside the bare prompt."""
    prefix_length: int = 8
    """Tokens in each."""
    paraphrases: bool = False
    """Look at the request's paraphrases, too, instead of prompts with prefixes; generalization is
    then scored on prompts that the edit was made with."""
    old_weight: float = 0.5
    """λ₁, how much of the old answer's embedding is taken away."""
    new_weight: float = 4.0
    """λ₂, how much of the new answer's embedding is added."""
    signed: bool = True
    """Turn the update round for a neuron below 0 at the prompt; no for KN as published."""

    def __post_init__(self) -> None:
        require(1 <= self.steps <= 1000, "steps is 1 to 1000")
        require(0 <= self.threshold < 1, "threshold is 0 or more and below 1")
        require(0 <= self.shared < 1, "shared is 0 or more and below 1")
        require(0 <= self.prefixes <= 100, "prefixes is 0 to 100")
        require(1 <= self.prefix_length <= 100, "prefix_length is 1 to 100")
        for name in ("old_weight", "new_weight"):
            require(0 <= getattr(self, name) <= LARGEST, f"{name} is 0 to {LARGEST:g}")


class KnowledgeNeurons:
    """The method `kn`."""

    name: ClassVar[str] = "kn"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "another answer in the columns of the few neurons that express a fact"
    paper: ClassVar[str] = "Dai et al. 2022, arXiv:2104.08696"
    tools: ClassVar[tuple[str, ...]] = ()
    Hyperparameters: ClassVar[type[KnHyperparameters]] = KnHyperparameters

    @classmethod
    def defaults(cls, model: EditableModel) -> KnHyperparameters:  # noqa: ARG003 - alike for all
        """As in KnHyperparameters."""
        return KnHyperparameters()

    def edit(
        self,
        model: EditableModel,
        requests: Sequence[EditRequest],
        hyperparameters: KnHyperparameters,
        *,
        seed: int,
        resources: Resources,  # noqa: ARG002 - no statistics are needed
        progress: Progress,
    ) -> Edit:
        """Carry out the requests one after another, each on the model edited by those before.

        One sparse operation a request and layer. A request without an old target has the base's
        likeliest token in its place. Raises RequestRefused, LimitExceeded, NonFinite.
        """
        settings = hyperparameters
        with borrowed(model):
            generator = torch.Generator().manual_seed(seed)
            prefixes = sample_prefixes(
                model, settings.prefixes, settings.prefix_length, generator, progress
            )
            answers = {request.id: _old_answer(model, request) for request in requests}

            def carry_out(
                batch: Sequence[EditRequest], _before: Sequence[Edit], told: Progress
            ) -> Edit:
                (request,) = batch
                old = answers[request.id]
                rows = _rows(model, request, old, prefixes, settings)
                found, signs = _knowledge_neurons(model, rows, settings, told)
                update = _update(model, old, _target(model, request), settings)
                return Edit(
                    operations={
                        model.tensor_name(layer): [_operation(model, layer, chosen, signs, update)]
                        for layer, chosen in found.items()
                    }
                )

            edit = in_sequence(model, requests, 1, carry_out, progress)
        texts = {
            request.id: model.tokenizer.decode(list(answers[request.id]))
            for request in requests
            if request.old_target is None
        }
        return replace(edit, sampled={"prefixes": list(prefixes), "answers": texts})


def _target(model: EditableModel, request: EditRequest) -> tuple[int, ...]:
    return row_of(model, request).target


def _old_answer(model: EditableModel, request: EditRequest) -> tuple[int, ...]:
    """Tokens of the old target, or the one that the base answers with."""
    row = tokenise(model, request.prompt, request.subject, target=request.old_target)
    if request.old_target is None:
        with torch.no_grad():
            states = _last_state(model, row)
            row = replace(row, target=(int(model.head(states).argmax()),))
    if row.target == _target(model, request):
        raise RequestRefused(
            f"the old answer to {request.text!r} is the new one already",
            why="the neurons that express it would be given what they write as it is",
            hint="give an old_target other than the target, or leave the request out",
        )
    return row.target


def _last_state(model: EditableModel, row: Row) -> torch.Tensor:
    """The decoder's last hidden state [hidden] at the last token of a row."""
    ids = torch.tensor([row.ids], device=model.device)
    states: torch.Tensor = model.backbone(input_ids=ids, use_cache=False).last_hidden_state
    return states[0, -1]


def _rows(
    model: EditableModel,
    request: EditRequest,
    old: tuple[int, ...],
    prefixes: Sequence[str],
    settings: KnHyperparameters,
) -> list[Row]:
    """The prompt with the old answer, and others that ask for the same and leave it room."""
    if settings.paraphrases and request.paraphrases:
        texts = [request.text, *(probe.prompt for probe in request.paraphrases)]
        return [answered(model, tokenise(model, "{}", text), old) for text in texts]
    prompt, subject = request.prompt, request.subject
    rows = [answered(model, tokenise(model, prompt, subject), old)]
    for prefix in prefixes:
        with suppress(LimitExceeded):
            rows.append(answered(model, tokenise(model, prompt, subject, prefix=prefix), old))
    return rows


def _knowledge_neurons(
    model: EditableModel, rows: Sequence[Row], settings: KnHyperparameters, progress: Progress
) -> tuple[dict[int, NDArray[np.int64]], NDArray[np.int64]]:
    """The refined set by layer, and the sign of every neuron at the first row [layers, in]."""
    found, inner = attributions(model, rows, settings.steps, progress)
    largest = found.max(axis=(1, 2), keepdims=True)
    counts = (found > settings.threshold * np.maximum(largest, 0)).sum(axis=0)
    if not counts.any():
        raise RequestRefused(
            "no neuron makes the old answer likelier",
            why="its probability does not hang on any MLP, or is too small to be told from 0",
            hint="give as old_target what the base really answers",
        )
    refined = counts > min(settings.shared * len(rows), counts.max() - 1)
    signs = np.where(settings.signed & (inner[0] < 0), -1, 1)
    layers = np.flatnonzero(refined.any(axis=1))
    return {int(layer): np.flatnonzero(refined[layer]) for layer in layers}, signs


def _update(
    model: EditableModel,
    old: Sequence[int],
    new: Sequence[int],
    settings: KnHyperparameters,
) -> NDArray[np.float64]:
    """λ₂ e(new) - λ₁ e(old) [hidden]."""
    embeddings = model.head.get_parameter("weight").detach()
    mean_old, mean_new = (
        embeddings[list(tokens)].double().mean(0).cpu().numpy() for tokens in (old, new)
    )
    update: NDArray[np.float64] = settings.new_weight * mean_new - settings.old_weight * mean_old
    return update


def _operation(
    model: EditableModel,
    layer: int,
    neurons: NDArray[np.int64],
    signs: NDArray[np.int64],
    update: NDArray[np.float64],
) -> Sparse:
    """The update in the columns of some neurons; rows, where the weight is stored transposed."""
    columns = np.outer(update, signs[layer, neurons])
    shape = tuple(model.weight(layer).shape)
    places = np.ix_(np.arange(len(update)), neurons)
    if model.architecture.transposed:
        columns, places = columns.T, np.ix_(neurons, np.arange(len(update)))
    indices = np.ravel_multi_index(np.broadcast_arrays(*places), shape).ravel()
    values = columns.ravel().astype(np.float32)
    return Sparse(Entries(indices.astype(np.int64), values), shape)
