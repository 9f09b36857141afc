"""Train an editor: after its edits, answers should carry over and everything else stay as it was.

For each record the weights are changed by what the editor makes of the gradient of the record's own
prompt; the loss is -log p of the new answer on prompt and paraphrase, and KL(base ‖ edited) on the
answers of neighbours (Mitchell et al. 2022, eq. 4; De Cao et al. 2021, eq. 3).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import nn

from ...errors import NonFinite, RequestRefused
from ...progress import Progress
from ...requests import EditRequest
from .network import EditorNetwork
from .records import Record
from .settings import TrainingHyperparameters
from .tail import Answers, Row, Tail, answer_loss, padded, row_means


class Weighing(Protocol):
    """How the two losses are weighed against each other."""

    def __call__(self, edit: torch.Tensor, drift: torch.Tensor) -> torch.Tensor:
        """The loss of a step."""

    def learn(self, drift: float) -> None:
        """Take in the drift of a step that was made."""

    def judge(self, scores: "Scores") -> float:
        """What the records held out are judged by; less is better."""


class Scores(NamedTuple):
    """Means over records: losses, and shares of answers that are, or stay, wholly the same."""

    edit: float
    drift: float
    reliability: float
    generalization: float
    locality: float


class Trained(NamedTuple):
    """How a training went: steps made, the step kept, and scores held out, before and after."""

    steps: int
    kept: int
    before: Scores
    after: Scores


class Training:
    """One training of one network, in a borrowed model."""

    def __init__(
        self,
        tail: Tail,
        network: EditorNetwork,
        weighing: Weighing,
        settings: TrainingHyperparameters,
        generator: torch.Generator,
    ) -> None:
        self._tail, self._network = tail, network
        self._weighing, self._settings, self._generator = weighing, settings, generator

    def run(self, records: Sequence[Record], held: Sequence[Record], progress: Progress) -> Trained:
        """Train on `records`; the network is afterwards the best on those held out.

        Raises NonFinite if the training diverges.
        """
        settings = self._settings
        adam = torch.optim.Adam(self._network.parameters(), lr=settings.learning_rate)
        decay = torch.optim.lr_scheduler.CosineAnnealingLR(adam, settings.steps)
        order: list[int] = []
        before = best = self.score(held)
        state, kept, step = _copied(self._network), 0, 0
        while step < settings.steps:
            progress("training", step, settings.steps)
            if len(order) < settings.batch_size:
                order += torch.randperm(len(records), generator=self._generator).tolist()
            batch = [records[index] for index in order[: settings.batch_size]]
            del order[: settings.batch_size]
            self._step(batch, adam)
            decay.step()
            step += 1
            if step % settings.evaluate_every and step < settings.steps:
                continue
            found = self.score(held)
            if self._weighing.judge(found) < self._weighing.judge(best):
                best, state, kept = found, _copied(self._network), step
            elif step - kept >= settings.patience * settings.evaluate_every:
                break
        progress("training", settings.steps, settings.steps)
        self._network.load_state_dict(state)
        return Trained(step, kept, before, best)

    def _step(self, batch: Sequence[Record], adam: torch.optim.Optimizer) -> None:
        taught: list[list[Row]] = []
        others: list[list[Row]] = []
        for record in batch:
            taught.append([record.prompt, *self._one(record.paraphrases)])
            others.append(list(self._one(record.neighbours)))
        edit, drift, _ = self._losses(batch, taught, others)
        loss = self._weighing(edit.mean(), drift.mean())
        if not torch.isfinite(loss):
            raise NonFinite(
                "the training of the editor has diverged", hint="set a smaller learning_rate"
            )
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._network.parameters(), self._settings.clip)
        adam.step()
        self._weighing.learn(drift.mean().item())

    def _one(self, rows: Sequence[Row]) -> Sequence[Row]:
        if not rows:
            return ()
        return [rows[int(torch.randint(len(rows), (1,), generator=self._generator).item())]]

    @torch.no_grad()
    def score(self, records: Sequence[Record]) -> Scores:
        """Score single edits of `records`, on all rows that were kept of them."""
        sums = torch.zeros(5, dtype=torch.float64)
        carried = 0
        for start in range(0, len(records), self._settings.batch_size):
            batch = records[start : start + self._settings.batch_size]
            taught = [[record.prompt, *record.paraphrases] for record in batch]
            edit, drift, same = self._losses(batch, taught, [each.neighbours for each in batch])
            answers = iter(same.tolist())
            for record in batch:
                first = next(answers)
                rest = [next(answers) for _ in record.paraphrases]
                sums[2] += first
                sums[3] += sum(rest) / max(1, len(rest))
                carried += bool(rest)
            for record in batch:
                sums[4] += sum(next(answers) for _ in record.neighbours) / len(record.neighbours)
            sums[0] += edit.double().sum()
            sums[1] += drift.double().sum()
        means = sums / torch.tensor([len(records)] * 3 + [max(1, carried), len(records)])
        return Scores(*means.tolist())

    def _losses(
        self,
        batch: Sequence[Record],
        taught: Sequence[Sequence[Row]],
        others: Sequence[Sequence[Row]],
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Edit loss and drift of each record, and whether each row is answered as it should be.

        Rows are in the order of the records, those taught before the others.
        """
        tail, device = self._tail, self._tail.model.device
        gradients = tail.gradients([record.prompt for record in batch])
        requests = [record.request for record in batch]
        changes = self._network.changes(tail.model, gradients, requests)
        groups = [*taught, *others]
        rows = [row for group in groups for row in group]
        owners = torch.tensor(
            [index % len(batch) for index, group in enumerate(groups) for _ in group], device=device
        )
        asked = sum(map(len, taught))
        with tail.changed(changes, owners):
            last = tail.run(padded(rows))
        answers, kept = Answers.of(rows[:asked], device), Answers.of(rows[asked:], device)
        chances = tail.log_probabilities(last[:asked], answers)
        now = tail.log_probabilities(last[asked:], kept)
        with torch.no_grad():
            base = tail.log_probabilities(tail.run(padded(rows[asked:])), kept)
        spread = (base.exp() * (base - now)).sum(-1)
        edit = answer_loss(chances, answers, asked)
        drift = row_means(spread, kept.rows, len(rows) - asked)
        same = [
            _wholly(chances.argmax(-1) == answers.tokens, answers.rows, asked),
            _wholly(now.argmax(-1) == base.argmax(-1), kept.rows, len(rows) - asked),
        ]
        return (
            row_means(edit, owners[:asked], len(batch)),
            row_means(drift, owners[asked:], len(batch)),
            torch.cat(same),
        )


def split(
    records: Sequence[EditRequest], share: float, generator: torch.Generator
) -> tuple[list[EditRequest], list[EditRequest]]:
    """Requests to train on, and those held out; raises RequestRefused for fewer than two."""
    if len(records) < 2:
        raise RequestRefused(
            "an editor cannot be trained on fewer than two requests",
            why="some are held out to see how good it is",
            hint="give some hundreds, as in --data counterfact:FILE --count 400",
        )
    held = max(1, min(len(records) - 1, math.floor(share * len(records))))
    order = torch.randperm(len(records), generator=generator).tolist()
    return [records[index] for index in order[held:]], [records[index] for index in order[:held]]


def _wholly(same: torch.Tensor, rows: torch.Tensor, count: int) -> torch.Tensor:
    return row_means(same.float(), rows, count) == 1


def _copied(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
